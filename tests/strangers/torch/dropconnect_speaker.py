"""DropConnect in the LSTM of the speaker model (Wan et al. 2013; Merity et al. 2017)."""
import torch
import torch.nn.functional as F
from torch import nn


class WeightDrop(nn.Module):
    def __init__(self, module, names, p):
        super().__init__()
        self.module, self.names, self.p = module, names, p

    def forward(self, params, *args):
        dropped = dict(params)
        for name in self.names:
            dropped[name] = F.dropout(params[name], self.p, self.training)
        return torch.func.functional_call(self.module, dropped, args)


def run(case):
    x, w = case.inputs["x"], case.weights
    rnn = nn.LSTM(x.shape[-1], case.config["units"], batch_first=True).to(x.dtype)
    net = WeightDrop(rnn, ["weight_ih_l0"], case.rate("weight.recurrent")).train(case.training)
    params = {
        "weight_ih_l0": w["kernel"].t(),
        "weight_hh_l0": w["recurrent_kernel"].t(),
        "bias_ih_l0": w["bias"],
        "bias_hh_l0": torch.zeros_like(w["bias"]),
    }
    y, (h, c) = net(params, x)
    return {"y": y, "h": h[0], "c": c[0]}
