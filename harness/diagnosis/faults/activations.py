"""Activations: hard against soft gates, and something other than tanh."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting
from harness.layers._lstm_cell import ACTIVATIONS, SQUASHES
from harness.layers._lstm_names import StackOptions
from harness.layers.base import Evaluation
from harness.layers.lstm import LstmConfig

GATE_WORDS = {
    None: "the sigmoid",
    "hard_sigmoid": "hard_sigmoid x / 6 + 0.5 (Keras 3, torch, JAX)",
    "hard_sigmoid_keras2": "hard_sigmoid 0.2 x + 0.5 (Keras up to 2.3, tf_keras)",
}
SQUASH_WORDS = {"linear": "no activation", "relu": "relu", "sigmoid": "the sigmoid"}


@family("activation.gates", stage="layer")
def gates(setting: Setting) -> Iterator[Fault]:
    """Another recurrent activation."""
    if "recurrent_activation" not in type(setting.config).model_fields:
        return
    right = setting.config.recurrent_activation
    for name in ACTIVATIONS:
        if name != right:
            yield Fault(
                f"activation.gates {name or 'sigmoid'}",
                f"gates activated with {GATE_WORDS[name]} instead of {GATE_WORDS[right]}",
                f"use {GATE_WORDS[right]} for the gates",
                _gates(name),
                fixes={
                    "tensorflow": f"set recurrent_activation to {right or 'sigmoid'!r}; Keras' default changed with 2.3"
                },
            )


@family("activation.squash", stage="layer")
def squashes(setting: Setting) -> Iterator[Fault]:
    """Another activation than tanh for the candidate g or for the cell state on its way out."""
    if setting.kind.name != "lstm":
        return
    for where, words in (("candidate", "the candidate g"), ("emitted", "the cell state on its way out")):
        for name, text in SQUASH_WORDS.items():
            assert name in SQUASHES
            yield Fault(
                f"activation.{where} {name}",
                f"{text} instead of tanh on {words}",
                "h = o * tanh(c) and g = tanh(…): set activation to tanh",
                _squashed({where: name}),
                1.3,
            )
    for name, text in SQUASH_WORDS.items():
        yield Fault(
            f"activation.both {name}",
            f"{text} instead of tanh on the candidate g and on the cell state",
            "set activation to tanh, the layer's default",
            _squashed({"candidate": name, "emitted": name}),
            1.2,
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


def _gates(name: str | None) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        return inner(setting.changed(config=setting.config.model_copy(update={"recurrent_activation": name})))

    return run


def _squashed(options: dict[str, str]) -> Run:
    def run(setting: Setting, inner: Inner) -> Evaluation:
        return inner(setting.changed(config=_Odd(**{**setting.config.model_dump(), **options})))

    return run
