"""LSTMP (Sak et al. 2014): peepholes, recurrent projection, cell clipping."""
import torch
import torch.nn.functional as F


class LSTMP:
    def __init__(self, params, clip):
        self.p = params
        self.clip = clip

    def step(self, x, r, c):
        p = self.p
        n = c.shape[1]
        a = F.linear(torch.cat((x, r), 1), torch.cat((p["kernel"], p["recurrent_kernel"])).t(), p["bias"])
        ai, af, ag, ao = a[:, :n], a[:, n : 2 * n], a[:, 2 * n : 3 * n], a[:, 3 * n :]
        i = torch.sigmoid(ai + p["peephole_i"] * c)
        f = torch.sigmoid(af + p["peephole_f"] * c)
        c = f * c + i * torch.tanh(ag)
        c = c.clamp(-self.clip, self.clip)
        o = torch.sigmoid(ao + p["peephole_o"] * c)
        m = o * torch.tanh(c)
        return m @ p["projection"], c


def run(case):
    x = case.inputs["x"]
    net = LSTMP(case.weights, case.config["cell_clip"])
    c = x.new_zeros(x.shape[0], case.config["units"])
    r = x.new_zeros(x.shape[0], case.config["projection"])
    keep = 1 - case.rate("output")
    ys = []
    for t in range(x.shape[1]):
        r, c = net.step(x[:, t], r, c)
        ys.append(r)
    y = torch.stack(ys, 1)
    if case.training and keep < 1:
        y = y * (torch.rand(y.shape, dtype=y.dtype) < keep) / keep
    return {"y": y, "h": r, "c": c}
