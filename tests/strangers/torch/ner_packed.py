import torch
from torch import nn
from torch.nn.utils import rnn as rnn_utils


class NERModel(nn.Module):
    def __init__(self, emb_dim, hidden_dim, dropout):
        super().__init__()
        self.emb_dropout = nn.Dropout(dropout)
        self.bilstm = nn.LSTM(emb_dim, hidden_dim, bidirectional=True, batch_first=True)

    def forward(self, embedded, lens):
        embedded = self.emb_dropout(embedded)
        # sort by length for pack_padded_sequence
        sorted_lens, order = torch.sort(lens, descending=True)
        packed = rnn_utils.pack_padded_sequence(embedded[order], sorted_lens.tolist(), batch_first=True)
        out, (h, c) = self.bilstm(packed)
        out, _ = rnn_utils.pad_packed_sequence(out, batch_first=True, padding_value=0.0, total_length=embedded.size(1))
        inverse = torch.argsort(order)
        return out[inverse], h[:, inverse], c[:, inverse]


def run(case):
    x = case.inputs["x"]
    model = NERModel(x.size(-1), case.config["units"], case.rate("input")).to(x.dtype).train(case.training)
    weights = {}
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        weights["bilstm.weight_ih_l0" + suffix] = case.weights[direction + ".kernel"].T
        weights["bilstm.weight_hh_l0" + suffix] = case.weights[direction + ".recurrent_kernel"].T
        weights["bilstm.bias_ih_l0" + suffix] = case.weights[direction + ".bias"]
        weights["bilstm.bias_hh_l0" + suffix] = torch.zeros_like(case.weights[direction + ".bias"])
    y, h, c = torch.func.functional_call(model, weights, (x, case.inputs["lengths"]))
    return {"y": y, "h": h, "c": c}
