import torch
from torch import nn


class ZoneoutLSTMCell(nn.Module):
    def __init__(self, units, zoneout_h, zoneout_c):
        super().__init__()
        self.units, self.zoneout_h, self.zoneout_c = units, zoneout_h, zoneout_c

    def _zoneout(self, old, new, prob):
        if not self.training or prob == 0:
            return new
        keep_old = torch.bernoulli(torch.full_like(new, prob))
        return keep_old * old + (1 - keep_old) * new

    def forward(self, x, state, w):
        h, c = state
        i, f, g, o = torch.chunk(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4, dim=1)
        c_new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h_new = torch.sigmoid(o) * torch.tanh(c_new)
        return self._zoneout(h, h_new, self.zoneout_h), self._zoneout(c, c_new, self.zoneout_c)


def run(case):
    probs = {site["at"]: site["rate"] for site in case.dropout}
    cell = ZoneoutLSTMCell(case.config["units"], probs["state.h"], probs["state.c"])
    cell.train(case.training)
    x = case.inputs["x"]
    state = (x.new_zeros(len(x), cell.units), x.new_zeros(len(x), cell.units))
    outs = []
    for t in range(x.shape[1]):
        state = cell(x[:, t], state, case.weights)
        outs.append(state[0])
    return {"y": torch.stack(outs, 1), "h": state[0], "c": state[1]}
