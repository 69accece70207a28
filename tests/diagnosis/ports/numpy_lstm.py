"""LSTMs in NumPy, as people write them. A docstring begins with the case and the faults planted in it (`right`: none)."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def fused(x, kernel, recurrent, bias, h=None, c=None, order="ifgo", act=sigmoid, squash=np.tanh, forget=0.0):
    """One product of [x, h] with the stacked kernels at every step; blocks in `order`."""
    batch, time, _ = x.shape
    units = recurrent.shape[0]
    both = np.concatenate([kernel, recurrent])
    h = np.zeros((batch, units), x.dtype) if h is None else h
    c = np.zeros((batch, units), x.dtype) if c is None else c
    ys = []
    for t in range(time):
        z = dict(zip(order, np.split(np.concatenate([x[:, t], h], axis=1) @ both + bias, 4, axis=1)))  # noqa: B905
        c = act(z["f"] + x.dtype.type(forget)) * c + act(z["i"]) * squash(z["g"])
        h = act(z["o"]) * squash(c)
        ys.append(h)
    return np.stack(ys, axis=1), h, c


def weights(case):
    return case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]


def out(y, h, c):
    return {"y": y, "h": h, "c": c}


def plain(case):
    """plain | right"""
    return out(*fused(case.inputs["x"], *weights(case)))


def with_states(case):
    """states | right"""
    return out(*fused(case.inputs["x"], *weights(case), case.inputs["h0"], case.inputs["c0"]))


def split_kernels(case):
    """plain | right
    Four little matrices a kernel, gate by gate, sample by sample.
    """
    x, (W, U, b) = case.inputs["x"], weights(case)
    n = U.shape[0]
    Wi, Wf, Wg, Wo = (W[:, k * n : (k + 1) * n] for k in range(4))
    Ui, Uf, Ug, Uo = (U[:, k * n : (k + 1) * n] for k in range(4))
    bi, bf, bg, bo = b[:n], b[n : 2 * n], b[2 * n : 3 * n], b[3 * n :]
    ys, hs, cs = [], [], []
    for sample in x:
        h, c = np.zeros(n, x.dtype), np.zeros(n, x.dtype)
        seq = []
        for xt in sample:
            i, f, o = sigmoid(xt @ Wi + h @ Ui + bi), sigmoid(xt @ Wf + h @ Uf + bf), sigmoid(xt @ Wo + h @ Uo + bo)
            c = f * c + i * np.tanh(xt @ Wg + h @ Ug + bg)
            h = o * np.tanh(c)
            seq.append(h)
        ys.append(seq), hs.append(h), cs.append(c)
    return out(np.array(ys), np.array(hs), np.array(cs))


def other_order_undone(case):
    """plain | right
    Works in the order o, f, i, g throughout, having permuted the weights.
    """
    n = case.config["units"]
    index = np.concatenate([np.arange(n) + n * k for k in (3, 1, 0, 2)])
    W, U, b = (w[..., index] for w in weights(case))
    return out(*fused(case.inputs["x"], W, U, b, order="ofig"))


def time_major(case):
    """plain | right"""
    x, (W, U, b) = case.inputs["x"].transpose(1, 0, 2), weights(case)
    pre = x @ W
    h = c = np.zeros((x.shape[1], U.shape[0]), x.dtype)
    ys = np.empty((x.shape[0], x.shape[1], U.shape[0]), x.dtype)
    for t, zx in enumerate(pre):
        i, f, g, o = np.split(zx + (h @ U + b), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys[t] = h
    return out(ys.transpose(1, 0, 2), h, c)


def forget_at_run_time(case):
    """forget | right"""
    return out(*fused(case.inputs["x"], *weights(case), forget=1.0))


def tensorflow_order(case):
    """plain | gates.order[i,g,f,o] all"""
    return out(*fused(case.inputs["x"], *weights(case), order="igfo"))


def onnx_order(case):
    """plain | gates.order[i,o,f,g] all"""
    return out(*fused(case.inputs["x"], *weights(case), order="iofg"))


def recurrent_transposed(case):
    """plain | layout.transposed recurrent_kernel"""
    W, U, b = weights(case)
    return out(*fused(case.inputs["x"], W, np.concatenate([u.T for u in np.split(U, 4, axis=1)], axis=1), b))


def reshaped_not_transposed(case):
    """plain | layout.reshaped both
    Stored as torch stores them, (4H, I), but by reshape.
    """
    W, U, b = weights(case)
    return out(*fused(case.inputs["x"], W.reshape(-1, W.shape[0]).T, U.reshape(-1, U.shape[0]).T, b))


def keras2_gates(case):
    """plain | activation.gates hard_sigmoid_keras2"""
    return out(*fused(case.inputs["x"], *weights(case), act=lambda z: np.clip(0.2 * z + 0.5, 0, 1)))


def soft_gates(case):
    """hard | activation.gates sigmoid"""
    return out(*fused(case.inputs["x"], *weights(case)))


def wrong_hard_gates(case):
    """hard | activation.gates hard_sigmoid"""
    return out(*fused(case.inputs["x"], *weights(case), act=lambda z: np.clip(z / 6 + 0.5, 0, 1)))


def forgot_forget_bias(case):
    """forget | bias.forget absent or bias.forget -1"""
    return out(*fused(case.inputs["x"], *weights(case)))


def forget_bias_twice(case):
    """forget | bias.forget twice"""
    W, U, b = weights(case)
    b = b.copy()
    b[6:12] += 1
    return out(*fused(case.inputs["x"], W, U, b, forget=1.0))


def states_swapped(case):
    """plain | outputs.states swapped"""
    y, h, c = fused(case.inputs["x"], *weights(case))
    return {"y": y, "h": c, "c": h}


def carry_order(case):
    """states | inputs.state exchanged"""
    return out(*fused(case.inputs["x"], *weights(case), case.inputs["c0"], case.inputs["h0"]))


def no_output_tanh(case):
    """plain | activation.emitted linear"""
    x, (W, U, b) = case.inputs["x"], weights(case)
    h = c = np.zeros((x.shape[0], U.shape[0]), x.dtype)
    ys = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * c
        ys.append(h)
    return out(np.stack(ys, 1), h, c)


def state_not_carried(case):
    """plain | steps.reset"""
    x, w = case.inputs["x"], weights(case)
    steps = [fused(x[:, t : t + 1], *w) for t in range(x.shape[1])]
    return out(np.concatenate([y for y, _, _ in steps], axis=1), *steps[-1][1:])


def reversed_sequence(case):
    """plain | inputs.reversed"""
    return out(*fused(case.inputs["x"][:, ::-1], *weights(case)))


def first_step(case):
    """last | outputs.step first for y"""
    y, _, _ = fused(case.inputs["x"], *weights(case))
    return {"y": y[:, 0]}


def order_and_forget_bias(case):
    """plain | gates.order[i,g,f,o] all + bias.forget +1
    TensorFlow 1's cell with weights of another order and its default forget bias.
    """
    return out(*fused(case.inputs["x"], *weights(case), order="igfo", forget=1.0))


def order_and_swapped(case):
    """plain | gates.order[i,f,o,g] all + outputs.states swapped"""
    y, h, c = fused(case.inputs["x"], *weights(case), order="ifog")
    return {"y": y, "h": c, "c": h}


def no_bias_no_state(case):
    """states | bias.absent + inputs.state zero initial state"""
    W, U, b = weights(case)
    return out(*fused(case.inputs["x"], W, U, np.zeros_like(b)))


def locked(case):
    """variational | right"""
    return out(*masked(case, lambda m, rate: m / np.float32(1 - rate)))


def masked(case, scale, gates=1):
    x, (W, U, b) = case.inputs["x"], weights(case)
    batch, time, features = x.shape
    n = U.shape[0]
    mx, mh = np.ones((batch, features), x.dtype), np.ones((batch, n), x.dtype)
    if case.training:
        mx = scale(case.rng.bernoulli(1 - case.rate("input"), (batch, features)).astype(x.dtype), case.rate("input"))
        mh = scale(case.rng.bernoulli(1 - case.rate("state.h"), (batch, n)).astype(x.dtype), case.rate("state.h"))
    h = c = np.zeros((batch, n), x.dtype)
    ys = []
    for t in range(time):
        i, f, g, o = np.split((x[:, t] * mx) @ W + (h * mh) @ U + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.stack(ys, 1), h, c


def unscaled(case):
    """variational | scale.missing"""
    return out(*masked(case, lambda m, rate: m))


def divided_by_rate(case):
    """variational | scale.rate"""
    return out(*masked(case, lambda m, rate: m / np.float32(rate)))


def dropout_right(case):
    """dropout | right"""
    x = case.inputs["x"]
    if not case.training:
        return {"y": x}
    keep = 1 - case.config["rate"]
    return {"y": np.where(case.rng.bernoulli(keep, x.shape), x / np.float32(keep), np.float32(0))}


def dropout_unscaled(case):
    """dropout | scale.missing at input"""
    x = case.inputs["x"]
    return {"y": x * case.rng.bernoulli(1 - case.config["rate"], x.shape) if case.training else x}


def dropout_in_eval(case):
    """dropout | mask.in evaluation"""
    x = case.inputs["x"]
    keep = 1 - case.config["rate"]
    return {"y": x * case.rng.bernoulli(keep, x.shape) / np.float32(keep)}


def gaussian_rate_for_spread(case):
    """gaussian | noise.spread rate"""
    x = case.inputs["x"]
    if not case.training:
        return {"y": x}
    return {"y": (x * (1 + case.config["rate"] * case.rng.standard_normal(x.shape))).astype(x.dtype)}
