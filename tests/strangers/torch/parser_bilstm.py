import torch
import torch.nn as nn


class LockedDropout(nn.Module):
    """dropout with the same mask for every word of a sentence"""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        m = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(1 - self.p)
        return x * (m / (1 - self.p)).expand_as(x)


class Encoder(nn.Module):
    def __init__(self, n_in, n_hidden, n_layers, dropout):
        super().__init__()
        self.layers = nn.ModuleList()
        for k in range(n_layers):
            self.layers.append(nn.LSTM(n_in if k == 0 else n_hidden, n_hidden, batch_first=True))
        self.dropout = LockedDropout(dropout)

    def forward(self, words):
        hs, cs = [], []
        out = words
        for k, layer in enumerate(self.layers):
            if k > 0:
                out = self.dropout(out)
            out, (h, c) = layer(out)
            hs.append(h[0])
            cs.append(c[0])
        return out, torch.stack(hs), torch.stack(cs)


def run(case):
    x = case.inputs["x"]
    n = case.config["layers"]
    net = Encoder(x.shape[-1], case.config["units"], n, case.rate("between_layers")).to(x.dtype)
    net.train(case.training)
    p = {}
    for k in range(n):
        p[f"layers.{k}.weight_ih_l0"] = case.weights[f"layer{k}.kernel"].T
        p[f"layers.{k}.weight_hh_l0"] = case.weights[f"layer{k}.recurrent_kernel"].T
        p[f"layers.{k}.bias_ih_l0"] = case.weights[f"layer{k}.bias"]
        p[f"layers.{k}.bias_hh_l0"] = torch.zeros_like(case.weights[f"layer{k}.bias"])
    y, h, c = torch.func.functional_call(net, p, (x,))
    return {"y": y, "h": h, "c": c}
