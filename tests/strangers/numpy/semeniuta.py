"""Recurrent dropout without memory loss."""
import numpy as np


def sigm(a):
    return 1 / (1 + np.exp(-a))


def run(case):
    x, W, U, b = case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]
    keep = 1 - case.rate("state.h")
    n = U.shape[0]
    h = np.zeros((x.shape[0], n), dtype=x.dtype)
    c = np.zeros((x.shape[0], n), dtype=x.dtype)
    hs = []
    for t in range(x.shape[1]):
        if keep < 1:
            c = c * case.rng.bernoulli(keep, c.shape)
        a = x[:, t].dot(W) + h.dot(U) + b
        i, f, g, o = a[:, :n], a[:, n : 2 * n], a[:, 2 * n : 3 * n], a[:, 3 * n :]
        c = sigm(f) * c + sigm(i) * np.tanh(g)
        h = sigm(o) * np.tanh(c)
        hs.append(h)
    return {"y": np.array(hs).swapaxes(0, 1), "h": h, "c": c}
