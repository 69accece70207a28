import numpy as np

sigmoid = lambda v: 1.0 / (1.0 + np.exp(-v))  # noqa: E731


def gru_step(x, h, hd, Wz, Wr, Wh, Uz, Ur, Uh, bz, br, bh, cz, cr, ch):
    z = sigmoid(x @ Wz + hd @ Uz + bz + cz)
    r = sigmoid(x @ Wr + hd @ Ur + br + cr)
    hh = np.tanh(x @ Wh + (r * hd) @ Uh + bh + ch)
    return z * h + (1.0 - z) * hh


def run(case):
    x = case.inputs["x"]
    parts = []
    for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias"):
        parts += np.split(case.weights[name], 3, axis=-1)
    p = case.rate("state.h")
    h = np.zeros((x.shape[0], case.config["units"]), x.dtype)
    m = case.rng.bernoulli(1 - p, h.shape) / x.dtype.type(1 - p) if p else 1
    seq = []
    for t in range(x.shape[1]):
        h = gru_step(x[:, t], h, h * m, *parts)
        seq.append(h)
    return {"y": np.stack(seq, axis=1), "h": h}
