import numpy as np


class OnlineLSTM:
    """Keeps (h, c) from one chunk of the stream to the next."""

    def __init__(self, units):
        self.units = units
        self.h = self.c = None

    def reset_states(self):
        self.h = self.c = None

    def __call__(self, chunk, weights, keep, rng):
        if self.h is None:
            self.h = np.zeros((chunk.shape[0], self.units), chunk.dtype)
            self.c = self.h.copy()
        out = []
        for t in range(chunk.shape[1]):
            z = chunk[:, t] @ weights["kernel"] + self.h @ weights["recurrent_kernel"] + weights["bias"]
            i, f, g, o = z.reshape(len(z), 4, self.units).transpose(1, 0, 2)
            i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
            self.c = f * self.c + i * np.tanh(g)
            self.h = o * np.tanh(self.c)
            out.append(self.h)
        y = np.stack(out, axis=1)
        if keep < 1:
            y = y * rng.bernoulli(keep, y.shape) * chunk.dtype.type(1 / keep)
        return y


def run(case):
    net = case.keep(lambda: OnlineLSTM(case.config["units"]))
    if case.reset:
        net.reset_states()
    y = net(case.inputs["x"], case.weights, 1 - case.rate("output"), case.rng)
    return {"y": y, "h": net.h, "c": net.c}
