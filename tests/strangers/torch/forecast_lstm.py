import torch
import torch.nn as nn


class ForecastLSTM(nn.Module):
    def __init__(self, n_features, hidden_size=64, num_layers=1, dropout=0.2):
        super().__init__()
        self.lstm = nn.LSTM(
            input_size=n_features,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            batch_first=True,
        )

    def forward(self, x):
        out, (hn, cn) = self.lstm(x)
        return out, hn.squeeze(0), cn.squeeze(0)


def run(case):
    x, w = case.inputs["x"], case.weights
    model = case.keep(lambda: ForecastLSTM(x.shape[-1], case.config["units"], 1, case.rate("output")))
    model.to(x.dtype).train(case.training)
    sd = {
        "lstm.weight_ih_l0": w["kernel"].T,
        "lstm.weight_hh_l0": w["recurrent_kernel"].T,
        "lstm.bias_ih_l0": w["bias"],
        "lstm.bias_hh_l0": torch.zeros_like(w["bias"]),
    }
    out, hn, cn = torch.func.functional_call(model, sd, (x,))
    return {"y": out, "h": hn, "c": cn}
