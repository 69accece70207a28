import torch


def zoneout(prev, cur, rate, train):
    if train:
        d = torch.rand_like(cur) < rate
        return torch.where(d, prev, cur)
    return rate * prev + (1 - rate) * cur


def run(case):
    zh, zc = (next(s["rate"] for s in case.dropout if s["at"] == at) for at in ("state.h", "state.c"))
    x, (W, U, b) = case.inputs["x"], (case.weights[k] for k in ("kernel", "recurrent_kernel", "bias"))
    c = h = torch.zeros(x.shape[0], U.shape[0], dtype=x.dtype)
    y = []
    for t in range(x.shape[1]):
        pre = torch.addmm(b, x[:, t], W).addmm(h, U)
        i, f, g, o = pre.view(-1, 4, U.shape[0]).unbind(1)
        c_tilde = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h_tilde = o.sigmoid() * c_tilde.tanh()
        c = zoneout(c, c_tilde, zc, case.training)
        h = zoneout(h, h_tilde, zh, case.training)
        y += [h]
    return {"y": torch.stack(y, dim=1), "h": h, "c": c}
