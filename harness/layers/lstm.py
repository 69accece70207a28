"""LSTM, one layer or a stack, in one direction or two, with dropout at every place that a published variant has it.

Equations and papers: harness.layers._lstm_cell and _lstm_core; sites and their axes: harness.layers._lstm_names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._fields import Count, Flag
from harness.layers._lstm_cell import CellOptions
from harness.layers._lstm_names import (
    SITES,
    StackOptions,
    check_sequence,
    check_states,
    resolve_sites,
    state_shapes,
    weight_shapes,
)
from harness.layers._lstm_stack import StackRun
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Refused, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Limit = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]


class LstmConfig(Config):
    """Settings of an LSTM; every option after `return_state` is off by default.

    units                 H.
    layers                L.
    return_sequences      y is (B, T, H), else the last step's (B, H).
    return_state          h and c are outputs too.
    forget_bias           added to the forget gate at run time (TensorFlow 1: 1.0 beside a stored bias of 0).
    peepholes             weights peephole_i, peephole_f, peephole_o (H,): the gates see c.
    cell_clip             c is clipped to [-cell_clip, cell_clip] before the output gate.
    projection            P: h is projected to P values by the weight projection (H, P).
    projection_clip       h is clipped to [-projection_clip, projection_clip] after its projection.
    recurrent_activation  of the gates: None is the sigmoid; `hard_sigmoid` slope 1/6, `hard_sigmoid_keras2` slope 1/5.
    bidirectional         each layer reads the sequence both ways.
    go_backwards          one layer reads it from the end; y is in the order of reading.
    padding               what y is after the end of a shorter sequence (input `lengths`): `zeros`, `repeat` or `free`.
    drop_leaving_state    state.h and state.c act on the state that leaves a step, not on what enters it.
    """

    units: Count
    layers: Count = 1
    return_sequences: Flag = False
    return_state: Flag = False
    forget_bias: Finite = 0.0
    peepholes: Flag = False
    cell_clip: Limit | None = None
    projection: Count | None = None
    projection_clip: Limit | None = None
    recurrent_activation: Literal["hard_sigmoid", "hard_sigmoid_keras2"] | None = None
    bidirectional: Flag = False
    go_backwards: Flag = False
    padding: Literal["zeros", "repeat", "free"] | None = None
    drop_leaving_state: Flag = False

    def stack(self) -> StackOptions:
        """The same, as the reference reads it."""
        cell = CellOptions(
            self.units,
            self.forget_bias,
            self.peepholes,
            self.cell_clip,
            self.projection,
            self.projection_clip,
            self.recurrent_activation,
        )
        return StackOptions(
            cell, self.layers, self.bidirectional, self.go_backwards, self.padding, self.drop_leaving_state
        )


class Lstm(LayerKind):
    """Inputs x (B, T, D), optional h0, c0 and lengths (B,); outputs y, h, c. States are (B, H), in a stack (L, B, H)."""

    name = "lstm"
    Config = LstmConfig
    site_names = SITES

    def input_names(self, config: LstmConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x; the initial state, zero where it is not given; and the lengths where there is a `padding`."""
        return ("x", *(("lengths",) if config.padding else ())), ("h0", "c0")

    def integer_inputs(self, config: LstmConfig, inputs: Shapes) -> dict[str, tuple[int, int]]:
        """Lengths are in [1, T]."""
        return {"lengths": (1, inputs["x"][1])} if "lengths" in inputs else {}

    def check_inputs(self, config: LstmConfig, inputs: Shapes) -> None:
        """Refuse all but x (B, T, D) with T, D >= 1, h0 and c0 of the state's shape, lengths (B,); and settings at odds."""
        check_sequence("x", inputs["x"])
        batch = inputs["x"][0]
        check_states(config.stack(), inputs, batch)
        if "lengths" in inputs and tuple(inputs["lengths"]) != (batch,):
            raise Refused(
                ("inputs", "lengths"), f"lengths must be (batch,) = {(batch,)}, not {tuple(inputs['lengths'])}"
            )
        if config.go_backwards and (config.bidirectional or config.layers > 1):
            raise Refused(("config", "go_backwards"), "go_backwards is for one layer in one direction")
        if config.projection_clip is not None and config.projection is None:
            raise Refused(("config", "projection_clip"), "there is no `projection` to clip")
        if config.padding == "free" and (config.bidirectional or config.go_backwards):
            raise Refused(("config", "padding"), "`free` padding is for reading forward: backward it would start in it")

    def weight_shapes(self, config: LstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,); in a stack `layer0.kernel` ..."""
        self.check_inputs(config, inputs)
        return weight_shapes(config.stack(), inputs["x"][2])

    def sites(self, config: LstmConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order."""
        self.check_inputs(config, inputs)
        return resolve_sites(dropout, config.stack(), {"": inputs["x"]})

    def output_shapes(self, config: LstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes of y, then of h and c where the state is returned."""
        batch, time, _ = inputs["x"]
        options = config.stack()
        y = (batch, time, options.emitted) if config.return_sequences else (batch, options.emitted)
        return {"y": y} | (state_shapes(options, batch) if config.return_state else {})

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
        """Outputs, gradients of every given float input and weight, and the trace: `h`, `c` (L, B, T, H) and `gates`."""
        x = float64(inputs["x"])
        options = config.stack()
        shapes = state_shapes(options, x.shape[0])
        stacked = {name: (options.layers, options.directions, *shape[-2:]) for name, shape in shapes.items()}

        def state(name: str, given: Arrays, key: str) -> np.ndarray:
            """One state with all its leading axes; zeros where it is not given."""
            return float64(given[key]).reshape(stacked[name]) if key in given else np.zeros(stacked[name])

        lengths = np.asarray(inputs["lengths"]).astype(np.int64) if config.padding else None
        run = StackRun(
            options,
            x,
            state("h", inputs, "h0"),
            state("c", inputs, "c0"),
            weights,
            sites,
            draws,
            train=train,
            arithmetic=Arithmetic(rounding),
            lengths=lengths,
        )
        outputs = {"y": run.y if config.return_sequences else run.last}
        if config.return_state:
            outputs |= {"h": run.h.reshape(shapes["h"]), "c": run.c.reshape(shapes["c"])}
        if cotangents is None:
            return Evaluation(outputs, trace=run.trace)
        dy = np.zeros_like(run.y)
        if "y" in cotangents:
            given = float64(cotangents["y"])
            dy = given if config.return_sequences else run.spread(given)
        gradients = run.backward(dy, state("h", cotangents, "h"), state("c", cotangents, "c"))
        for name in ("h", "c"):
            value = gradients.pop(f"{name}0")
            if f"{name}0" in inputs:
                gradients[f"{name}0"] = value.reshape(shapes[name])
        return Evaluation(outputs, gradients, run.trace)


register(Lstm())
