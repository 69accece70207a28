"""Session-based recommendation: GRU with recurrent dropout, weights kept gate by gate."""
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, W, U, b, rb):
        super().__init__()
        self.W, self.U, self.b, self.rb = W, U, b, rb

    def input(self, x):
        return x @ self.W + self.b

    def hidden(self, h):
        return h @ self.U + self.rb


class SessionGRU(nn.Module):
    def __init__(self, weights, p):
        super().__init__()
        parts = [weights[n].chunk(3, dim=-1) for n in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")]
        self.update, self.reset, self.new = (Gate(*four) for four in zip(*parts))
        self.p = p

    def forward(self, x):
        batch, steps, _ = x.size()
        h = x.new_zeros(batch, self.update.U.size(0))
        outputs = x.new_empty(batch, 0, h.size(1))
        for t in range(steps):
            x_t = x[:, t]
            hd = h
            if self.training and self.p > 0:
                u = torch.rand(h.size(), dtype=h.dtype)
                hd = h * (u >= self.p).type_as(h) / (1.0 - self.p)
            r = torch.sigmoid(self.reset.input(x_t) + self.reset.hidden(hd))
            z = torch.sigmoid(self.update.input(x_t) + self.update.hidden(hd))
            n = torch.tanh(self.new.input(x_t) + r * self.new.hidden(hd))
            h = n + z * (h - n)
            outputs = torch.cat([outputs, h.unsqueeze(1)], dim=1)
        return outputs, h


def run(case):
    net = SessionGRU(case.weights, case.rate("state.h"))
    net.train(case.training)
    y, h = net(case.inputs["x"])
    return {"y": y, "h": h}
