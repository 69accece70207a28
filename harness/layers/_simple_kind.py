"""What the kinds `gru` and `simple_rnn` share: one layer, one state h, dropout at input, state.h and output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from harness.errors import did_you_mean
from harness.layers._arithmetic import Arithmetic, Array, float64
from harness.layers._fields import Count, Flag
from harness.layers._lstm_names import check_sequence
from harness.layers._simple_core import SimpleCell, SimpleRun
from harness.layers._sites import active_multiplier, resolve
from harness.layers.base import Config, DropoutSpec, Evaluation, LayerKind, Refused, Shapes
from harness.records import Arrays, Site
from harness.rounding import Rounding


class SimpleConfig(Config):
    """Settings of both kinds."""

    units: Count = Field(description="H, the width of the state.")
    return_sequences: Flag = Field(default=False, description="y has every step's h, else the last step's.")
    return_state: Flag = Field(default=False, description="The last h is an output too.")


class SimpleKind(LayerKind):
    """Inputs x (B, T, D), optional h0 (B, H); outputs y, h.

    Sites: input (gates G, batch, time, features D), state.h (gates G, batch, time, features H), output (batch, time,
    features H); without an axis `gates` where there is one gate.
    """

    site_names = ("input", "state.h", "output")
    states = ("h",)

    @abstractmethod
    def cell(self, config: Any, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The cell with its weights."""

    def input_names(self, config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x, and the initial state, zero where it is not given."""
        return ("x",), ("h0",)

    def check_inputs(self, config: Any, inputs: Shapes) -> None:
        """Refuse all but x (B, T, D) with T, D >= 1, and h0 (B, H)."""
        check_sequence("x", inputs["x"])
        expected = (inputs["x"][0], config.units)
        if "h0" in inputs and tuple(inputs["h0"]) != expected:
            raise Refused(("inputs", "h0"), f"h0 must be (batch, units) = {expected}, not {tuple(inputs['h0'])}")

    def weight_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, GH), recurrent_kernel (H, GH), bias (GH,)."""
        self.check_inputs(config, inputs)
        wide = len(self.gates) * config.units
        return {"kernel": (inputs["x"][2], wide), "recurrent_kernel": (config.units, wide), "bias": (wide,)}

    def sites(self, config: Any, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order."""
        self.check_inputs(config, inputs)
        batch, time, features = inputs["x"]
        found: list[Site] = []
        for index, spec in enumerate(dropout):
            if spec.at not in self.site_names:
                known = ", ".join(self.site_names)
                hint = did_you_mean(spec.at, self.site_names)
                raise Refused(("dropout", index, "at"), f"no site {spec.at!r} here{hint}; there are: {known}")
            if any(site.at == spec.at for site in found):
                raise Refused(("dropout", index, "at"), f"site {spec.at!r} is listed twice")
            axes: tuple[str, ...] = ("batch", "time", "features")
            shape: tuple[int, ...] = (batch, time, features if spec.at == "input" else config.units)
            if spec.at != "output" and len(self.gates) > 1:
                axes, shape = ("gates", *axes), (len(self.gates), *shape)
            found.append(resolve(spec, index, axes, shape))
        return tuple(found)

    def output_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes of y, then of h where the state is returned."""
        batch, time, _ = inputs["x"]
        y = (batch, time, config.units) if config.return_sequences else (batch, config.units)
        return {"y": y} | ({"h": (batch, config.units)} if config.return_state else {})

    def evaluate(
        self,
        config: Any,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Outputs, gradients of every given input and weight, and the trace: every step's `h` (B, T, H)."""
        arithmetic = Arithmetic(rounding)
        x = float64(inputs["x"])
        batch, time, features = x.shape
        h0 = float64(inputs.get("h0", np.zeros((batch, config.units))))
        by_name = {site.at: site for site in sites}

        def mask(at: str, width: int) -> Array | None:
            """A multiplier (1 or G, B, T, width)."""
            value = arithmetic.mask(active_multiplier(by_name.get(at), draws, train))
            if value is None:
                return None
            value = value if value.ndim == 4 else value[None]
            return np.broadcast_to(value, (value.shape[0], batch, time, width))

        cell = self.cell(config, weights, arithmetic)
        run = SimpleRun(x, h0, cell, mask("input", features), mask("state.h", config.units), arithmetic)
        output = mask("output", config.units)
        y = arithmetic.times(run.h, None if output is None else output[0])
        outputs = {"y": y if config.return_sequences else y[:, -1]}
        if config.return_state:
            outputs["h"] = run.last_h
        if cotangents is None:
            return Evaluation(outputs, trace={"h": run.h})
        dy = np.zeros_like(y)
        if "y" in cotangents:
            dy[:, slice(None) if config.return_sequences else -1] = float64(cotangents["y"])
        dh = float64(cotangents.get("h", np.zeros_like(h0)))
        dx, dh0, gradients = run.backward(arithmetic.times(dy, None if output is None else output[0]), dh)
        gradients["x"] = dx
        if "h0" in inputs:
            gradients["h0"] = dh0
        return Evaluation(outputs, gradients, {"h": run.h})
