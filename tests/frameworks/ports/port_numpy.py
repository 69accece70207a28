"""The same in NumPy, without gradients."""

import numpy as np


def run(case):
    x = case.inputs["x"]
    kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    keep = x.dtype.type(1.0 - case.rate("input"))
    if keep < 1:
        x = x * case.rng.bernoulli(keep, (x.shape[0], 1, x.shape[2])) / keep
    h = c = np.zeros((x.shape[0], recurrent.shape[0]), x.dtype)
    steps = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        steps.append(h)
    y = np.stack(steps, axis=1)
    keep = x.dtype.type(1.0 - case.rate("output"))
    if keep < 1:
        y = y * case.rng.bernoulli(keep, y.shape) / keep
    return {"y": y, "h": h, "c": c}
