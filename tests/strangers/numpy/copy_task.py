"""Copy task: the same LSTM reads and then writes."""
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Memory:
    h: NDArray
    c: NDArray


class TiedLSTM:
    def __init__(self, kernel: NDArray, recurrent_kernel: NDArray, bias: NDArray) -> None:
        self.gates = [
            tuple(np.ascontiguousarray(part) for part in triple)
            for triple in zip(np.split(kernel, 4, 1), np.split(recurrent_kernel, 4, 1), np.split(bias, 4))
        ]

    def _pre(self, gate: int, x: NDArray, h: NDArray) -> NDArray:
        W, U, b = self.gates[gate]
        return np.einsum("bd,dh->bh", x, W) + np.einsum("bk,kh->bh", h, U) + b

    def step(self, x: NDArray, m: Memory) -> Memory:
        i, f, o = (1 / (1 + np.exp(-self._pre(k, x, m.h))) for k in (0, 1, 3))
        c = f * m.c + i * np.tanh(self._pre(2, x, m.h))
        return Memory(o * np.tanh(c), c)


def run(case):
    x, z, rng = case.inputs["x"], case.inputs["z"], case.rng
    net = TiedLSTM(**case.weights)
    zero = np.zeros((len(x), case.config["units"]), x.dtype)
    memory = Memory(zero, zero)
    keep = x.dtype.type(1 - case.rate("encoder.input"))
    for t in range(x.shape[1]):
        frame = x[:, t]
        if keep < 1:
            frame = frame * rng.bernoulli(float(keep), frame.shape) / keep
        memory = net.step(frame, memory)
    handed = memory
    keep = x.dtype.type(1 - case.rate("decoder.output"))
    written = []
    for t in range(z.shape[1]):
        memory = net.step(z[:, t], memory)
        written.append(memory.h)
    y = np.stack(written, 1)
    if keep < 1:
        y = y * rng.bernoulli(float(keep), y.shape) / keep
    return {"y": y, "h": memory.h, "c": memory.c, "encoder.h": handed.h, "encoder.c": handed.c}
