"""Dropout on an LSTM's last output: on the whole sequence before the last step is taken, or behind it; right or not scaled."""

import torch


def run(case):
    x, w = case.inputs["x"], case.weights
    net = torch.nn.LSTM(x.shape[2], case.config["units"], batch_first=True)
    weights = {
        "weight_ih_l0": w["kernel"].T,
        "weight_hh_l0": w["recurrent_kernel"].T,
        "bias_ih_l0": w["bias"],
        "bias_hh_l0": torch.zeros_like(w["bias"]),
    }
    y = torch.func.functional_call(net, weights, (x,))[0]
    where = case.options["dropped"]
    y = y if where == "sequence" else y[:, -1]
    dropped = torch.nn.functional.dropout(y, case.rate("output"), case.training)
    if where == "unscaled" and case.training:
        dropped = dropped * (1.0 - case.rate("output"))
    return {"y": dropped[:, -1] if where == "sequence" else dropped}
