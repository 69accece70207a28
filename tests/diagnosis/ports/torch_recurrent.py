"""GRUs and simple recurrent layers in torch, as people write them; see torch_lstm.py."""

import torch
import torch.nn.functional as F


def rnn(case, nonlinearity="tanh", second=0.0):
    x, w = case.inputs["x"], case.weights
    layer = torch.nn.RNN(x.shape[2], w["bias"].shape[0], nonlinearity=nonlinearity, batch_first=True)
    params = {
        "weight_ih_l0": w["kernel"].t(),
        "weight_hh_l0": w["recurrent_kernel"].t(),
        "bias_ih_l0": w["bias"],
        "bias_hh_l0": second * w["bias"],
    }
    y, h = torch.func.functional_call(layer, params, (x,))
    return {"y": y, "h": h[0]}


def rnn_native(case):
    """rnn | right"""
    return rnn(case)


def rnn_relu(case):
    """rnn | activation.candidate relu"""
    return rnn(case, "relu")


def rnn_relu_two_biases(case):
    """rnn | activation.candidate relu + bias.doubled"""
    return rnn(case, "relu", 1.0)


def rnn_loop(case):
    """rnn | right"""
    x, w = case.inputs["x"], case.weights
    h = x.new_zeros(x.shape[0], w["bias"].shape[0])
    both = torch.cat([w["kernel"], w["recurrent_kernel"]])
    ys = []
    for step in x.unbind(1):
        h = torch.tanh(torch.cat([step, h], dim=-1) @ both + w["bias"])
        ys.append(h)
    return {"y": torch.stack(ys, dim=1), "h": h}


def step(w, x, h, mask=1.0, after=True, blend_masked=False, gates=torch.sigmoid, biases=("bias", "recurrent_bias")):
    """One step of a GRU, gates z, r, n."""
    b, v = (w[name] for name in biases)
    (az, ar, an), (uz, ur, un) = (x @ w["kernel"] + b).chunk(3, -1), w["recurrent_kernel"].chunk(3, -1)
    vz, vr, vn = v.chunk(3)
    m = h * mask
    z, r = gates(az + m @ uz + vz), gates(ar + m @ ur + vr)
    n = torch.tanh(an + r * (m @ un + vn)) if after else torch.tanh(an + (r * m) @ un + vn)
    return z * (m if blend_masked else h) + (1 - z) * n


def gru(case, mask=1.0, **options):
    x = case.inputs["x"]
    h = x.new_zeros(x.shape[0], case.weights["bias"].shape[0] // 3)
    ys = []
    for t in range(x.shape[1]):
        h = step(case.weights, x[:, t], h, mask, **options)
        ys.append(h)
    return {"y": torch.stack(ys, dim=1), "h": h}


def gru_loop(case):
    """gru | right"""
    return gru(case)


def gru_before(case):
    """gru | gates.reset before"""
    return gru(case, after=False)


def gru_hard(case):
    """gru | activation.gates hard_sigmoid"""
    return gru(case, gates=F.hardsigmoid)


def gru_exchanged_biases(case):
    """gru | bias.recurrent exchanged"""
    return gru(case, biases=("recurrent_bias", "bias"))


def gru_before_and_hard(case):
    """gru | gates.reset before + activation.gates hard_sigmoid"""
    return gru(case, after=False, gates=F.hardsigmoid)


def dropped(case):
    h = torch.ones(case.inputs["x"].shape[0], case.weights["bias"].shape[0] // 3, dtype=case.inputs["x"].dtype)
    return F.dropout(h, case.rate("state.h"), training=case.training)


def gru_state(case):
    """gru state | right"""
    return gru(case, dropped(case))


def gru_state_blended(case):
    """gru state | gates.blend masked"""
    return gru(case, dropped(case), blend_masked=True)


def gru_state_blended_before(case):
    """gru state | gates.blend masked + gates.reset before"""
    return gru(case, dropped(case), blend_masked=True, after=False)


def emitted(case, feed):
    """Both loops: what is dropped is emitted alone, or is the state as well."""
    x, w = case.inputs["x"], case.weights
    h = x.new_zeros(x.shape[0], w["bias"].shape[0])
    ys = []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])
        y = F.dropout(h, case.rate("output"), training=case.training)
        h = y if feed else h
        ys.append(y)
    return {"y": torch.stack(ys, dim=1), "h": h}


def rnn_emitted(case):
    """rnn output | right"""
    return emitted(case, feed=False)


def rnn_fed_back(case):
    """rnn output | site.fed back"""
    return emitted(case, feed=True)
