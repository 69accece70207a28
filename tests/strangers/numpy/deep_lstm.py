import numpy as np


class Layer:
    def __init__(self, kernel, recurrent, bias):
        self.kernel, self.recurrent, self.bias = kernel, recurrent, bias

    def forward(self, x):
        n_batch, n_steps, _ = x.shape
        n = self.recurrent.shape[0]
        h, c = np.zeros((n_batch, n), x.dtype), np.zeros((n_batch, n), x.dtype)
        out = np.empty((n_batch, n_steps, n), x.dtype)
        for t in range(n_steps):
            a = x[:, t] @ self.kernel + h @ self.recurrent + self.bias
            gates = 1 / (1 + np.exp(-a))
            c = gates[:, n : 2 * n] * c + gates[:, :n] * np.tanh(a[:, 2 * n : 3 * n])
            h = gates[:, 3 * n :] * np.tanh(c)
            out[:, t] = h
        return out, h, c


class DeepLSTM:
    def __init__(self, layers, p, rng):
        self.layers, self.p, self.rng = layers, p, rng

    def forward(self, x, training):
        hs, cs = [], []
        mask = None
        for number, layer in enumerate(self.layers):
            if number and training and self.p:
                if mask is None:
                    mask = self.rng.bernoulli(1 - self.p, x.shape) / np.asarray(1 - self.p, x.dtype)
                x = x * mask
            x, h, c = layer.forward(x)
            hs.append(h)
            cs.append(c)
        return x, np.stack(hs), np.stack(cs)


def run(case):
    names = ("kernel", "recurrent_kernel", "bias")
    layers = [Layer(*(case.weights[f"layer{k}.{n}"] for n in names)) for k in range(case.config["layers"])]
    y, h, c = DeepLSTM(layers, case.rate("between_layers"), case.rng).forward(case.inputs["x"], case.training)
    return {"y": y, "h": h, "c": c}
