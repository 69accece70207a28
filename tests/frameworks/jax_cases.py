"""The calls that the tests of the JAX adapters make: every implementation, with every site and setting that it has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from harness.frameworks.contract.adapter import implementations
from harness.layers.base import tape_keys
from harness.tape import decisions
from tests.frameworks.adapter_jobs import FULL, Call, at

X = np.random.default_rng(0).normal(size=(3, 5, 2))
Z = np.random.default_rng(1).normal(size=(3, 4, 2))
TOKENS = np.random.default_rng(3).integers(0, 7, size=(3, 5))
H = np.random.default_rng(2).normal(size=(2, 3, 4))

STACK = {**FULL, "layers": 2}
#: Every site of a cell in a stack, shared as Gal & Ghahramani share it, and not.
LOCKED = [
    at("input", 0.3, "gates", "time"),
    at("state.h", 0.25, "gates", "time"),
    at("state.c", 0.2),
    at("between_layers", 0.5, "time"),
    at("output", 0.4, "batch"),
]
FREE = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates", "batch"), at("state.c", 0.2, "time"), at("output", 0.4)]
GATEWISE = [
    at("input", 0.3, "time"),
    at("state.h", 0.25, "time", noise="gaussian"),
    at("state.c", 0.2, "layers", "batch"),
    at("between_layers", 0.4, scale="none"),
]
HALVES = [at("encoder.input", 0.3, "gates"), at("encoder.output", 0.2), at("decoder.state.h", 0.3, "gates", "time")]

WAYS = [
    at("weight.recurrent", 0.4, "inputs"),
    at("input", 0.3, "gates", "directions"),
    at("state.h", 0.3, "gates", "time"),
]
DROPPED_WEIGHT = [at("weight.recurrent", 0.4), at("state.h", 0.3, "gates")]
LENGTHS = {"lengths": np.array([5, 2, 1])}

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

CELLS = (
    "flax.linen.LSTMCell",
    "flax.linen.OptimizedLSTMCell",
    "flax.nnx.LSTMCell",
    "flax.nnx.OptimizedLSTMCell",
    "equinox.nn.LSTMCell",
)
DROPOUTS = ("jax.random.bernoulli", "flax.linen.Dropout", "flax.nnx.Dropout", "equinox.nn.Dropout")

#: Settings beyond the plain LSTM: who has them, and with which sites.
FLAX = CELLS[:4]
SETTINGS: list[Case] = [
    *(("lstm", name, {**STACK, "bidirectional": True}, WAYS) for name in (*CELLS, "jax.lax.scan")),
    *(("lstm", name, {**FULL, "go_backwards": True}, DROPPED_WEIGHT) for name in (*CELLS, "jax.lax.scan")),
    *(("lstm", name, {**FULL, "padding": "free"}, ()) for name in (*FLAX, "jax.lax.scan")),
    *(("lstm", name, {"units": 4, "recurrent_activation": "hard_sigmoid"}, ()) for name in (*FLAX, "jax.lax.scan")),
    ("lstm", "jax.experimental.rnn.lstm_ref", {**STACK, "bidirectional": True}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "padding": "zeros", "bidirectional": True}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "padding": "repeat"}, [at("state.h", 0.3)]),
    ("lstm", "jax.lax.scan", {"units": 4, "recurrent_activation": "hard_sigmoid_keras2"}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "drop_leaving_state": True}, [at("state.h", 0.3, "gates"), at("state.c", 0.3)]),
    (
        "lstm",
        "jax.lax.scan",
        {**FULL, "forget_bias": 1.0, "peepholes": True, "cell_clip": 0.3, "projection": 3, "projection_clip": 0.2},
        [at("weight.recurrent", 0.4, "gates")],
    ),
]

QUICK: list[Case] = [
    *(("dropout", name, {"rate": 0.3, "shared": ["time"]}, ()) for name in DROPOUTS),
    ("gaussian_dropout", "jax.random.normal", {"rate": 0.3, "shared": ["batch"]}, ()),
    ("gaussian_noise", "jax.random.normal", {"stddev": 0.3}, ()),
    ("masked_gaussian_noise", "jax.random.normal", {"rate": 0.3, "stddev": 0.5}, ()),
    ("alpha_dropout", "jax.random.bernoulli", {"rate": 0.3}, ()),
    ("lstm", "jax.experimental.rnn.lstm_ref", STACK, ()),
    ("lstm", "jax.lax.scan", STACK, GATEWISE),
    *(("lstm", name, STACK, LOCKED) for name in CELLS),
]
RECURRENT = [at("input", 0.3, "gates", "time"), at("output", 0.4)]
ELMAN = [at("input", 0.3, "time"), at("state.h", 0.4), at("output", 0.4)]
GATES = [at("input", 0.3), at("state.h", 0.25, "time")]
ROWS = [at("embedding.rows", 0.4, "batch", "features")]
MODEL = {"vocabulary": 7, "features": 3, "units": 4, "layers": 2, "return_state": True}
AWD = [
    *ROWS,
    at("input", 0.3, "time"),
    at("weight.recurrent", 0.4, "inputs"),
    at("between_layers", 0.4, "time"),
    at("output", 0.3, "time"),
]
OTHERS: list[Case] = [
    *(("gru", name, FULL, RECURRENT) for name in ("jax.lax.scan", "flax.linen.GRUCell", "equinox.nn.GRUCell")),
    ("gru", "jax.lax.scan", {"units": 4, "reset_after": False}, GATES),
    *(("simple_rnn", f"flax.{name}.SimpleCell", FULL, ELMAN) for name in ("linen", "nnx")),
    ("simple_rnn", "jax.lax.scan", {"units": 4}, ELMAN),
    *(
        ("embedding", name, {"vocabulary": 7, "features": 3}, ROWS)
        for name in ("jax.numpy.take", "flax.linen.Embed", "flax.nnx.Embed", "equinox.nn.Embedding")
    ),
    ("embedding", "jax.numpy.take", {"vocabulary": 7, "features": 3}, [at("embedding.rows", 0.4)]),
    *(("awd_lstm", name, {**MODEL, "tied": True}, AWD) for name in (*CELLS, "jax.lax.scan")),
    *(("awd_lstm", name, MODEL, AWD) for name in ("flax.linen.LSTMCell", "flax.nnx.LSTMCell", "equinox.nn.LSTMCell")),
    ("awd_lstm", "jax.lax.scan", MODEL, AWD),
]
SLOW: list[Case] = [
    *(("dropout", name, {"rate": 0.6}, ()) for name in DROPOUTS),
    *(("lstm", name, {"units": 4}, FREE) for name in (*CELLS, "jax.lax.scan")),
    *(("encoder_decoder", name, STACK, HALVES) for name in (*CELLS, "jax.lax.scan")),
    *(("encoder_decoder", name, {**FULL, "tied": True}, HALVES) for name in (*CELLS, "jax.lax.scan")),
    *SETTINGS,
    *OTHERS,
]


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout = case
    for package in implementations()["jax", layer, name].needs:
        pytest.importorskip(package)
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if "vocabulary" in config:
        inputs = {"x": TOKENS}
    if config.get("padding"):
        inputs |= LENGTHS
    if layer == "lstm" and config.get("layers") == 2 and not config.get("bidirectional"):
        inputs |= {"h0": H, "c0": H[::-1]}
    return Call("jax", name, layer, config, dropout, inputs=more.pop("inputs", inputs), **more)


def name_of(case: Case) -> str:
    plain = ("units", "rate", "stddev", "shared", "return_sequences", "return_state")
    return "-".join([case[0], case[1], *(f"{key}={value}" for key, value in case[2].items() if key not in plain)])


def masks(job: Call, draws: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What was decided or drawn, by site."""
    rates = {key: site.rate for site in job.sites for key, _ in tape_keys(site)}
    return {key: draw.values if draw.kind == "normal" else decisions(draw, rates[key]) for key, draw in draws.items()}
