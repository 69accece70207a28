import torch
import torch.nn as nn
import torch.nn.functional as F


class WeightDropLSTM(nn.LSTM):
    """nn.LSTM with DropConnect on the hidden-to-hidden matrix."""

    def __init__(self, *args, weight_dropout=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight_dropout = weight_dropout

    def forward(self, input, hx=None):
        if self.training and self.weight_dropout:
            with torch.no_grad():
                self.weight_hh_l0.copy_(F.dropout(self.weight_hh_l0, self.weight_dropout, training=True))
        return super().forward(input, hx)


def build(case):
    x, w = case.inputs["x"], case.weights
    lstm = WeightDropLSTM(x.shape[-1], case.config["units"], batch_first=True, weight_dropout=case.rate("weight.recurrent"))
    lstm = lstm.to(x.dtype)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(w["kernel"].t())
        lstm.weight_hh_l0.copy_(w["recurrent_kernel"].t())
        lstm.bias_ih_l0.copy_(w["bias"])
        lstm.bias_hh_l0.zero_()
    return lstm


def run(case):
    lstm = case.keep(lambda: build(case)).train(case.training)
    y, (h, c) = lstm(case.inputs["x"])
    return {"y": y, "h": h.squeeze(0), "c": c.squeeze(0)}
