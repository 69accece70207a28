"""LSTM, one layer or a stack, with dropout at the input, the states, the output and between the layers.

Equations and papers: harness.layers._lstm_core; sites and their axes: harness.layers._lstm_stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._fields import Count, Flag
from harness.layers._lstm_stack import (
    SITES,
    StackRun,
    check_sequence,
    check_state,
    resolve_sites,
    state_shape,
    weight_shapes,
)
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding


class LstmConfig(Config):
    """units: H. layers: L. return_sequences: y is (B, T, H), else the last step's (B, H). return_state: h and c too."""

    units: Count
    layers: Count = 1
    return_sequences: Flag = False
    return_state: Flag = False


class Lstm(LayerKind):
    """Inputs x (B, T, D), optional h0 and c0; outputs y, h, c. States are (B, H), in a stack (L, B, H)."""

    name = "lstm"
    Config = LstmConfig
    site_names = SITES

    def input_names(self, config: LstmConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """x, and the initial state, zero where it is not given."""
        return ("x",), ("h0", "c0")

    def check_inputs(self, config: LstmConfig, inputs: Shapes) -> None:
        """Refuse all but x (B, T, D) with T, D >= 1, and h0 and c0 of the state's shape."""
        check_sequence("x", inputs["x"])
        for name in ("h0", "c0"):
            if name in inputs:
                check_state(name, inputs[name], state_shape(config.units, config.layers, inputs["x"][0]))

    def weight_shapes(self, config: LstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,); in a stack `layer0.kernel` ..."""
        self.check_inputs(config, inputs)
        return weight_shapes(config.units, config.layers, inputs["x"][2])

    def sites(self, config: LstmConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order."""
        self.check_inputs(config, inputs)
        return resolve_sites(dropout, config.units, config.layers, {"": inputs["x"]})

    def output_shapes(self, config: LstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """y, then h and c where the state is returned."""
        batch, time, _ = inputs["x"]
        state = state_shape(config.units, config.layers, batch)
        shapes = {"y": (batch, time, config.units) if config.return_sequences else (batch, config.units)}
        return shapes | ({"h": state, "c": state} if config.return_state else {})

    def evaluate(
        self,
        config: LstmConfig,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Outputs, gradients of every given input and weight, and the trace: `h`, `c` (L, B, T, H) and `gates`."""
        x = float64(inputs["x"])
        batch = x.shape[0]
        stacked = (config.layers, batch, config.units)
        state = state_shape(config.units, config.layers, batch)
        h0, c0 = (float64(inputs.get(name, np.zeros(stacked))).reshape(stacked) for name in ("h0", "c0"))
        run = StackRun(x, h0, c0, weights, sites, draws, train=train, arithmetic=Arithmetic(rounding))
        outputs = {"y": run.y if config.return_sequences else run.y[:, -1]}
        if config.return_state:
            outputs |= {"h": run.h.reshape(state), "c": run.c.reshape(state)}
        if cotangents is None:
            return Evaluation(outputs, trace=run.trace)
        dy = np.zeros_like(run.y)
        if "y" in cotangents:
            dy[:, slice(None) if config.return_sequences else -1] = float64(cotangents["y"])
        dh, dc = (float64(cotangents.get(name, np.zeros(stacked))).reshape(stacked) for name in ("h", "c"))
        gradients = run.backward(dy, dh, dc)
        for name in ("h0", "c0"):
            value = gradients.pop(name)
            if name in inputs:
                gradients[name] = value.reshape(state)
        return Evaluation(outputs, gradients, run.trace)


register(Lstm())
