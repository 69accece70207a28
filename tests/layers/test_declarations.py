"""What a kind declares of its gates is judged when it registers: one line with file and class, and nothing is guessed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.layers.base import Gate, LayerKind, kinds, register
from harness.layers.embedding import Embedding
from harness.layers.simple_rnn import SimpleRnn

FORGET, NEW = Gate("f", "the forget gate f"), Gate("h", "the new value h")

WRONG: dict[str, tuple[type[LayerKind], dict[str, Any], str]] = {
    "a typo": (SimpleRnn, {"gate": (FORGET, NEW)}, "nobody reads 'gate' (did you mean 'gates'?)"),
    "texts": (SimpleRnn, {"gates": ("f", "h")}, "gates is a tuple of Gate, not ('f', 'h')"),
    "a word": (SimpleRnn, {"gates": (Gate("forget", "the forget gate"), NEW)}, "the gate 'forget' needs one letter"),
    "one letter twice": (SimpleRnn, {"gates": (FORGET, NEW, FORGET)}, "two gates are called 'f'"),
    "states and no gates": (SimpleRnn, {"gates": ()}, "has the states h and declares no gates: gates = (Gate("),
    "a dropped state and no gates": (
        SimpleRnn,
        {"gates": (), "states": ()},
        "has dropout at state.h and declares no gates: gates = (Gate(",
    ),
    "recurrent weights and no gates": (
        Embedding,
        {"weight_shapes": lambda self, config, inputs: {"layer0.recurrent_kernel": (4, 4)}},
        "has the weight layer0.recurrent_kernel and declares no gates: gates = (Gate(",
    ),
    "gates and no states": (SimpleRnn, {"states": ()}, "declares the gates h and no states"),
    "states as a text": (SimpleRnn, {"states": "h"}, "states is a tuple of texts, not 'h'"),
    "a method that is missing": (
        SimpleRnn,
        {"__abstractmethods__": frozenset({"evaluate", "sites"})},
        "has no method evaluate, sites",
    ),
    "a name that is taken": (
        SimpleRnn,
        {"name": "lstm"},
        "the layer kind 'lstm' is registered twice: harness.layers.lstm.Lstm and ",
    ),
}


@pytest.mark.parametrize("title", WRONG)
def test_what_cannot_be_is_told_when_it_registers(title: str) -> None:
    base, body, words = WRONG[title]
    kinds()
    cls = type("Mine", (base,), {"name": "mine", **body, "__module__": __name__})
    for name in ("__abstractmethods__",):
        if name in body:
            cls.__abstractmethods__ = body[name]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=re.escape(words)) as told:
        register(cls())
    assert re.match(r"[\w/]+\.py(:\d+)?: class \w+: ", str(told.value)), told.value
    assert "\n" not in str(told.value)
    assert "mine" not in kinds()


def test_gates_are_as_many_as_their_blocks() -> None:
    """The declared order is that of the columns: each kind's kernel has one block a gate."""
    for name, kind in kinds().items():
        if kind.form is None:
            continue
        config = kind.Config(units=3, **({"vocabulary": 5, "features": 4} if name == "awd_lstm" else {}))
        shapes = {key: (2, 4, 5)[: len(kind.input_letters.get(key, "BTD"))] for key in kind.input_names(config)[0]}
        weights = kind.weight_shapes(config, shapes)
        assert {shape[-1] for key, shape in weights.items() if key.endswith("recurrent_kernel")} == {
            3 * len(kind.gates)
        }
        assert {key.removesuffix("0").rpartition(".")[2] for key in kind.input_names(config)[1]} == set(kind.states)
