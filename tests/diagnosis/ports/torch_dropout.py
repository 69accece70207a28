"""Dropout in torch, in layers and in LSTMs, as people write it. Docstrings: see torch_lstm."""

import torch
import torch.nn.functional as F
from torch_lstm import loop, native, of, out


def mask_like(value, rate):
    return torch.bernoulli(torch.full_like(value, 1 - rate)) / (1 - rate)


def locked_masks(case):
    """Masks of `variational`, one a sequence; ones in evaluation."""
    x, _, U, _ = of(case)
    if not case.training:
        return torch.ones_like(x[:, 0]), x.new_ones(x.shape[0], U.shape[0])
    return mask_like(x[:, 0], case.rate("input")), mask_like(x.new_empty(x.shape[0], U.shape[0]), case.rate("state.h"))


def functional(case):
    """dropout | right"""
    return {"y": F.dropout(case.inputs["x"], case.config["rate"], training=case.training)}


def module(case):
    """dropout | right"""
    return {"y": torch.nn.Dropout(case.config["rate"]).train(case.training)(case.inputs["x"])}


def spatial(case):
    """spatial | right"""
    x = case.inputs["x"].transpose(1, 2).unsqueeze(2)
    return {"y": F.dropout2d(x, case.config["rate"], training=case.training).squeeze(2).transpose(1, 2)}


def keep_for_rate(case):
    """dropout | scale.rate at input"""
    return {"y": F.dropout(case.inputs["x"], 1 - case.config["rate"], training=case.training)}


def always_on(case):
    """dropout | mask.in evaluation"""
    return {"y": F.dropout(case.inputs["x"], case.config["rate"])}


def never_on(case):
    """dropout | mask.absent"""
    return {"y": F.dropout(case.inputs["x"], case.config["rate"], training=False)}


def scaled_twice(case):
    """dropout | scale.twice at input"""
    y = F.dropout(case.inputs["x"], case.config["rate"], training=case.training)
    return {"y": y / (1 - case.config["rate"]) if case.training else y}


def inverted_mask(case):
    """dropout | decisions.inverted at input"""
    x, rate = case.inputs["x"], case.config["rate"]
    if not case.training:
        return {"y": x}
    dropped = torch.bernoulli(torch.full_like(x, 1 - rate))
    return {"y": x * (1 - dropped) / (1 - rate)}


def same_for_batch(case):
    """dropout | mask.shared over batch at input (first)"""
    x, rate = case.inputs["x"], case.config["rate"]
    return {"y": x * mask_like(x, rate)[:1] if case.training else x}


def straight_through(case):
    """dropout | gradient.mask absent"""
    x, rate = case.inputs["x"], case.config["rate"]
    return {"y": x + (F.dropout(x, rate, training=case.training) - x).detach()}


def alpha(case):
    """alpha | right"""
    return {"y": F.alpha_dropout(case.inputs["x"], case.config["rate"], training=case.training)}


def plain_for_alpha(case):
    """alpha | noise.alpha plain"""
    return {"y": F.dropout(case.inputs["x"], case.config["rate"], training=case.training)}


def additive_for_gaussian(case):
    """gaussian | noise.additive"""
    x, rate = case.inputs["x"], case.config["rate"]
    return {"y": x + (rate / (1 - rate)) ** 0.5 * torch.randn_like(x) if case.training else x}


def gaussian(case):
    """gaussian | right"""
    x, rate = case.inputs["x"], case.config["rate"]
    return {"y": x * (1 + (rate / (1 - rate)) ** 0.5 * torch.randn_like(x)) if case.training else x}


def variance_for_stddev(case):
    """noise | noise.spread variance"""
    x = case.inputs["x"]
    return {"y": x + case.config["stddev"] ** 2 * torch.randn_like(x) if case.training else x}


def variational(case):
    """variational | right"""
    x, W, U, b = of(case)
    mx, mh = locked_masks(case)
    return out(*loop(x, W, U, b, mx=lambda t: mx, mh=lambda t: mh))


