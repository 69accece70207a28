# min-char-rnn style
import numpy as np


def run(case):
    Wxh = case.weights["kernel"].T
    Whh = case.weights["recurrent_kernel"]  # hidden to hidden
    bh = case.weights["bias"]
    ys = []
    for seq in case.inputs["x"]:
        hs = {-1: np.zeros(len(bh), dtype=bh.dtype)}
        for t in range(len(seq)):
            hs[t] = np.tanh(np.dot(Wxh, seq[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys.append([hs[t] for t in range(len(seq))])
    y = np.array(ys)
    p = case.rate("output")
    if p:
        y = y * case.rng.bernoulli(1 - p, y.shape) / (1 - p)
    return {"y": y, "h": np.array([row[-1] for row in ys])}
