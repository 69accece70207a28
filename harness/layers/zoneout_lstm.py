"""LSTM with zoneout: an element of the state keeps its old value instead of becoming zero.

Krueger et al., *Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations*, ICLR 2017 (arXiv 1606.01305), section 3.
With the step (h~, c~) of harness.layers._lstm_cell from x_t and the whole state (h', c') before it, and decisions d (1 with
probability 1 - rate, where the new value is taken):

    h = d_h * h~ + (1 - d_h) * h',    c = d_c * c~ + (1 - d_c) * c'

h~ is computed from c~, not from c. In evaluation d is its expectation, 1 - rate. Backward: the chain rule on these lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from harness.errors import did_you_mean
from harness.layers._arithmetic import Arithmetic, Array, float64
from harness.layers._fields import Count, Flag
from harness.layers._lstm_cell import Cell, CellOptions
from harness.layers._lstm_kind import LstmKind
from harness.layers._lstm_names import check_sequence
from harness.layers._sites import draw_of, resolve
from harness.layers.base import Config, DropoutSpec, Evaluation, Refused, Shapes, register
from harness.records import Arrays, Site
from harness.rounding import Rounding

NOISE = "zoneout"


class ZoneoutLstmConfig(Config):
    """Settings of an LSTM with zoneout."""

    units: Count = Field(description="H, the width of the state.")
    return_sequences: Flag = Field(default=False, description="y has every step's h, else the last step's.")
    return_state: Flag = Field(default=False, description="The last h and c are outputs too.")


class Share:
    """The share of the new value at one site: all of it without a site; decisions in training; else the expectation."""

    def __init__(
        self,
        site: Site | None,
        draws: Mapping[str, np.ndarray],
        shape: Sequence[int],
        arithmetic: Arithmetic,
        train: bool,
    ) -> None:
        self.arithmetic = arithmetic
        self.decisions: Array | None = None
        self.new, self.old = np.asarray(1.0), np.asarray(0.0)
        if site is None or site.silent:
            return
        if train:
            self.decisions = np.broadcast_to(draw_of(site, draws).astype(bool), tuple(shape))
        else:
            self.new, self.old = (arithmetic.point(np.asarray(value)) for value in (site.keep, site.rate))

    def blend(self, new: Array, old: Array, t: int) -> Array:
        """The state after step t, (B, H)."""
        if self.decisions is not None:
            return np.where(self.decisions[:, t], new, old)
        if not self.old:
            return new
        return self.arithmetic.point(self.arithmetic.point(self.new * new) + self.arithmetic.point(self.old * old))

    def parts(self, gradient: Array, t: int) -> tuple[Array, Array]:
        """The gradients of the new and of the old value, of one of the state after step t."""
        if self.decisions is not None:
            taken = self.decisions[:, t]
            return np.where(taken, gradient, 0.0), np.where(taken, 0.0, gradient)
        point = self.arithmetic.point
        return (point(self.new * gradient), point(self.old * gradient)) if self.old else (gradient, 0.0 * gradient)


class ZoneoutLstm(LstmKind):
    """Inputs x (B, T, D), optional h0 and c0 (B, H); outputs y, h, c. Sites state.h and state.c (batch, time, features H).

    The noise of both is zoneout, whether the case says so or not.
    """

    name = "zoneout_lstm"
    Config = ZoneoutLstmConfig
    site_names = ("state.h", "state.c")
    input_letters: ClassVar[Mapping[str, str]] = {"x": "BTD"}

    def input_names(self, config: ZoneoutLstmConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return x, and the initial state, zero where it is not given."""
        return ("x",), ("h0", "c0")

    def check_inputs(self, config: ZoneoutLstmConfig, inputs: Shapes) -> None:
        """Refuse all but x (B, T, D) with T, D >= 1, and h0 and c0 (B, H)."""
        check_sequence("x", inputs["x"])
        expected = (inputs["x"][0], config.units)
        for name in ("h0", "c0"):
            if name in inputs and tuple(inputs[name]) != expected:
                raise Refused(
                    ("inputs", name), f"{name} must be (batch, units) = {expected}, not {tuple(inputs[name])}"
                )

    def weight_shapes(self, config: ZoneoutLstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes by name: kernel (D, 4H), recurrent_kernel (H, 4H), bias (4H,)."""
        self.check_inputs(config, inputs)
        wide = 4 * config.units
        return {"kernel": (inputs["x"][2], wide), "recurrent_kernel": (config.units, wide), "bias": (wide,)}

    def sites(self, config: ZoneoutLstmConfig, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """Resolve the `dropout` list in its order."""
        self.check_inputs(config, inputs)
        found: list[Site] = []
        for index, spec in enumerate(dropout):
            if spec.at not in self.site_names:
                hint = did_you_mean(spec.at, self.site_names)
                known = ", ".join(self.site_names)
                raise Refused(("dropout", index, "at"), f"no site {spec.at!r} here{hint}; there are: {known}")
            if any(site.at == spec.at for site in found):
                raise Refused(("dropout", index, "at"), f"site {spec.at!r} is listed twice")
            if spec.scale != "inverted":
                raise Refused(
                    ("dropout", index, "scale"), "zoneout takes the old value or the new: there is nothing to scale"
                )
            own = spec.model_copy(update={"noise": NOISE}) if spec.noise == "bernoulli" else spec
            axes = ("batch", "time", "features")
            found.append(resolve(own, index, axes, (*inputs["x"][:2], config.units), (NOISE,)))
        return tuple(found)

    def output_shapes(self, config: ZoneoutLstmConfig, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Shapes of y, then of h and c where the state is returned."""
        batch, time, _ = inputs["x"]
        state: tuple[int, ...] = (batch, config.units)
        y = (batch, time, config.units) if config.return_sequences else state
        return {"y": y} | ({"h": state, "c": state} if config.return_state else {})

    def cell_options(self, units: int) -> CellOptions:
        """The cell: the plain one. The search for causes has others."""
        return CellOptions(units, **self.options)

    def evaluate(
        self,
        config: ZoneoutLstmConfig,
        inputs: Arrays,
        weights: Arrays,
        sites: Sequence[Site],
        draws: Mapping[str, np.ndarray],
        *,
        train: bool,
        cotangents: Arrays | None = None,
        rounding: Rounding | None = None,
    ) -> Evaluation:
        """Outputs, gradients of every given input and weight, and the trace: every step's `h` and `c` (B, T, H)."""
        arithmetic = Arithmetic(rounding)
        x = float64(inputs["x"])
        batch, time, _ = x.shape
        zeros = np.zeros((batch, config.units))
        h, c = (float64(inputs.get(name, zeros)) for name in ("h0", "c0"))
        by_name = {site.at: site for site in sites}
        share_h, share_c = (
            Share(by_name.get(at), draws, (batch, time, config.units), arithmetic, train) for at in self.site_names
        )
        cell = Cell(self.cell_options(config.units), weights, arithmetic)
        steps: list[Any] = []
        trace: dict[str, list[Array]] = {"h": [], "c": []}
        for t in range(time):
            steps.append(cell.step(x[None, :, t], h[None], c))
            h, c = share_h.blend(steps[-1].h, h, t), share_c.blend(steps[-1].c, c, t)
            trace["h"].append(h)
            trace["c"].append(c)
        every = {name: np.stack(values, axis=1) for name, values in trace.items()}
        outputs = {"y": every["h"] if config.return_sequences else h}
        if config.return_state:
            outputs |= {"h": h, "c": c}
        if cotangents is None:
            return Evaluation(outputs, trace=every)
        dy = np.zeros_like(every["h"])
        if "y" in cotangents:
            dy[:, slice(None) if config.return_sequences else -1] = float64(cotangents["y"])
        dh, dc = (float64(cotangents.get(name, zeros)) for name in ("h", "c"))
        dx = np.zeros_like(x)
        for t in reversed(range(time)):
            (new_h, old_h), (new_c, old_c) = share_h.parts(arithmetic.point(dh + dy[:, t]), t), share_c.parts(dc, t)
            dz, entering_c = cell.back(steps[t], new_h, new_c)
            dx[:, t] = cell.through(dz, cell.W, None)
            dh = arithmetic.point(cell.through(dz, cell.U, None) + old_h)
            dc = arithmetic.point(entering_c + old_c)
        gradients = {"x": dx, **cell.gradients()}
        gradients |= {name: value for name, value in (("h0", dh), ("c0", dc)) if name in inputs}
        return Evaluation(outputs, gradients, every)


register(ZoneoutLstm())
