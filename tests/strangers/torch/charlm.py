import torch


def lstm(x, W, U, b, p):
    N, T, _ = x.shape
    n = U.shape[0]
    h = c = torch.zeros(N, n, dtype=x.dtype)
    m = torch.bernoulli(torch.full((N, n), 1 - p, dtype=x.dtype)) / (1 - p) if p else 1.0
    H = []
    for t in range(T):
        a = x[:, t] @ W + h @ U + b
        i, f, o = a[:, :n].sigmoid(), a[:, n : 2 * n].sigmoid(), a[:, 3 * n :].sigmoid()
        g = a[:, 2 * n : 3 * n].tanh()
        c = f * c + i * g
        h = o * c.tanh() * m
        H.append(h)
    return torch.stack(H, 1), h, c


def run(case):
    w = case.weights
    y, h, c = lstm(case.inputs["x"], w["kernel"], w["recurrent_kernel"], w["bias"], case.rate("state.h"))
    return dict(y=y, h=h, c=c)
