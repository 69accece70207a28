"""Inference of an exported GRU without torch."""
import numpy as np


class GRU:
    def __init__(self, weight_ih, weight_hh, bias_ih, bias_hh):
        self.weight_ih = weight_ih
        self.weight_hh = weight_hh
        self.bias_ih = bias_ih
        self.bias_hh = bias_hh
        self.hidden_size = weight_hh.shape[1]

    @staticmethod
    def _sigmoid(x):
        return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))

    def __call__(self, x, h):
        out = []
        for t in range(x.shape[1]):
            gi = x[:, t] @ self.weight_ih.T + self.bias_ih
            gh = h @ self.weight_hh.T + self.bias_hh
            i_r, i_z, i_n = np.split(gi, 3, 1)
            h_r, h_z, h_n = np.split(gh, 3, 1)
            r = self._sigmoid(i_r + h_r)
            z = self._sigmoid(i_z + h_z)
            n = np.tanh(i_n + r * h_n)
            h = (1 - z) * n + z * h
            out.append(h)
        return np.stack(out, 1), h


def run(case):
    w = case.weights
    x = case.inputs["x"]
    rate = case.rate("input")
    if rate > 0:
        x = x * case.rng.bernoulli(1 - rate, x.shape) / (1 - rate)
    net = GRU(w["kernel"].T, w["recurrent_kernel"].T, w["bias"], w["recurrent_bias"])
    y, h = net(x, np.zeros((len(x), net.hidden_size), x.dtype))
    return {"y": y, "h": h}
