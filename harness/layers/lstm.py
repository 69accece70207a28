"""LSTM, one layer or a stack, in one direction or two, with dropout at every place that a published variant has it.

Equations and papers: harness.layers._lstm_cell and _lstm_core; sites and their axes: harness.frameworks.contract.geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.layers import _solved
from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._fields import Count, Flag, Layers
from harness.layers._lstm_cell import CellOptions
from harness.layers._lstm_kind import LstmKind
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
from harness.layers._solved import Seen, Told
from harness.layers.base import Config, DropoutSpec, Evaluation, Refused, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Limit = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]


class LstmConfig(Config):
    """Settings of an LSTM; every option after `return_state` is off by default."""

    units: Count = Field(description="H, the width of the cell state.")
    layers: Layers = Field(default=1, description="L, the layers of the stack.")
    return_sequences: Flag = Field(default=False, description="y has every step's output, else the last step's.")
    return_state: Flag = Field(default=False, description="The last h and c are outputs too.")
    forget_bias: Finite = Field(
        default=0.0,
        description="Added to the forget gate at run time (TensorFlow 1: 1.0 beside a stored bias of 0).",
    )
    peepholes: Flag = Field(
        default=False, description="The gates see c, through the weights peephole_i, peephole_f and peephole_o."
    )
    cell_clip: Limit | None = Field(
        default=None, description="c is clipped to [-cell_clip, cell_clip] before the output gate."
    )
    projection: Count | None = Field(
        default=None, description="P: h is projected to P values by the weight projection."
    )
    projection_clip: Limit | None = Field(
        default=None, description="h is clipped to [-projection_clip, projection_clip] after its projection."
    )
    recurrent_activation: Literal["hard_sigmoid", "hard_sigmoid_keras2"] | None = Field(
        default=None,
        description="Of the gates: none is the sigmoid; hard_sigmoid has slope 1/6, hard_sigmoid_keras2 slope 1/5.",
    )
    bidirectional: Flag = Field(default=False, description="Each layer reads the sequence both ways.")
    go_backwards: Flag = Field(
        default=False, description="One layer reads the sequence from its end; y is in the order of reading."
    )
    padding: Literal["zeros", "repeat", "free"] | None = Field(
        default=None, description="What y is after the end of a shorter sequence; the ends are the input lengths."
    )
    drop_leaving_state: Flag = Field(
        default=False, description="state.h and state.c act on the state that leaves a step, not on what enters it."
    )
    stateful: Flag = Field(
        default=False,
        description="A further call starts from the states that the last one left, until they are reset to zero.",
    )

    def stack(self) -> StackOptions:
        """The same, as the reference reads it."""
        cell = CellOptions(
            units=self.units,
            forget_bias=self.forget_bias,
            peepholes=self.peepholes,
            cell_clip=self.cell_clip,
            projection=self.projection,
            projection_clip=self.projection_clip,
            recurrent_activation=self.recurrent_activation,
        )
        return StackOptions(
            cell=cell,
            layers=self.layers,
            bidirectional=self.bidirectional,
            go_backwards=self.go_backwards,
            padding=self.padding,
            leaving=self.drop_leaving_state,
        )


class Lstm(LstmKind):
    """Inputs x (B, T, D), optional h0, c0 and lengths (B,); outputs y, h, c. States are (B, H), in a stack (L, B, H)."""

    name = "lstm"
    checks = ("state.last_step", "mask.predicted")
    Config = LstmConfig
    site_names = SITES
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BTD", "lengths": "B"}

    def forward(self, config: LstmConfig) -> bool:
        """Whether x is read from its first step to its last alone."""
        return not (config.bidirectional or config.go_backwards)

    def ends_in_state(self, config: LstmConfig) -> bool:
        """Not where another direction, padding or a dropped state stands at the end of y."""
        return not (config.bidirectional or config.drop_leaving_state or config.padding in ("zeros", "free"))

    def solved(self, config: LstmConfig, seen: Seen, gate: str) -> Told | None:
        """Of a cell without peepholes, clipping or a projection."""
        if config.peepholes or config.cell_clip or config.projection:
            return None
        return _solved.lstm(seen, gate, config.recurrent_activation, config.forget_bias)

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
        if config.stateful and {"h0", "c0"} & set(inputs):
            given = "h0" if "h0" in inputs else "c0"
            raise Refused(("inputs", given), "a stateful layer starts from zero, and then from its own last states")
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
        emitted = options.geometry().emitted
        y = (batch, time, emitted) if config.return_sequences else (batch, emitted)
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
        options = config.stack().odd(self.options)
        shapes, stack = state_shapes(options, x.shape[0]), options.geometry(x.shape)

        def state(name: str, given: Arrays, key: str) -> np.ndarray:
            """One state with all its leading axes; zeros where it is not given."""
            return float64(given[key]).reshape(stack.grid(name)) if key in given else np.zeros(stack.grid(name))

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
