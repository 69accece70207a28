"""The GRU and the simple recurrent layer as NumPy recipes, gate by gate and step by step, in Keras's form and gate order.

    GRU     z = sigmoid(x_z + h_z);  r = sigmoid(x_r + h_r);  hh = tanh(x_h + r * h_h);  h = z * h + (1 - z) * hh
    simple  h = tanh(x W + b + h U)

where x_g = x W_g + b_g and h_g = h U_g (+ the recurrent bias); without `reset_after`, r * h enters the product instead.
"""

from typing import List, Optional

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.geometry import outputs_of
from harness.frameworks.numpy.base import Arrays
from harness.frameworks.numpy.cell import constant, dropped, product, sigmoid
from harness.frameworks.numpy.lstm import Masks, Recurrent, beside, emitted_by, pile


class Simple(Recurrent):
    """What both share: the walk over the steps. Subclasses write `step`."""

    sites = ("input", "state.h", "output")

    def step(
        self, job: Job, x: List[np.ndarray], h: List[np.ndarray], before: np.ndarray, weights: Arrays
    ) -> np.ndarray:
        """One step from x and h as they enter each gate, and the whole h before it."""
        raise NotImplementedError

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        (stack,), x = job.stacks, inputs["x"]
        masks = Masks(job, draws, x)
        h = inputs.get("h0")
        if h is None:
            h = np.zeros(stack.state_shape("h"), dtype=x.dtype)
        steps = []
        for t in range(stack.time):
            x_gates = [dropped(x[..., t, :], masks.part("input", gates=gate, time=t)) for gate in range(stack.gates)]
            h_gates = [dropped(h, masks.part("state.h", gates=gate, time=t)) for gate in range(stack.gates)]
            h = self.step(job, x_gates, h_gates, h, weights)
            steps.append(h)
        return outputs_of([stack], job.config, pile(emitted_by(stack, 0, steps, masks), -2), [[h]], beside)


def affine(entering: np.ndarray, kernel: np.ndarray, bias: Optional[np.ndarray], gate: int, units: int) -> np.ndarray:
    """One gate's block of entering @ kernel + bias."""
    columns = slice(gate * units, (gate + 1) * units)
    total = product(entering, kernel[..., columns])
    return total if bias is None else total + bias[..., None, columns]


@implementation("numpy.gru", ["numpy"], "gru", needs=["numpy"], recipe=True)
class Gru(Simple):
    """Gates z, r, h."""

    settings = (*PLAIN_SETTINGS, "reset_after")

    def step(
        self, job: Job, x: List[np.ndarray], h: List[np.ndarray], before: np.ndarray, weights: Arrays
    ) -> np.ndarray:
        units = job.config["units"]
        x_z, x_r, x_h = [affine(x[gate], weights["kernel"], weights["bias"], gate, units) for gate in range(3)]
        recurrent, bias = weights["recurrent_kernel"], weights.get("recurrent_bias")
        z = sigmoid(x_z + affine(h[0], recurrent, bias, 0, units))
        r = sigmoid(x_r + affine(h[1], recurrent, bias, 1, units))
        if job.config["reset_after"]:
            hh = np.tanh(x_h + r * affine(h[2], recurrent, bias, 2, units))
        else:
            hh = np.tanh(x_h + affine(r * h[2], recurrent, bias, 2, units))
        return np.asarray(z * before + (constant(1.0, z) - z) * hh)


@implementation("numpy.simple_rnn", ["numpy"], "simple_rnn", needs=["numpy"], recipe=True)
class SimpleRnn(Simple):
    """One gate."""

    def step(
        self, job: Job, x: List[np.ndarray], h: List[np.ndarray], before: np.ndarray, weights: Arrays
    ) -> np.ndarray:
        units = job.config["units"]
        entering = affine(x[0], weights["kernel"], weights["bias"], 0, units)
        return np.asarray(np.tanh(entering + affine(h[0], weights["recurrent_kernel"], None, 0, units)))
