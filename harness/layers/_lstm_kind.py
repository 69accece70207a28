"""What the kinds of LSTM cells share: their gates and states, and what people get wrong about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from harness.layers._declared import Oddities
from harness.layers._lstm_cell import GATES, STATES
from harness.layers.base import LayerKind


class LstmKind(LayerKind):
    """A kind whose cell is that of harness.layers._lstm_cell, with `options` among its own."""

    gates = GATES
    states = STATES
    orders: ClassVar[Mapping[str, str]] = {
        "igfo": "TensorFlow 1 and Haiku",
        "iofg": "ONNX",
        "ifog": "CoreML",
        "gfoi": "DL4J",
    }
    oddities = Oddities(
        gates="recurrent_activation",
        tanh={"candidate": "the candidate g", "emitted": "the cell state on its way out"},
        formula="h = o * tanh(c) and g = tanh(…): set activation to tanh",
    )
