"""A port in torch: one LSTM, a locked input mask, dropout on the output."""

import torch
import torch.nn.functional as F


def run(case):
    x = case.inputs["x"]
    batch, time, features = x.shape
    kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    keep = 1.0 - case.rate("input")
    if keep < 1.0:
        mask = x.new_empty(1, batch, features).bernoulli_(keep) / keep
        x = (x.transpose(0, 1) * mask).transpose(0, 1)
    units = recurrent.shape[0]
    h = x.new_zeros(batch, units)
    c = x.new_zeros(batch, units)
    steps = []
    for t in range(time):
        i, f, g, o = (x[:, t] @ kernel + h @ recurrent + bias).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        steps.append(h)
    y = F.dropout(torch.stack(steps), case.rate("output"), training=case.training)
    return {"y": y.transpose(0, 1), "h": h, "c": c}


def swapped(case):
    found = run(case)
    return {"y": found["y"], "h": found["c"], "c": found["h"]}


def raises(case):
    return helper(case)


def helper(case):
    return case.inputs["nothing"]


def returns_a_tuple(case):
    return run(case)["y"], None


def forgets_c(case):
    return {"y": run(case)["y"]}
