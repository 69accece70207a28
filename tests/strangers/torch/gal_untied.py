import torch


def gal_lstm(X, W, U, b, px, ph):
    """Gal & Ghahramani 2016, untied weights: masks zx, zh of shape (4, N, .), fixed over the sequence."""
    N, T, D = X.shape
    H = U.shape[0]
    W4 = W.reshape(D, 4, H).permute(1, 0, 2)
    U4 = U.reshape(H, 4, H).permute(1, 0, 2)
    b4 = b.reshape(4, 1, H)
    zx = torch.ones(4, N, D, dtype=X.dtype)
    zh = torch.ones(4, N, H, dtype=X.dtype)
    if px > 0:
        zx = torch.bernoulli((1 - px) * zx) / (1 - px)
    if ph > 0:
        zh = torch.bernoulli((1 - ph) * zh) / (1 - ph)
    h = torch.zeros(N, H, dtype=X.dtype)
    c = torch.zeros(N, H, dtype=X.dtype)
    Y = []
    for t in range(T):
        a = torch.einsum("gnd,gdh->gnh", zx * X[None, :, t], W4) + torch.einsum("gnk,gkh->gnh", zh * h[None], U4) + b4
        i, f, o = torch.sigmoid(a[[0, 1, 3]])
        c = f * c + i * torch.tanh(a[2])
        h = o * torch.tanh(c)
        Y.append(h)
    return torch.stack(Y, 1), h, c


def run(case):
    w = case.weights
    y, h, c = gal_lstm(
        case.inputs["x"], w["kernel"], w["recurrent_kernel"], w["bias"], case.rate("input"), case.rate("state.h")
    )
    return {"y": y, "h": h, "c": c}
