"""Course assignment: LSTM forward pass, loops over time."""
import numpy as np


def sigmoid(x):
    pos = x >= 0
    z = np.zeros_like(x)
    z[pos] = np.exp(-x[pos])
    z[~pos] = np.exp(x[~pos])
    top = np.ones_like(x)
    top[~pos] = z[~pos]
    return top / (1 + z)


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i = sigmoid(a[:, 0:H])
    f = sigmoid(a[:, H : 2 * H])
    g = np.tanh(a[:, 2 * H : 3 * H])
    o = sigmoid(a[:, 3 * H : 4 * H])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, next_c


def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T, H), dtype=x.dtype)
    prev_h, prev_c = h0, np.zeros_like(h0)
    for t in range(T):
        prev_h, prev_c = lstm_step_forward(x[:, t, :], prev_h, prev_c, Wx, Wh, b)
        h[:, t, :] = prev_h
    return h, prev_c


def dropout_forward(x, p, mode, rng):
    if mode == "train" and p > 0:
        mask = rng.bernoulli(1 - p, x.shape) / (1 - p)
        out = x * mask
    else:
        out = x
    return out.astype(x.dtype, copy=False)


def run(case):
    w = case.weights
    x = dropout_forward(case.inputs["x"], case.rate("input"), case.mode, case.rng)
    h, c = lstm_forward(x, case.inputs["h0"], w["kernel"], w["recurrent_kernel"], w["bias"])
    last_h = h[:, -1, :].copy()
    y = dropout_forward(h, case.rate("output"), case.mode, case.rng)
    return {"y": y, "h": last_h, "c": c}
