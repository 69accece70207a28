# truncated backprop through time, see forum thread; keeps memory small on long EEG recordings
import torch
import torch.nn.functional as F


def step(x_t, h, c, Wx, Wh, b):
    i, f, g, o = torch.split(x_t.mm(Wx) + h.mm(Wh) + b, h.size(1), dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def forward(x, Wx, Wh, b, p_drop, train):
    h = x.new_zeros((x.size(0), Wh.size(0)))
    c = x.new_zeros((x.size(0), Wh.size(0)))
    ys = []
    for t in range(x.size(1)):
        h, c = step(x[:, t], h.detach(), c.detach(), Wx, Wh, b)
        ys.append(F.dropout(h, p=p_drop, training=train))
    return torch.stack(ys, dim=1), h, c


def run(case):
    w = case.weights
    y, h, c = forward(
        case.inputs["x"], w["kernel"], w["recurrent_kernel"], w["bias"], case.rate("output"), case.training
    )
    return {"y": y, "h": h, "c": c}
