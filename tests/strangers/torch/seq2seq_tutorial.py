"""Seq2seq: teacher forcing, encoder and decoder LSTM (from a tutorial that had GRUs)."""
import torch
from torch import nn


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p):
        super().__init__()
        self.dropout = nn.Dropout(dropout_p)
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, inp):
        return self.rnn(self.dropout(inp))


class DecoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, target, hidden):
        cell = target.new_zeros(1, target.size(0), self.hidden_size)
        return self.rnn(target, (hidden, cell))


class Seq2Seq(nn.Module):
    def __init__(self, d, e, hidden, p):
        super().__init__()
        self.encoder = EncoderRNN(d, hidden, p)
        self.decoder = DecoderRNN(e, hidden)

    def forward(self, src, trg):
        _, (hidden, cell) = self.encoder(src)
        out, (h, c) = self.decoder(trg, hidden)
        return {"y": out, "h": h[0], "c": c[0], "encoder.h": hidden[0], "encoder.c": cell[0]}


def run(case):
    x, z, w = case.inputs["x"], case.inputs["z"], case.weights
    net = Seq2Seq(x.size(-1), z.size(-1), case.config["units"], case.rate("encoder.input")).to(x.dtype)
    net.train(case.training)
    p = {}
    for half in ("encoder", "decoder"):
        p[half + ".rnn.weight_ih_l0"] = w[half + ".kernel"].T
        p[half + ".rnn.weight_hh_l0"] = w[half + ".recurrent_kernel"].T
        p[half + ".rnn.bias_ih_l0"] = w[half + ".bias"]
        p[half + ".rnn.bias_hh_l0"] = torch.zeros_like(w[half + ".bias"])
    return torch.func.functional_call(net, p, (x, z))
