"""Graves (2013) LSTM with peephole connections."""
from typing import NamedTuple

import torch
from torch import Tensor


class State(NamedTuple):
    h: Tensor
    c: Tensor


class PeepholeLSTMCell:
    def __init__(self, params: dict[str, Tensor]) -> None:
        self.wi, self.wf, self.wc, self.wo = params["kernel"].chunk(4, -1)
        self.ui, self.uf, self.uc, self.uo = params["recurrent_kernel"].chunk(4, -1)
        self.bi, self.bf, self.bc, self.bo = params["bias"].chunk(4, -1)
        self.pi, self.pf, self.po = params["peephole_i"], params["peephole_f"], params["peephole_o"]

    def __call__(self, x: Tensor, state: State) -> State:
        h, c = state
        i = torch.sigmoid(x @ self.wi + h @ self.ui + c * self.pi + self.bi)
        f = torch.sigmoid(x @ self.wf + h @ self.uf + c * self.pf + self.bf)
        o = torch.sigmoid(x @ self.wo + h @ self.uo + c * self.po + self.bo)
        c_new = f * c + i * torch.tanh(x @ self.wc + h @ self.uc + self.bc)
        return State(o * torch.tanh(c_new), c_new)


def run(case) -> dict[str, Tensor]:
    x = torch.nn.functional.dropout(case.inputs["x"], case.rate("input"), case.training)
    cell = PeepholeLSTMCell(case.weights)
    state = State(case.inputs["h0"], case.inputs["c0"])
    ys = []
    for t in range(x.size(1)):
        state = cell(x[:, t], state)
        ys.append(state.h)
    return {"y": torch.stack(ys, dim=1), "h": state.h, "c": state.c}
