"""Dropout in NumPy as a layer that lives through several calls; and a stateful LSTM."""

import numpy as np


class Locked:
    """Draws its mask at the first call; `keeps`: and never again."""

    def __init__(self, rate, keeps):
        self.rate, self.keeps, self.mask = rate, keeps, None

    def __call__(self, x, rng):
        if self.mask is None or not self.keeps:
            self.mask = rng.bernoulli(1 - self.rate, x.shape)
        return x * self.mask / x.dtype.type(1 - self.rate)


def dropped(case, layer):
    return {"y": layer(case.inputs["x"], case.rng) if case.training else case.inputs["x"]}


def anew(case):
    return dropped(case, case.keep(lambda: Locked(case.rate("input"), keeps=False)))


def cached(case):
    return dropped(case, case.keep(lambda: Locked(case.rate("input"), keeps=True)))


def plain(case):
    return dropped(case, Locked(case.rate("input"), keeps=True))


def raises_at_the_second_call(case):
    calls = case.keep(list)
    calls.append(1)
    if len(calls) > 1:
        raise ValueError("once is enough")
    return plain(case)


class Lstm:
    state = None

    def __call__(self, case, reset):
        x = case.inputs["x"]
        kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
        if self.state is None or reset:
            self.state = (np.zeros((len(x), len(recurrent)), x.dtype),) * 2
        h, c = self.state
        steps = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            steps.append(h)
        self.state = (h, c)
        return {"y": np.stack(steps, axis=1), "h": h, "c": c}


def stateful(case):
    return case.keep(Lstm)(case, case.reset)


def never_reset(case):
    return case.keep(Lstm)(case, reset=False)


def forgets(case):
    return Lstm()(case, case.reset)
