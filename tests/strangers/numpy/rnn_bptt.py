"""Elman RNN with backpropagation through time by hand; Gaussian noise on the input."""
import numpy as np


def run(case):
    x0, W, U, b = case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]
    B, T, _ = x0.shape
    rate = case.rate("input")
    factor = 1 + np.sqrt(rate / (1 - rate)) * case.rng.standard_normal(x0.shape) if rate else np.ones(x0.shape)
    x = x0 * factor
    h = np.zeros((B, T + 1, U.shape[0]), x.dtype)
    for t in range(T):
        h[:, t] = np.tanh(x[:, t] @ W + h[:, t - 1] @ U + b)
    # backward: loss = sum of y + sum of h
    dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh = np.ones((B, U.shape[0]), x.dtype)
    for t in reversed(range(T)):
        da = (dh + 1) * (1 - h[:, t] ** 2)
        dW += x[:, t].T @ da
        dU += h[:, t - 1].T @ da
        db += da.sum(0)
        dx[:, t] = da @ W.T
        dh = da @ U.T
    return {
        "y": h[:, :T],
        "h": h[:, T - 1],
        "gradients": {"x": dx * factor, "kernel": dW, "recurrent_kernel": dU, "bias": db},
    }
