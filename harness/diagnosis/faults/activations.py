"""Other cells: hard against soft gates, something other than tanh, and what else a kind says that people write in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.diagnosis.fault import Fault, Run, family
from harness.diagnosis.setting import Inner, Setting
from harness.layers._lstm_cell import ACTIVATIONS, SQUASHES
from harness.layers.base import Evaluation

GATE_WORDS = {
    None: "the sigmoid",
    "hard_sigmoid": "hard_sigmoid x / 6 + 0.5 (Keras 3, torch, JAX)",
    "hard_sigmoid_keras2": "hard_sigmoid 0.2 x + 0.5 (Keras up to 2.3, tf_keras)",
    "tanh": "tanh",
}
SQUASH_WORDS = {"linear": "no activation", "relu": "relu", "sigmoid": "the sigmoid"}


@family("activation.gates", stage="layer")
def gates(setting: Setting) -> Iterator[Fault]:
    """Another recurrent activation."""
    oddities = setting.kind.oddities
    if oddities is None or not oddities.gates:
        return
    right = getattr(setting.config, "recurrent_activation", None)
    for name in ACTIVATIONS:
        if name != right:
            yield Fault(
                f"activation.gates {name or 'sigmoid'}",
                f"gates activated with {GATE_WORDS[name]} instead of {GATE_WORDS[right]}",
                f"use {GATE_WORDS[right]} for the gates",
                odd({oddities.gates: name}),
                1.4 if name == "tanh" else 1.0,
                words={"right": right or "sigmoid"},
            )


@family("activation.squash", stage="layer")
def squashes(setting: Setting) -> Iterator[Fault]:
    """Another activation than tanh: for the candidate, the new value, or the cell state on its way out."""
    oddities = setting.kind.oddities
    if oddities is None:
        return
    places = oddities.tanh
    for where, words in places.items():
        for name, text in SQUASH_WORDS.items():
            assert name in SQUASHES
            yield Fault(
                f"activation.{'candidate' if where == 'squash' else where} {name}",
                f"{text} instead of tanh on {words}",
                oddities.formula,
                odd({where: name}),
                1.3 if len(places) > 1 else 1.0,
            )
    if len(places) > 1:
        for name, text in SQUASH_WORDS.items():
            yield Fault(
                f"activation.both {name}",
                f"{text} instead of tanh on {' and on '.join(places.values())}",
                "set activation to tanh, the layer's default",
                odd(dict.fromkeys(places, name)),
                1.2,
            )


@family("gates.cell", stage="layer")
def mistakes(setting: Setting) -> Iterator[Fault]:
    """The cells that people write in the place of the kind's own."""
    for mistake in setting.kind.mistakes(setting.config):
        if not mistake.at or setting.site(mistake.at) is not None:
            yield Fault(mistake.name, mistake.cause, mistake.fix, odd(mistake.options), mistake.rarity)


def odd(options: Mapping[str, Any]) -> Run:
    """The layer with a cell that no case can ask for. Options add to those that another fault has set."""

    def run(setting: Setting, inner: Inner) -> Evaluation:
        return inner(setting.changed(kind=setting.kind.odd(options)))

    return run
