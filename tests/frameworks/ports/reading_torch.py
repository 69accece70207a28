"""Ports in torch on a case where batch, time and gates are four, and features and units five: shapes do not tell them apart."""

import torch
import torch.nn.functional as F


def lstm(case, x, mask=None, out=None):
    """x (B, T, D); mask (T, 4, B, D), what each gate's input is multiplied by; out (B, T, H)."""
    w, u, b = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    gates = w.chunk(4, dim=1)
    h = c = x.new_zeros(x.shape[0], u.shape[0])
    steps = []
    for t in range(x.shape[1]):
        entering = [x[:, t] if mask is None else x[:, t] * mask[t, g] for g in range(4)]
        z = torch.cat([one @ gate for one, gate in zip(entering, gates, strict=True)], 1) + h @ u + b
        i, f, g, o = z.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        steps.append(h)
    y = torch.stack(steps, 1)
    return {"y": y if out is None else y * out, "h": h, "c": c}


def mask_of(case, at, *shape):
    return F.dropout(torch.ones(*shape), case.rate(at), case.training)


def time_major_output(case):
    """Drawn (T, B, H), as nn.Dropout on a time-major sequence is."""
    return lstm(case, case.inputs["x"], out=mask_of(case, "output", 4, 4, 5).transpose(0, 1))


def batch_major_output(case):
    return lstm(case, case.inputs["x"], out=mask_of(case, "output", 4, 4, 5))


def output_first(case):
    """The output's mask is drawn before the input's."""
    out = mask_of(case, "output", 4, 4, 5)
    locked = mask_of(case, "input", 4, 5)
    return lstm(case, case.inputs["x"] * locked[:, None], out=out)


def gate_masks(case):
    """One draw (G, B, D), used at every step."""
    mask = mask_of(case, "input", 4, 4, 5)
    return lstm(case, case.inputs["x"], mask[None].expand(4, -1, -1, -1))


def step_masks(case):
    """One draw (B, T, D), used by every gate."""
    mask = mask_of(case, "input", 4, 4, 5).transpose(0, 1)
    return lstm(case, case.inputs["x"], mask[:, None].expand(-1, 4, -1, -1))


def gates_then_steps(case):
    """For each gate, one draw a step."""
    mask = torch.stack([torch.stack([mask_of(case, "input", 4, 5) for _ in range(4)]) for _ in range(4)])
    return lstm(case, case.inputs["x"], mask.transpose(0, 1))


def steps_then_gates(case):
    """At each step, one draw a gate."""
    mask = torch.stack([torch.stack([mask_of(case, "input", 4, 5) for _ in range(4)]) for _ in range(4)])
    return lstm(case, case.inputs["x"], mask)


def draws_four_and_uses_one(case):
    """As tf_keras' LSTM does: a mask for every gate is drawn, and the first one is used for all."""
    masks = [mask_of(case, "input", 4, 5) for _ in range(4)]
    return lstm(case, case.inputs["x"] * masks[0][:, None])


def draws_one_too_many(case):
    """What is drawn for a head that the case does not ask for."""
    mask_of(case, "output", 3, 2)
    return batch_major_output(case)


def time_major_unscaled(case):
    """Wrong: drawn (T, B, H), and nothing is scaled."""
    out = mask_of(case, "output", 4, 4, 5).transpose(0, 1)
    return lstm(case, case.inputs["x"], out=(out != 0).to(out.dtype))
