"""The simple recurrent layer.

Equation: harness.layers._simple_core; sites: harness.layers._simple_kind.
"""

from __future__ import annotations

from typing import Any

from harness.layers._arithmetic import Arithmetic
from harness.layers._declared import Gate, Oddities
from harness.layers._simple_core import ElmanCell, SimpleCell
from harness.layers._simple_kind import SimpleConfig, SimpleKind
from harness.layers.base import register
from harness.records import Arrays


class SimpleRnn(SimpleKind):
    """h = tanh(x W + h' U + b)."""

    name = "simple_rnn"
    Config = SimpleConfig
    gates = (Gate("h", "the new h"),)
    oddities = Oddities(
        tanh={"squash": "the new h"},
        formula="h = tanh(…): set activation (in torch nonlinearity) to 'tanh'",
        fed={},
    )

    def cell(self, config: Any, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The Elman cell."""
        return ElmanCell(weights, arithmetic, **self.options)


register(SimpleRnn())
