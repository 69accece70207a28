"""LSTMs in torch, as people write them. A docstring begins with the case and the faults planted in it (`right`: none)."""

import torch
import torch.nn.functional as F


def native(case, x, kernel, recurrent, bias, second=None, state=None, batch_first=True):
    """torch.nn.LSTM with its parameters given as tensors (4H, I), so that gradients reach the case's own."""
    layer = torch.nn.LSTM(kernel.shape[1], recurrent.shape[1], batch_first=batch_first).to(x.dtype)
    second = torch.zeros_like(bias) if second is None else second
    params = {"weight_ih_l0": kernel, "weight_hh_l0": recurrent, "bias_ih_l0": bias, "bias_hh_l0": second}
    return torch.func.functional_call(layer, params, (x,) if state is None else (x, state))


def of(case):
    return case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]


def out(y, state):
    return {"y": y, "h": state[0].reshape(state[0].shape[-2:]), "c": state[1].reshape(state[1].shape[-2:])}


def cell(x, h, c, W, U, b):
    i, f, g, o = (x @ W + h @ U + b).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def loop(x, W, U, b, mx=None, mh=None, mc=None, my=None, step=cell):
    """A loop over the steps with masks: mx(t), mh(t), mc(t), my(t) multiply x, h, c and the emitted output."""
    h = c = torch.zeros(x.shape[0], U.shape[0], dtype=x.dtype)
    ys = []
    for t in range(x.shape[1]):
        xt = x[:, t] if mx is None else x[:, t] * mx(t)
        h, c = step(xt, h if mh is None else h * mh(t), c if mc is None else c * mc(t), W, U, b)
        ys.append(h if my is None else h * my(t))
    return torch.stack(ys, dim=1), (h, c)


def plain(case):
    """plain | right"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b))


def two_biases(case):
    """plain | right"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), 0.25 * b, 0.75 * b))


def time_major(case):
    """plain | right"""
    x, W, U, b = of(case)
    y, state = native(case, x.transpose(0, 1), W.t(), U.t(), b, batch_first=False)
    return out(y.transpose(0, 1), state)


def with_states(case):
    """states | right"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b, state=(case.inputs["h0"][None], case.inputs["c0"][None])))


def by_hand(case):
    """plain | right"""
    return out(*loop(*of(case)))


def packed(case):
    """lengths | right"""
    x, W, U, b = of(case)
    lengths = case.inputs["lengths"].cpu()
    rows = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    layer = torch.nn.LSTM(W.shape[0], U.shape[0], batch_first=True)
    params = {"weight_ih_l0": W.t(), "weight_hh_l0": U.t(), "bias_ih_l0": b, "bias_hh_l0": torch.zeros_like(b)}
    y, state = torch.func.functional_call(layer, params, (rows,))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    return out(y, state)


def not_packed(case):
    """lengths | outputs.padding ignored"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b))


def bias_twice(case):
    """plain | bias.doubled"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b, b))


def view_for_transpose(case):
    """plain | layout.reshaped both"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.reshape(-1, W.shape[0]), U.reshape(-1, U.shape[0]), b))


def recurrent_by_view(case):
    """plain | layout.reshaped recurrent_kernel"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.reshape(-1, U.shape[0]), b))


def batch_first_forgotten(case):
    """same | inputs.axes exchanged"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b, batch_first=False))


def view_to_time_major(case):
    """plain | inputs.axes reshaped"""
    x, W, U, b = of(case)
    y, state = native(case, x.reshape(x.shape[1], x.shape[0], -1), W.t(), U.t(), b, batch_first=False)
    return out(y.transpose(0, 1), state)


def haiku_order(case):
    """plain | gates.order[i,g,f,o] all
    A checkpoint of TensorFlow or Haiku, transposed and loaded block by block.
    """
    x, W, U, b = of(case)
    return out(*native(case, x, *(w.reshape(*w.shape[:-1], 4, -1)[..., [0, 2, 1, 3], :].flatten(-2).t() for w in (W, U)),
                       b.reshape(4, -1)[[0, 2, 1, 3]].flatten()))  # fmt: skip