def cell_state_too(case):
    """state | site.also state.h at state.c"""
    x, W, U, b = of(case)
    mask = mask_like(x.new_empty(x.shape[0], U.shape[0]), case.rate("state.h")) if case.training else 1.0
    return out(*loop(x, W, U, b, mh=lambda t: mask, mc=lambda t: mask))


def cell_state_instead(case):
    """state | site.moved state.h to state.c"""
    x, W, U, b = of(case)
    mask = mask_like(x.new_empty(x.shape[0], U.shape[0]), case.rate("state.h")) if case.training else 1.0
    return out(*loop(x, W, U, b, mc=lambda t: mask))


def output_for_input(case):
    """input | site.moved input to output"""
    x, W, U, b = of(case)
    mask = mask_like(x[:, 0], case.rate("input")) if case.training else 1.0
    return out(*loop(x, W, U, b, my=lambda t: mask))


def output_fed_back(case):
    """output | site.feedback"""
    x, W, U, b = of(case)
    h = c = x.new_zeros(x.shape[0], U.shape[0])
    ys = []
    for t in range(x.shape[1]):
        _, (h, c) = native(case, x[:, t : t + 1], W.t(), U.t(), b, state=(h[None], c[None]))
        h, c = F.dropout(h[0], case.rate("output"), training=case.training), c[0]
        ys.append(h)
    return {"y": torch.stack(ys, 1), "h": h, "c": c}


def one_site_forgotten(case):
    """variational | mask.absent at state.h"""
    x, W, U, b = of(case)
    mx, _ = locked_masks(case)
    return out(*loop(x, W, U, b, mx=lambda t: mx))


def unlocked(case):
    """input | row mask.shared
    A new mask at every step where the case has one a sequence.
    """
    x, W, U, b = of(case)
    return out(*loop(F.dropout(x, case.rate("input"), training=case.training), W, U, b))


def dropped_weight(case):
    """weight | right"""
    x, W, U, b = of(case)
    return out(*native(case, x, W.t(), F.dropout(U, case.rate("weight.recurrent"), training=case.training).t(), b))


def weight_in_new_parameter(case):
    """weight | gradient.stopped recurrent kernel"""
    x, W, U, b = of(case)
    dropped = F.dropout(U, case.rate("weight.recurrent"), training=case.training)
    return out(*native(case, x, W.t(), torch.nn.Parameter(dropped.t().detach()), b))


def wrong_weight(case):
    """weight | site.weight on kernel"""
    x, W, U, b = of(case)
    return out(*native(case, x, F.dropout(W, case.rate("weight.recurrent"), training=case.training).t(), U.t(), b))


def stack(case, dropped=True, last=False):
    """stack | right"""
    w = case.weights
    x, states = case.inputs["x"], []
    for layer in ("layer0.", "layer1."):
        x, state = native(case, x, w[layer + "kernel"].t(), w[layer + "recurrent_kernel"].t(), w[layer + "bias"])
        states.append(state)
        if dropped and layer == ("layer1." if last else "layer0."):
            x = F.dropout(x, case.rate("between_layers"), training=case.training)
    return {"y": x, "h": torch.cat([h for h, _ in states]), "c": torch.cat([c for _, c in states])}


def stack_without(case):
    """stack | mask.absent"""
    return stack(case, dropped=False)


def stack_on_top(case):
    """stack | site.moved between_layers to output"""
    return stack(case, last=True)


def unscaled_and_order(case):
    """state | scale.missing at state.h + gates.order[i,g,f,o] all"""
    x, W, U, b = of(case)
    rate = case.rate("state.h")
    mask = torch.bernoulli(x.new_full((x.shape[0], U.shape[0]), 1 - rate)) if case.training else 1.0
    W, U, b = (torch.cat([v.chunk(4, -1)[k] for k in (0, 2, 1, 3)], -1) for v in (W, U, b))
    return out(*loop(x, W, U, b, mh=lambda t: mask))


def in_eval_and_bias(case):
    """output | mask.in evaluation + bias.doubled"""
    x, W, U, b = of(case)
    y, state = native(case, x, W.t(), U.t(), b, b)
    return out(F.dropout(y, case.dropout[0]["rate"]), state)
