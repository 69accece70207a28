import numpy as np


def _sig(a):
    return 1.0 / (1.0 + np.exp(-a))


def _scan(seq, W, U, b):
    n = U.shape[0]
    h = np.zeros(n, seq.dtype)
    c = np.zeros(n, seq.dtype)
    out = []
    for v in seq:
        a = v @ W + h @ U + b
        c = _sig(a[n : 2 * n]) * c + _sig(a[:n]) * np.tanh(a[2 * n : 3 * n])
        h = _sig(a[3 * n :]) * np.tanh(c)
        out.append(h)
    return np.array(out), h, c


def run(case):
    x, lengths = case.inputs["x"], case.inputs["lengths"]
    B, T, _ = x.shape
    n = case.config["units"]
    fw = [case.weights["forward." + k] for k in ("kernel", "recurrent_kernel", "bias")]
    bw = [case.weights["backward." + k] for k in ("kernel", "recurrent_kernel", "bias")]
    y = np.zeros((B, T, 2 * n), x.dtype)
    h = np.zeros((2, B, n), x.dtype)
    c = np.zeros((2, B, n), x.dtype)
    for k in range(B):
        L = int(lengths[k])
        y[k, :L, :n], h[0, k], c[0, k] = _scan(x[k, :L], *fw)
        back, h[1, k], c[1, k] = _scan(x[k, :L][::-1], *bw)
        y[k, :L, n:] = back[::-1]
    p = case.rate("output")
    if p:
        y = y * case.rng.bernoulli(1 - p, y.shape) / x.dtype.type(1 - p)
    return {"y": y, "h": h, "c": c}
