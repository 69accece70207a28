"""The minimal gated unit as a NumPy recipe, gate by gate and step by step."""

import numpy as np

from harness.frameworks.contract.adapter import implementation
from harness.frameworks.numpy.cell import constant, sigmoid
from harness.frameworks.numpy.recurrent import Simple, affine


@implementation("parity_gates.minimal_gated_unit", ["numpy"], "minimal_gated_unit", needs=["numpy"], recipe=True)
class MinimalGatedUnit(Simple):
    """f and n."""

    def step(self, job, x, h, before, weights):
        units = job.config["units"]
        x_f, x_n = [affine(x[gate], weights["kernel"], weights["bias"], gate, units) for gate in range(2)]
        recurrent = weights["recurrent_kernel"]
        f = sigmoid(x_f + affine(h[0], recurrent, None, 0, units))
        n = np.tanh(x_n + affine(f * h[1], recurrent, None, 1, units))
        return np.asarray((constant(1.0, f) - f) * before + f * n)
