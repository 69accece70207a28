import torch
from torch import nn


class VariationalDropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p
        self.mask = None

    def reset(self, shape, like):
        self.mask = torch.bernoulli(torch.ones(shape, dtype=like.dtype) * (1 - self.p)) / (1 - self.p)

    def forward(self, h):
        if not self.training or self.p == 0.0:
            return h
        if self.mask is None or self.mask.shape != h.shape:
            self.reset(h.shape, h)
        return h * self.mask


class Elman(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.h_drop = VariationalDropout(p)

    def forward(self, seq, w_in, w_rec, b):
        h = seq.new_zeros(seq.shape[0], w_rec.shape[0])
        out = []
        for x in seq.transpose(0, 1):
            h = torch.tanh(torch.addmm(b, x, w_in) + self.h_drop(h) @ w_rec)
            out.append(h)
        return torch.stack(out).transpose(0, 1), h


def run(case):
    net = case.keep(lambda: Elman(case.rate("state.h")))
    net.train(case.training)
    y, h = net(case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"])
    return {"y": y, "h": h}
