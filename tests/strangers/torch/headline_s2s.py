"""Headline generation: LSTM encoder, LSTM decoder with teacher forcing."""
import torch
from torch import nn
from torch.func import functional_call


class Encoder(nn.Module):
    def __init__(self, emb, hid):
        super().__init__()
        self.cell = nn.LSTMCell(emb, hid)

    def forward(self, src):
        h, c = src.new_zeros(2, src.size(1), self.cell.hidden_size).unbind(0)
        for word in src:
            h, c = self.cell(word, (h, c))
        return h, c


class Decoder(nn.Module):
    def __init__(self, emb, hid, dropout):
        super().__init__()
        self.cell = nn.LSTMCell(emb, hid)
        self.embed_drop = nn.Dropout(dropout)
        self.out_drop = nn.Dropout(dropout)

    def forward(self, word, state):
        h, c = self.cell(self.embed_drop(word), state)
        return self.out_drop(h), (h, c)


class Headline(nn.Module):
    def __init__(self, d, e, hid, dropout):
        super().__init__()
        self.enc, self.dec = Encoder(d, hid), Decoder(e, hid, dropout)

    def forward(self, src, tgt):
        state = context = self.enc(src.transpose(0, 1))
        preds = []
        for word in tgt.transpose(0, 1):
            pred, state = self.dec(word, state)
            preds.append(pred)
        return torch.stack(preds, dim=1), state, context


def run(case):
    x, z = case.inputs["x"], case.inputs["z"]
    net = case.keep(lambda: Headline(x.size(-1), z.size(-1), case.config["units"], case.rate("decoder.input")))
    net.to(x.dtype).train(case.training)
    params = {}
    for mine, theirs in {"enc": "encoder", "dec": "decoder"}.items():
        params[f"{mine}.cell.weight_ih"] = case.weights[f"{theirs}.kernel"].T
        params[f"{mine}.cell.weight_hh"] = case.weights[f"{theirs}.recurrent_kernel"].T
        params[f"{mine}.cell.bias_ih"] = torch.zeros_like(case.weights[f"{theirs}.bias"])
        params[f"{mine}.cell.bias_hh"] = case.weights[f"{theirs}.bias"]
    y, (h, c), (eh, ec) = functional_call(net, params, (x, z))
    return {"y": y, "h": h, "c": c, "encoder.h": eh, "encoder.c": ec}
