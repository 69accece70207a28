"""Activations: hard against soft gates, something other than tanh, and the GRU's reset gate before or after its product."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting
from harness.layers._arithmetic import Arithmetic
from harness.layers._lstm_cell import ACTIVATIONS, SQUASHES, CellOptions
from harness.layers._lstm_names import StackOptions
from harness.layers._simple_core import ElmanCell, GruCell, SimpleCell
from harness.layers.awd_lstm import AwdLstm
from harness.layers.base import Evaluation
from harness.layers.encoder_decoder import EncoderDecoderConfig
from harness.layers.gru import Gru
from harness.layers.lstm import LstmConfig
from harness.layers.simple_rnn import SimpleRnn
from harness.records import Arrays

GATE_WORDS = {
    None: "the sigmoid",
    "hard_sigmoid": "hard_sigmoid x / 6 + 0.5 (Keras 3, torch, JAX)",
    "hard_sigmoid_keras2": "hard_sigmoid 0.2 x + 0.5 (Keras up to 2.3, tf_keras)",
    "tanh": "tanh",
}
SQUASH_WORDS = {"linear": "no activation", "relu": "relu", "sigmoid": "the sigmoid"}
#: Where tanh stands in each kind: the cell's option, and in words.
TANH = {
    "lstm": {"candidate": "the candidate g", "emitted": "the cell state on its way out"},
    "encoder_decoder": {"candidate": "the candidate g", "emitted": "the cell state on its way out"},
    "awd_lstm": {"candidate": "the candidate g", "emitted": "the cell state on its way out"},
    "gru": {"squash": "the new value n"},
    "simple_rnn": {"squash": "the new h"},
}
FORMULAS = {
    "lstm": "h = o * tanh(c) and g = tanh(…): set activation to tanh",
    "gru": "n = tanh(…): set activation to tanh",
    "simple_rnn": "h = tanh(…): set activation (in torch nonlinearity) to 'tanh'",
}


@family("activation.gates", stage="layer")
def gates(setting: Setting) -> Iterator[Fault]:
    """Another recurrent activation."""
    if setting.kind.name not in TANH or len(setting.gates) < 2:
        return
    right = getattr(setting.config, "recurrent_activation", None)
    option = "activation" if setting.kind.name == "gru" else "recurrent_activation"
    for name in ACTIVATIONS:
        if name != right:
            yield Fault(
                f"activation.gates {name or 'sigmoid'}",
                f"gates activated with {GATE_WORDS[name]} instead of {GATE_WORDS[right]}",
                f"use {GATE_WORDS[right]} for the gates",
                odd({option: name}),
                1.4 if name == "tanh" else 1.0,
                fixes={
                    "tensorflow": f"set recurrent_activation to {right or 'sigmoid'!r}; Keras' default changed with 2.3"
                },
            )


@family("activation.squash", stage="layer")
def squashes(setting: Setting) -> Iterator[Fault]:
    """Another activation than tanh: for the candidate, the new value, or the cell state on its way out."""
    places = TANH.get(setting.kind.name, {})
    fix = FORMULAS.get(setting.kind.name, FORMULAS["lstm"])
    for where, words in places.items():
        for name, text in SQUASH_WORDS.items():
            assert name in SQUASHES
            yield Fault(
                f"activation.{'candidate' if where == 'squash' else where} {name}",
                f"{text} instead of tanh on {words}",
                fix,
                odd({where: name}),
                1.3 if len(places) > 1 else 1.0,
            )
    if len(places) > 1:
        for name, text in SQUASH_WORDS.items():
            yield Fault(
                f"activation.both {name}",
                f"{text} instead of tanh on the candidate g and on the cell state",
                "set activation to tanh, the layer's default",
                odd(dict.fromkeys(places, name)),
                1.2,
            )


@family("gates.reset", stage="layer")
def reset(setting: Setting) -> Iterator[Fault]:
    """The GRU's reset gate on the other side of the recurrent product; its new state blended with the masked h."""
    if setting.kind.name != "gru":
        return
    after = setting.config.reset_after
    yield Fault(
        f"gates.reset {'before' if after else 'after'}",
        f"reset gate applied {'before' if after else 'after'} the recurrent product, not {'after' if after else 'before'} it",
        "n = tanh(x W + b + r * (h U + v))" if after else "n = tanh(x W + b + (r * h) U)",
        odd({"after": not after}),
        fixes={
            "tensorflow": f"pass reset_after={after}: Keras 2.0 and TensorFlow 1 have False, TensorFlow 2 and Keras 3 True",
            "torch": "torch.nn.GRU applies the reset gate after the product: write the cell out" if not after else
            "n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), as torch.nn.GRU has it",
        },
    )  # fmt: skip
    if setting.site("state.h") is not None:
        yield Fault(
            "gates.blend masked",
            "the masked h blended into the new state as well",
            "mask h where it enters the products only: h = z * h' + (1 - z) * n takes the whole h'",
            odd({"blend_masked": True}),
            1.1,
        )


class _Odd(LstmConfig):
    """Settings that no case can have: another activation in tanh's place."""

    candidate: str | None = None
    emitted: str | None = None

    def stack(self) -> StackOptions:
        """As the plain settings, with those activations."""
        plain = super().stack()
        cell = dataclasses.replace(plain.cell, candidate=self.candidate, emitted=self.emitted)
        return dataclasses.replace(plain, cell=cell)


class _OddPair(EncoderDecoderConfig):
    """The same for both halves of an encoder and decoder."""

    candidate: str | None = None
    emitted: str | None = None
    recurrent_activation: str | None = None

    def stack(self) -> StackOptions:
        """As the plain settings, with those activations."""
        plain = super().stack()
        options = {name: getattr(self, name) for name in ("candidate", "emitted", "recurrent_activation")}
        return dataclasses.replace(plain, cell=dataclasses.replace(plain.cell, **options))


class _OddLanguage(AwdLstm):
    """A language model of such cells."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def cell_options(self, units: int) -> CellOptions:
        """A cell with those activations."""
        return CellOptions(units, **self.options)


class _OddGru(Gru):
    """A GRU of another cell; `options` as of GruCell."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def cell(self, config: Any, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The other cell."""
        return GruCell(weights, arithmetic, **{"after": config.reset_after, **self.options})


class _OddRnn(SimpleRnn):
    """A simple recurrent layer of another cell; `options` as of ElmanCell."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def cell(self, config: Any, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The other cell."""
        return ElmanCell(weights, arithmetic, **self.options)


def odd(options: dict[str, Any]) -> Run:
    """The layer with a cell that no case can ask for. Options add to those that another fault has set."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        return inner(_with_cell(setting, options))

    return run


def _with_cell(setting: Setting, options: dict[str, Any]) -> Setting:
    config, kind = setting.config, setting.kind
    if kind.name == "lstm":
        return setting.changed(config=_Odd.model_construct(**{**dict(config), **options}))
    if kind.name == "encoder_decoder":
        return setting.changed(config=_OddPair.model_construct(**{**dict(config), **options}))
    whole = {**getattr(kind, "options", {}), **options}
    if kind.name == "awd_lstm":
        return setting.changed(kind=_OddLanguage(whole))
    return setting.changed(kind=_OddGru(whole) if kind.name == "gru" else _OddRnn(whole))
