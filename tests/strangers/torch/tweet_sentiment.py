"""LSTM with recurrent dropout as in Gal & Ghahramani, for the tweet sentiment model."""
import torch
from torch import nn
from torch.func import functional_call


class RecurrentDropoutLSTM(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, recurrent_dropout: float = 0.0):
        super(RecurrentDropoutLSTM, self).__init__()
        self.hidden_dim = hidden_dim
        self.x2h = nn.Linear(input_dim, 4 * hidden_dim)
        self.h2h = nn.Linear(hidden_dim, 4 * hidden_dim, bias=False)
        self.drop = nn.Dropout(recurrent_dropout)

    def forward(self, inputs):
        # inputs: [bsz, seq_len, dim]
        bsz, seq_len, _ = inputs.size()
        hx = inputs.new_zeros(bsz, self.hidden_dim)
        cx = inputs.new_zeros(bsz, self.hidden_dim)
        outputs = []
        for step in range(seq_len):
            gates = self.x2h(inputs[:, step, :]) + self.h2h(self.drop(hx))
            in_gate, forget_gate, cell_gate, out_gate = gates.chunk(4, 1)
            in_gate = torch.sigmoid(in_gate)
            forget_gate = torch.sigmoid(forget_gate)
            cell_gate = torch.tanh(cell_gate)
            out_gate = torch.sigmoid(out_gate)
            cx = forget_gate * cx + in_gate * cell_gate
            hx = out_gate * torch.tanh(cx)
            outputs.append(hx.unsqueeze(1))
        return torch.cat(outputs, dim=1), (hx, cx)


def run(case):
    x = case.inputs["x"]
    model = RecurrentDropoutLSTM(x.size(-1), case.config["units"], case.rate("state.h")).to(x.dtype)
    model.train(case.training)
    state_dict = {
        "x2h.weight": case.weights["kernel"].t(),
        "x2h.bias": case.weights["bias"],
        "h2h.weight": case.weights["recurrent_kernel"].t(),
    }
    out, (h, c) = functional_call(model, state_dict, (x,))
    return {"y": out, "h": h, "c": c}
