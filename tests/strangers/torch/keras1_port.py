"""Port eines alten Keras-Modells (Keras 1/2, recurrent_activation='hard_sigmoid') nach PyTorch."""
import torch
import torch.nn.functional as F
from torch import nn


class KerasLSTM(nn.Module):
    def __init__(self, eingang, einheiten, dropout=0.0):
        super().__init__()
        self.einheiten = einheiten
        self.kernel = nn.Parameter(torch.empty(eingang, 4 * einheiten))
        self.recurrent_kernel = nn.Parameter(torch.empty(einheiten, 4 * einheiten))
        self.bias = nn.Parameter(torch.empty(4 * einheiten))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        # Keras zieht eine Maske pro Sequenz: (Batch, 1, Merkmale)
        maske = self.dropout(x.new_ones(x.size(0), 1, x.size(2)))
        x = x * maske
        h = x.new_zeros(x.size(0), self.einheiten)
        c = x.new_zeros(x.size(0), self.einheiten)
        for t in range(x.size(1)):
            z = x[:, t] @ self.kernel + h @ self.recurrent_kernel + self.bias
            z_i, z_f, z_c, z_o = torch.chunk(z, 4, dim=1)
            i = F.hardsigmoid(z_i)
            f = F.hardsigmoid(z_f)
            c = f * c + i * torch.tanh(z_c)
            o = F.hardsigmoid(z_o)
            h = o * torch.tanh(c)
        return h, c


def run(case):
    x = case.inputs["x"]
    modell = KerasLSTM(x.shape[2], case.config["units"], case.rate("input"))
    modell.train(case.training)
    h, c = torch.func.functional_call(modell, dict(case.weights), (x,))
    return {"y": h, "h": h, "c": c}
