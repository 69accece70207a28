"""What the noise layers have in common: one input x of any rank, one site `input`, one output y of x's shape."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from harness.layers._arithmetic import Arithmetic, float64
from harness.layers._sites import axes_of, mask_shape, shared_axes
from harness.layers.base import DropoutSpec, Evaluation, LayerKind, Refused, Shapes
from harness.records import Arrays, Site
from harness.rounding import Rounding


def product(x: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X times a factor that broadcasts to it, and the slope."""
    return x * factor, factor + 0.0 * x


class PointwiseNoise(LayerKind):
    """A layer y = noise(x), elementwise. Subclasses give `noise` and the formula in `apply`."""

    elementwise = True
    noise: ClassVar[str]
    input_letters: ClassVar[Mapping[str, str]] = {}

    def input_names(self, config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """One input, x, of any rank."""
        return ("x",), ()

    def sites(self, config: Any, dropout: Sequence[DropoutSpec], inputs: Shapes) -> tuple[Site, ...]:
        """The one site `input`; its settings stand in `config`, so a `dropout` list is refused."""
        if dropout:
            raise Refused(("dropout",), f"layer {self.name!r} is the noise itself: its rate stands in `config`")
        shape = tuple(inputs["x"])
        axes = axes_of(len(shape))
        shared = shared_axes(getattr(config, "shared", ()), axes, ("config", "shared"))
        return (
            Site(
                at="input",
                rate=getattr(config, "rate", 0.0),
                noise=self.noise,
                shared=shared,
                axes=axes,
                shape=mask_shape(shape, axes, shared),
                full=shape,
                stddev=getattr(config, "stddev", 0.0),
            ),
        )

    def output_shapes(self, config: Any, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """One output, y, of x's shape."""
        return {"y": tuple(inputs["x"])}

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
        """Return y and dy/dx; the identity outside of training and where the noise is silent."""
        x = float64(inputs["x"])
        arithmetic = Arithmetic(rounding)
        y, slope = x, None
        if train and not sites[0].silent:
            y, slope = self.apply(sites[0], x, draws, arithmetic)
        if cotangents is None or "y" not in cotangents:
            return Evaluation({"y": y})
        return Evaluation({"y": y}, {"x": arithmetic.times(float64(cotangents["y"]), slope)})

    @abstractmethod
    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return y and its slope dy/dx, elementwise (None: 1), of a site that is not silent."""
