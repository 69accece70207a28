import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class PackedEncoder(nn.Module):
    def __init__(self, d_in, d_out, p):
        super().__init__()
        self.dropout = nn.Dropout(p)
        self.rnn = nn.LSTM(d_in, d_out, batch_first=True)

    def forward(self, x, lengths):
        x = self.dropout(x)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, (_, c_n) = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.size(1))
        last = out[:, -1, :]  # sentence vector
        return out, last, c_n[-1]


def run(case):
    x = case.inputs["x"]
    net = PackedEncoder(x.size(2), case.config["units"], case.rate("input")).to(x.dtype)
    net.train(case.training)
    w = case.weights
    weights = {
        "rnn.weight_ih_l0": w["kernel"].T,
        "rnn.weight_hh_l0": w["recurrent_kernel"].T,
        "rnn.bias_ih_l0": w["bias"],
        "rnn.bias_hh_l0": 0 * w["bias"],
    }
    y, h, c = torch.func.functional_call(net, weights, (x, case.inputs["lengths"]))
    return {"y": y, "h": h, "c": c}
