"""Word-level LM, trimmed down from the examples."""
import torch
import torch.nn as nn
from torch.func import functional_call


def repackage_hidden(h):
    return tuple(v.detach() for v in h)


class RNNModel(nn.Module):
    def __init__(self, ninp, nhid, nlayers, dropout):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout)
        self.hidden = None

    def forward(self, emb):
        emb = self.drop(emb.permute(1, 0, 2))
        output, hidden = self.rnn(emb, self.hidden)
        self.hidden = repackage_hidden(hidden)
        return output.permute(1, 0, 2), hidden


def run(case):
    x, cfg = case.inputs["x"], case.config
    model = case.keep(lambda: RNNModel(x.size(2), cfg["units"], cfg["layers"], case.rate("input")))
    model = model.to(x.dtype).train(case.training)
    named = {}
    for l in range(cfg["layers"]):
        named["rnn.weight_ih_l%d" % l] = case.weights["layer%d.kernel" % l].T
        named["rnn.weight_hh_l%d" % l] = case.weights["layer%d.recurrent_kernel" % l].T
        named["rnn.bias_ih_l%d" % l] = case.weights["layer%d.bias" % l]
        named["rnn.bias_hh_l%d" % l] = torch.zeros_like(case.weights["layer%d.bias" % l])
    y, (h, c) = functional_call(model, named, (x,))
    return {"y": y, "h": h, "c": c}