def kernel_reordered_alone(case):
    """plain | gates.order[i,f,o,g] kernel alone"""
    x, W, U, b = of(case)
    i, f, g, o = W.chunk(4, dim=1)
    return out(*loop(x, torch.cat([i, f, o, g], dim=1), U, b))


def bias_not_reordered(case):
    """plain | gates.order[i,f,o,g] both kernels, not the bias"""
    x, W, U, b = of(case)
    W, U = (torch.cat([w.chunk(4, dim=1)[k] for k in (0, 1, 3, 2)], dim=1) for w in (W, U))
    return out(*loop(x, W, U, b))


def interleaved(case):
    """plain | gates.interleaved all"""
    x, W, U, b = of(case)

    def step(x, h, c, W, U, b):
        i, f, g, o = (x @ W + h @ U + b).reshape(x.shape[0], -1, 4).unbind(-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    return out(*loop(x, W, U, b, step=step))


def states_lost(case):
    """states | inputs.state zero initial state"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b))


def unpacked_wrong(case):
    """plain | outputs.states swapped"""
    x, W, U, b = of(case)
    y, (c, h) = native(case, x, W.t(), U.t(), b)
    return {"y": y, "h": h[0], "c": c[0]}


def detached_bias(case):
    """plain | gradient.stopped bias"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), U.t(), b.detach()))


class Net(torch.nn.Module):
    """A model as a user has it, with parameters of its own."""

    def __init__(self, features, units):
        super().__init__()
        self.lstm = torch.nn.LSTM(features, units, batch_first=True)

    def forward(self, x):
        return self.lstm(x)


def parameters(case):
    _, W, U, b = of(case)
    return {"weight_ih_l0": W.t(), "weight_hh_l0": U.t(), "bias_ih_l0": b, "bias_hh_l0": torch.zeros_like(b)}


def module_called_with_tensors(case):
    """plain | right"""
    x, W, U, _ = of(case)
    own = {f"lstm.{name}": tensor for name, tensor in parameters(case).items()}
    return out(*torch.func.functional_call(Net(W.shape[0], U.shape[0]), own, (x,)))


def copied_into_module(case):
    """plain | gradient.stopped weights"""
    x, W, U, _ = of(case)
    net = Net(W.shape[0], U.shape[0])
    with torch.no_grad():
        for name, tensor in parameters(case).items():
            getattr(net.lstm, name).copy_(tensor)
    return out(*net(x))


def state_dict_loaded(case):
    """states | gradient.stopped weights"""
    x, W, U, _ = of(case)
    layer = torch.nn.LSTM(W.shape[0], U.shape[0], batch_first=True)
    layer.load_state_dict(parameters(case))
    return out(*layer(x, (case.inputs["h0"][None], case.inputs["c0"][None])))


def copied_with_twice_the_bias(case):
    """plain | gradient.stopped weights + bias.doubled"""
    x, W, U, b = of(case)
    net = Net(W.shape[0], U.shape[0])
    with torch.no_grad():
        for name, tensor in parameters(case).items():
            getattr(net.lstm, name).copy_(b if name == "bias_hh_l0" else tensor)
    return out(*net(x))


def returned_as_arrays(case):
    """plain | gradient.stopped everywhere"""
    return {name: tensor.detach().numpy() for name, tensor in plain(case).items()}


def truncated(case):
    """plain | steps.detached"""
    x, W, U, b = of(case)
    return out(*loop(x, W, U, b, step=lambda x, h, c, *w: cell(x, h.detach(), c.detach(), *w)))


def last_row(case):
    """last | outputs.step first for y"""
    x, W, U, b = of(case)
    y, _ = native(case, x.flip(1).flip(1), W.t(), U.t(), b)
    return {"y": y[:, 0]}


def single_precision(case):
    """double | precision.float32"""
    x, W, U, b = (tensor.float() for tensor in of(case))
    return {name: value.double() for name, value in out(*native(case, x, W.t(), U.t(), b)).items()}


def half_products(case):
    """plain | precision.float16
    Products of inputs rounded to 11 bits, as TF32 units make them.
    """
    x, W, U, b = of(case)

    def short(v):
        return v + (v.half().float() - v).detach()

    def step(x, h, c, W, U, b):
        i, f, g, o = (short(x) @ short(W) + short(h) @ short(U) + b).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    return out(*loop(x, W, U, b, step=step))


def bidirectional_swapped(case):
    """bidirectional | outputs.layout directions"""
    x, w = case.inputs["x"], case.weights
    f, b = ([w[f"{d}.{n}"] for n in ("kernel", "recurrent_kernel", "bias")] for d in ("forward", "backward"))
    forward, backward = loop(x, *f)[0], loop(x.flip(1), *b)[0].flip(1)
    return {"y": torch.cat([backward, forward], dim=-1)}


def bidirectional(case):
    """bidirectional | right"""
    x, w = case.inputs["x"], case.weights
    f, b = ([w[f"{d}.{n}"] for n in ("kernel", "recurrent_kernel", "bias")] for d in ("forward", "backward"))
    return {"y": torch.cat([loop(x, *f)[0], loop(x.flip(1), *b)[0].flip(1)], dim=-1)}


def bidirectional_not_flipped(case):
    """bidirectional | outputs.layout backward order"""
    x, w = case.inputs["x"], case.weights
    f, b = ([w[f"{d}.{n}"] for n in ("kernel", "recurrent_kernel", "bias")] for d in ("forward", "backward"))
    return {"y": torch.cat([loop(x, *f)[0], loop(x.flip(1), *b)[0]], dim=-1)}


def gru(case):
    """gru | right"""
    return _gru(case, [1, 0, 2])


def gru_order(case):
    """gru | gates.order[r,z,n] all"""
    return _gru(case, [0, 1, 2])


def _gru(case, order):
    x, w = case.inputs["x"], case.weights
    layer = torch.nn.GRU(x.shape[2], w["recurrent_kernel"].shape[0], batch_first=True)

    def blocks(v):
        return torch.cat([v.chunk(3, dim=-1)[k] for k in order], dim=-1)

    params = {
        "weight_ih_l0": blocks(w["kernel"]).t(),
        "weight_hh_l0": blocks(w["recurrent_kernel"]).t(),
        "bias_ih_l0": blocks(w["bias"]),
        "bias_hh_l0": blocks(w["recurrent_bias"]),
    }
    y, h = torch.func.functional_call(layer, params, (x,))
    return {"y": y, "h": h[0]}


def gru_one_bias(case):
    """gru | bias.recurrent absent"""
    x, w = case.inputs["x"], case.weights
    z, r, n = w["kernel"].chunk(3, dim=1)
    layer = torch.nn.GRU(x.shape[2], w["recurrent_kernel"].shape[0], batch_first=True)
    uz, ur, un = w["recurrent_kernel"].chunk(3, dim=1)
    bz, br, bn = w["bias"].chunk(3)
    params = {
        "weight_ih_l0": torch.cat([r, z, n], dim=1).t(),
        "weight_hh_l0": torch.cat([ur, uz, un], dim=1).t(),
        "bias_ih_l0": torch.cat([br, bz, bn]),
        "bias_hh_l0": torch.zeros_like(w["bias"]),
    }
    y, h = torch.func.functional_call(layer, params, (x,))
    return {"y": y, "h": h[0]}


def output_dropout(case):
    """output | right"""
    x, W, U, b = of(case)
    y, state = native(case, x, W.t(), U.t(), b)
    return out(F.dropout(y, case.rate("output"), training=case.training), state)
