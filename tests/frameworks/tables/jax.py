"""What functions and recipes in plain JAX are asked, and the jobs that JAX's libraries share (`cell`).

Compiling is nearly all that a case costs here, so one with most sites at once is asked of each layer, and all others before a
release: the first too, to which the questions that need programs of their own are put. A program that is given its draws is
compiled anew, and XLA rounds it otherwise: only layers of dropout alone repeat every bit (`exact`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import Case, case, full, halves

BACKENDS = ("jax",)
DTYPES = ("float64",)

anew = partial(full, exact=False)
late = partial(anew, exhaustive=True)

LOCKED = [
    at("weight.recurrent", 0.4, "inputs"),
    at("input", 0.3, "gates", "time"),
    at("state.h", 0.25, "gates", "time"),
    at("state.c", 0.2),
    at("between_layers", 0.5, "time"),
    at("output", 0.4, "batch"),
]
FREE = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates", "batch"), at("state.c", 0.2, "time"), at("output")]
GATEWISE = [
    at("weight.recurrent", 0.4, "gates"),
    at("input", 0.3, "time"),
    at("state.h", 0.25),
    at("state.c", 0.2, "layers", "batch"),
    at("between_layers", 0.4, scale="none"),
    at("output"),
]
TWO_WAYS = [
    at("weight.recurrent", 0.4, "inputs"),
    at("input", 0.3, "gates", "directions"),
    at("state.h", 0.3, "gates", "time"),
]
ROWS = at("embedding.rows", 0.4, "batch", "features")
TABLE = {"vocabulary": 7, "features": 3}
AWD = [ROWS, at("input", 0.3, "time"), LOCKED[0], LOCKED[4], at("output", 0.3, "time")]
MODEL = {**TABLE, "units": 4, "layers": 2, "return_state": True, "exact": False}
ELMAN = [at("input", 0.3, "time"), at("state.h"), at("output")]
CLIPPED = {"forget_bias": 1.0, "peepholes": True, "cell_clip": 0.3, "projection": 3, "projection_clip": 0.2}
KERAS_2 = {"recurrent_activation": "hard_sigmoid_keras2"}


def cell(library: str, name: str, *, gates: bool, **known: Any) -> dict[tuple[str, str], dict[str, Case]]:
    """An LSTM cell of a library in every kind; `known` goes to the first case of each.

    gates  whether its gates' activation can be chosen, and sequences may have lengths.
    """
    lacks = partial(full, refused="no setting (padding|recurrent_activation)")
    chosen = late if gates else lacks
    key = f"{library}.{name}"
    return {
        ("lstm", key): {
            "last step": case(*FREE, units=4, exact=False, exhaustive=True, **known),
            "stack": anew(*LOCKED, layers=2, states=True),
            "both ways": late(*TWO_WAYS, layers=2, bidirectional=True),
            "backwards": late(at("weight.recurrent"), at("state.h", 0.3, "gates"), go_backwards=True),
            "lengths": chosen(padding="free"),
            "hard": chosen(recurrent_activation="hard_sigmoid"),
            "a mask a gate": full(at("input"), refused="one mask for all gates"),
            "a mask for all layers": full(at("state.c", 0.3, "layers"), layers=2, refused="a dropout of its own"),
            "a mask for all features": full(at("state.c", 0.3, "features"), refused="all features of a state"),
            "unscaled": full(at("output", scale="none"), refused="always scales"),
            "Keras 2": full(**KERAS_2, refused="gate_fn") if gates else lacks(**KERAS_2),
            "zeros": full(padding="zeros", refused="padding is free, not zeros") if gates else lacks(padding="zeros"),
        },
        ("encoder_decoder", key): {
            "own weights": late(*halves(*LOCKED), layers=2, **known),
            "tied": late(*halves(*LOCKED[1:4]), tied=True),
        },
        ("awd_lstm", key): {
            "tied": case(*AWD, **MODEL, tied=True, exhaustive=True, **known),
            "model": case(*AWD, **MODEL, exhaustive=True),
        },
    }


#: Another case of a layer of dropout.
TIME = {"shared": ["time"]}


def noise(other: Mapping[str, Any], differs: Mapping[str, str] | None = None, **words: Any) -> dict[str, Case]:
    """What a layer of dropout or noise alone is asked; `other` has other settings, `differs` what is known of the first case."""
    return {
        "plain": case(**words, differs=differs or {}, exhaustive=True),
        "another": case(**{**words, **other}),
        "operation by operation": case(**words, options={"jit": False}, exhaustive=True),
    }


CASES = {
    ("dropout", "jax.random.bernoulli"): {
        **noise(TIME, rate=0.3),
        "half compiled": case(rate=0.3, options={"jit": 1}, refused="option jit"),
    },
    ("gaussian_dropout", "jax.random.normal"): noise(TIME, rate=0.3, exact=False),
    ("gaussian_noise", "jax.random.normal"): noise({"stddev": 0.5}, stddev=0.3, exact=False),
    ("masked_gaussian_noise", "jax.random.normal"): noise({"rate": 0.6}, rate=0.3, stddev=0.5, exact=False),
    ("alpha_dropout", "jax.random.bernoulli"): noise(TIME, rate=0.3),
    ("lstm", "jax.experimental.rnn.lstm_ref"): {
        "both ways": late(layers=2, bidirectional=True),
        "stack": anew(layers=2, states=True),
        "dropout": full(at("output"), refused="no dropout at 'output'"),
    },
    ("lstm", "jax.lax.scan"): {
        "last step": case(*FREE, units=4, exact=False, exhaustive=True),
        "stack": anew(*GATEWISE, layers=2, states=True),
        "both ways": late(*TWO_WAYS, layers=2, bidirectional=True),
        "backwards": late(at("weight.recurrent"), at("state.h", 0.3, "gates"), go_backwards=True),
        "operation by operation": late(*GATEWISE, layers=2, options={"jit": False}),
        "lengths": late(padding="free"),
        "lengths, both ways": late(padding="zeros", bidirectional=True),
        "repeated": late(at("state.h", 0.25, "time", noise="gaussian"), padding="repeat"),
        "leaving": late(at("state.h", 0.3, "gates"), at("state.c", 0.3), drop_leaving_state=True),
        "hard": late(recurrent_activation="hard_sigmoid"),
        "hard, Keras 2": late(**KERAS_2),
        "clipped": late(at("weight.recurrent", 0.4, "gates"), **CLIPPED),
        "unrolled": late(*LOCKED[:3], options={"unroll": 2}),
        "unrolled by 0": full(options={"unroll": 0}, refused="option unroll"),
    },
    ("encoder_decoder", "jax.lax.scan"): {
        "own weights": late(*halves(*GATEWISE), layers=2),
        "tied": late(*halves(*LOCKED[1:4]), tied=True),
    },
    ("awd_lstm", "jax.lax.scan"): {
        "tied": case(*AWD, **MODEL, tied=True, exhaustive=True),
        "model": case(*AWD, **MODEL, exhaustive=True),
    },
    ("gru", "jax.lax.scan"): {
        "layer": late(*ELMAN),
        "reset before": late(at("input"), at("state.h", 0.25, "time"), reset_after=False),
    },
    ("simple_rnn", "jax.lax.scan"): {"last step": case(*ELMAN, units=4, exact=False, exhaustive=True)},
    ("embedding", "jax.numpy.take"): {
        "rows": case(ROWS, **TABLE, exhaustive=True),
        "a table for each": case(at("embedding.rows"), **TABLE, exhaustive=True),
    },
}  # fmt: skip
