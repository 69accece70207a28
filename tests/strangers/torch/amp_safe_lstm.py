"""AMP-safe LSTM: gates are always evaluated in fp32."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LSTMSettings:
    hidden_size: int
    input_dropout: float
    recurrent_dropout: float


class SafeGates(nn.Module):
    def forward(self, pre: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dtype = pre.dtype
        i, f, g, o = pre.float().chunk(4, dim=-1)  # avoid overflow under autocast
        return i.sigmoid().to(dtype), f.sigmoid().to(dtype), g.tanh().to(dtype), o.sigmoid().to(dtype)


class AmpSafeLSTM(nn.Module):
    def __init__(self, settings: LSTMSettings) -> None:
        super().__init__()
        self.settings = settings
        self.gates = SafeGates()

    def forward(self, x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s = self.settings
        x = nn.functional.dropout(x, s.input_dropout, self.training)
        h = x.new_zeros(x.shape[0], s.hidden_size)
        c = torch.zeros_like(h)
        ys: list[Tensor] = []
        for x_t in torch.unbind(x, dim=1):
            h_in = nn.functional.dropout(h, s.recurrent_dropout, self.training)
            i, f, g, o = self.gates(x_t @ kernel + h_in @ recurrent + bias)
            c = f * c + i * g
            h = o * torch.tanh(c)
            ys.append(h)
        return torch.stack(ys, dim=1), h, c


def run(case) -> dict[str, Tensor]:
    settings = LSTMSettings(case.config["units"], case.rate("input"), case.rate("state.h"))
    module = AmpSafeLSTM(settings).train(case.training)
    w = case.weights
    y, h, c = module(case.inputs["x"], w["kernel"], w["recurrent_kernel"], w["bias"])
    return {"y": y, "h": h, "c": c}
