# encoder of the question answering model
import torch
import torch.nn.functional as F
from torch import nn


class QuestionEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dropout_p = config["dropout_p"]
        self.gru = nn.GRU(config["input_size"], config["hidden_size"], batch_first=True)

    def forward(self, question):
        output, hidden = self.gru(question)
        output = F.dropout(output, self.dropout_p)
        return output, hidden[0]


def _zrn_to_rzn(w):
    z, r, n = torch.tensor_split(w, 3, dim=-1)
    return torch.cat((r, z, n), -1)


def run(case):
    rate = [site for site in case.dropout if site["at"] == "output"][0]["rate"]
    x = case.inputs["x"]
    enc = QuestionEncoder({"input_size": x.shape[2], "hidden_size": case.config["units"], "dropout_p": rate})
    enc = enc.to(x.dtype)
    enc.train() if case.training else enc.eval()
    params = {
        "gru.weight_ih_l0": _zrn_to_rzn(case.weights["kernel"]).t(),
        "gru.weight_hh_l0": _zrn_to_rzn(case.weights["recurrent_kernel"]).t(),
        "gru.bias_ih_l0": _zrn_to_rzn(case.weights["bias"]),
        "gru.bias_hh_l0": _zrn_to_rzn(case.weights["recurrent_bias"]),
    }
    y, h = torch.func.functional_call(enc, params, (x,))
    return {"y": y, "h": h}
