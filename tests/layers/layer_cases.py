"""Ready-made layer scenarios for the tests: arrays, sites and draws for one kind, and a literal LSTM to compare with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from harness.layers.base import DropoutSpec, Evaluation, LayerKind, kinds, tape_keys
from harness.records import Site
from harness.rounding import Rounding

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass
class Scenario:
    """One layer with everything that an evaluation takes."""

    kind: LayerKind
    config: Any
    inputs: Arrays
    weights: Arrays
    sites: tuple[Site, ...]
    draws: Arrays
    cotangents: Arrays

    def run(self, *, train: bool = True, rounding: Rounding | None = None, **changed: Any) -> Evaluation:
        """Evaluate the reference with gradients; `changed` replaces fields."""
        now = dataclasses.replace(self, **changed)
        return now.kind.evaluate(
            now.config,
            now.inputs,
            now.weights,
            now.sites,
            now.draws,
            train=train,
            cotangents=now.cotangents,
            rounding=rounding,
        )


def make_draws(sites: Sequence[Site], generator: np.random.Generator) -> Arrays:
    """Decisions and standard normals for every site."""
    draws: Arrays = {}
    for site in sites:
        for key, kind in tape_keys(site):
            uniform, normal = generator.random(site.shape), generator.normal(size=site.shape)
            draws[key] = uniform >= site.rate if kind == "bernoulli" else normal
    return draws


def scenario(
    layer: str,
    config: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    dropout: Sequence[DropoutSpec] = (),
    seed: int = 0,
    weight_scale: float = 0.7,
) -> Scenario:
    """A scenario with random arrays from a seed."""
    generator = np.random.default_rng(seed)
    kind = kinds()[layer]
    settings = kind.Config(**config)
    sites = kind.sites(settings, dropout, shapes)
    integers = kind.integer_inputs(settings, shapes)
    return Scenario(
        kind,
        settings,
        {
            name: generator.integers(*integers[name], shape, endpoint=True)
            if name in integers
            else generator.normal(size=shape)
            for name, shape in shapes.items()
        },
        {
            name: weight_scale * generator.normal(size=shape)
            for name, shape in kind.weight_shapes(settings, shapes).items()
        },
        sites,
        make_draws(sites, generator),
        {name: generator.normal(size=shape) for name, shape in kind.output_shapes(settings, shapes).items()},
    )


RATES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def dropout_lists(draw: Any, names: Mapping[str, Sequence[str]]) -> list[DropoutSpec]:
    """A `dropout` list over some of the sites, each shared over some of its axes; `names`: axes by site."""
    specs = []
    for at in draw(st.lists(st.sampled_from(sorted(names)), unique=True)):
        noise = draw(st.sampled_from(["bernoulli", "bernoulli", "gaussian"]))
        shared = tuple(draw(st.lists(st.sampled_from(list(names[at])), unique=True)))
        if noise == "gaussian":
            specs.append(DropoutSpec(at=at, rate=draw(st.sampled_from([0.0, 0.3])), shared=shared, noise=noise))
        else:
            scale = draw(st.sampled_from(["inverted", "none"]))
            specs.append(DropoutSpec(at=at, rate=draw(RATES), shared=shared, scale=scale))
    return specs


def site_axes(layers: int, bidirectional: bool = False) -> dict[str, tuple[str, ...]]:
    """The axes of every LSTM site, as the documentation of the kind states them."""
    state = ("batch", "time", "features")
    both = ("directions",) if bidirectional else ()
    stacked = (*(("layers",) if layers > 1 else ()), *both)
    axes = {
        "input": (*both, "gates", *state),
        "state.h": (*stacked, "gates", *state),
        "state.c": (*stacked, *state),
        "output": state,
        "weight.recurrent": (*stacked, "inputs", "gates", "units"),
    }
    return axes | ({"between_layers": ("layers", *state)} if layers > 1 else {})


@st.composite
def lstm_settings(draw: Any) -> dict[str, Any]:
    """Settings of a small LSTM: plain, or with any of its options."""
    config: dict[str, Any] = {
        "units": draw(st.integers(1, 3)),
        "layers": draw(st.integers(1, 3)),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
    }
    if draw(st.booleans()):
        return config
    config |= {
        "forget_bias": draw(st.sampled_from([0.0, 1.0])),
        "peepholes": draw(st.booleans()),
        "cell_clip": draw(st.sampled_from([None, 0.4])),
        "projection": draw(st.sampled_from([None, 1, 4])),
        "recurrent_activation": draw(st.sampled_from([None, "hard_sigmoid", "hard_sigmoid_keras2"])),
        "bidirectional": draw(st.booleans()),
        "padding": draw(st.sampled_from([None, "zeros", "repeat", "free"])),
        "drop_leaving_state": draw(st.booleans()),
    }
    if config["projection"]:
        config["projection_clip"] = draw(st.sampled_from([None, 0.2]))
    if config["layers"] == 1 and not config["bidirectional"]:
        config["go_backwards"] = draw(st.booleans())
    if config["padding"] == "free" and (config["bidirectional"] or config.get("go_backwards")):
        config["padding"] = "repeat"
    return config


@st.composite
def lstm_calls(
    draw: Any, batches: Sequence[int] = (0, 1, 3)
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]], list[DropoutSpec]]:
    """Settings, input shapes and a `dropout` list of a small LSTM."""
    config = draw(lstm_settings())
    batch, steps, features = draw(st.sampled_from(list(batches))), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    units, layers, both = config["units"], config["layers"], config.get("bidirectional", False)
    shapes: dict[str, tuple[int, ...]] = {"x": (batch, steps, features)}
    leading = ((layers,) if layers > 1 else ()) + ((2,) if both else ())
    widths = {"h0": config.get("projection") or units, "c0": units}
    for name in draw(st.sets(st.sampled_from(["h0", "c0"]))):
        shapes[name] = (*leading, batch, widths[name])
    if config.get("padding"):
        shapes["lengths"] = (batch,)
    dropout = draw(dropout_lists(site_axes(layers, both)))
    if config.get("drop_leaving_state"):
        dropout = [
            spec.model_copy(update={"shared": tuple({*spec.shared, "gates"})}) if spec.at == "state.h" else spec
            for spec in dropout
        ]
    return config, shapes, dropout


@st.composite
def lstm_scenarios(draw: Any, batches: Sequence[int] = (0, 1, 3)) -> Scenario:
    """Small LSTMs of every shape and with any option, with dropout anywhere."""
    config, shapes, dropout = draw(lstm_calls(batches))
    return scenario("lstm", config, shapes, dropout, seed=draw(st.integers(0, 10_000)))


@st.composite
def encoder_decoder_scenarios(draw: Any, batches: Sequence[int] = (0, 1, 3)) -> Scenario:
    """Small encoder-decoder pairs, tied and untied, with dropout anywhere."""
    batch, features, units = draw(st.sampled_from(list(batches))), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    tied, layers = draw(st.booleans()), draw(st.integers(1, 2))
    config = {
        "units": units,
        "layers": layers,
        "tied": tied,
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "x": (batch, draw(st.integers(1, 3)), features),
        "z": (batch, draw(st.integers(1, 3)), features if tied else draw(st.integers(1, 3))),
    }
    for name in draw(st.sets(st.sampled_from(["h0", "c0"]))):
        shapes[name] = (layers, batch, units) if layers > 1 else (batch, units)
    names = {half + at: axes for half in ("encoder.", "decoder.") for at, axes in site_axes(layers).items()}
    return scenario("encoder_decoder", config, shapes, draw(dropout_lists(names)), seed=draw(st.integers(0, 10_000)))


def literal_lstm(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    weights: Arrays,
    masks: Mapping[str, np.ndarray],
    *,
    gate_order: str = "ifgo",
    output_into_state: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One LSTM layer, element by element, from the printed equations. x (B, T, D), h and c (B, H); y (B, T, H), h, c.

    masks: multipliers by site, broadcast to full shape: input (4, B, T, D), state.h (4, B, T, H), state.c and output (B, T, H).
    gate_order, output_into_state: faults to plant.
    """
    batch, steps, features = x.shape
    units = h.shape[1]
    y = np.zeros((batch, steps, units), dtype=np.result_type(x, h, c, *weights.values()))
    h, c = np.array(h, dtype=y.dtype), np.array(c, dtype=y.dtype)
    for b in range(batch):
        for t in range(steps):
            before_h, before_c = h[b].copy(), c[b].copy()
            for j in range(units):
                z = {}
                for gate, letter in enumerate(gate_order):
                    column = gate * units + j
                    total = weights["bias"][column]
                    for k in range(features):
                        total += masks["input"][gate, b, t, k] * x[b, t, k] * weights["kernel"][k, column]
                    for k in range(units):
                        weight = weights["recurrent_kernel"][k, column]
                        total += masks["state.h"][gate, b, t, k] * before_h[k] * weight
                    z[letter] = total
                i, f, o = (1 / (1 + np.exp(-z[letter])) for letter in "ifo")
                c[b, j] = f * masks["state.c"][b, t, j] * before_c[j] + i * np.tanh(z["g"])
                h[b, j] = o * np.tanh(c[b, j])
                y[b, t, j] = h[b, j] * masks["output"][b, t, j]
                if output_into_state:
                    h[b, j] = y[b, t, j]
    return y, h, c


def full_masks(case: Scenario) -> Arrays:
    """Multipliers of a one-layer LSTM scenario in training, broadcast to full shape; ones where nothing is dropped."""
    batch, steps, features = case.inputs["x"].shape
    units = case.config.units
    shapes = {
        "input": (4, batch, steps, features),
        "state.h": (4, batch, steps, units),
        "state.c": (batch, steps, units),
        "output": (batch, steps, units),
    }
    masks = {at: np.ones(shape) for at, shape in shapes.items()}
    for site in case.sites:
        draw = case.draws[site.at]
        if site.noise == "gaussian":
            value = 1.0 + np.sqrt(site.rate / (1.0 - site.rate)) * draw
        else:
            value = draw / (1.0 - site.rate) if site.scale == "inverted" and site.rate < 1.0 else draw * 1.0
        masks[site.at] = np.broadcast_to(value, shapes[site.at])
    return masks
