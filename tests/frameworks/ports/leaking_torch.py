"""A weight-dropped LSTM that keeps something from call to call, as `options: {leak: …}` says; its first call is right."""

import torch
import torch.nn.functional as F


class Net(torch.nn.Module):
    def __init__(self, features, units, rate):
        super().__init__()
        self.lstm = torch.nn.LSTM(features, units, batch_first=True)
        self.rate = rate
        self.hidden = None
        self.calls = 0

    def forward(self, x, leak):
        self.calls += 1
        weight = self.lstm.weight_hh_l0
        dropped = F.dropout(weight, self.rate, self.training)
        if leak == "weights" and self.training:
            weight.data = dropped.data
        others = {name: value for name, value in self.lstm.named_parameters() if name != "weight_hh_l0"}
        kept = self.hidden if leak == "state" or (leak == "evaluation" and not self.training) else None
        y, (h, c) = torch.func.functional_call(self.lstm, {**others, "weight_hh_l0": dropped}, (x, kept))
        self.hidden = (h.detach(), c.detach())
        return (y + 0.1 if leak == "third" and self.calls > 2 else y), h[0], c[0]


def run(case):
    x, w = case.inputs["x"], case.weights

    def make():
        net = Net(x.shape[2], case.config["units"], case.rate("weight.recurrent")).to(x.dtype)
        del net.lstm._parameters["bias_hh_l0"]
        net.lstm.bias_hh_l0 = torch.nn.Parameter(torch.zeros_like(w["bias"]))
        return net

    net = case.keep(make).train(case.training)
    if net.calls == 0 or case.options["leak"] != "weights":
        for name, value in (
            ("weight_ih_l0", w["kernel"].T),
            ("weight_hh_l0", w["recurrent_kernel"].T),
            ("bias_ih_l0", w["bias"]),
        ):
            getattr(net.lstm, name).data = value.detach().clone()
    y, h, c = net(x, case.options["leak"])
    return {"y": y * (2.0 if case.options.get("wrong") else 1.0), "h": h, "c": c}
