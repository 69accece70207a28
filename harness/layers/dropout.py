"""Dropout: each element is kept with probability 1 - rate and scaled by its inverse.

Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, *Dropout: A Simple Way to Prevent Neural Networks from
Overfitting*, JMLR 15 (2014): section 4 (r ~ Bernoulli(keep), y = r * x), section 10 (scaling by 1 / keep in training).
Spatial dropout (Tompson et al. 2015, arXiv 1411.4280) is this layer with `shared: [time]` or `[height, width]`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._fields import Rate, SharedAxes
from harness.layers._pointwise import PointwiseNoise
from harness.layers._sites import active_multiplier
from harness.layers.base import Config, register
from harness.records import Site


class DropoutConfig(Config):
    """Settings of dropout."""

    rate: Rate = Field(description="Probability that an element is dropped.")
    shared: SharedAxes = Field(default=(), description="Axes over which one decision holds (the noise shape).")


class Dropout(PointwiseNoise):
    """y = x * mask / (1 - rate); at rate 1 y = 0."""

    name = "dropout"
    Config = DropoutConfig
    noise = "bernoulli"
    checks = ("mask.predicted", "scale.survivors")

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Multiply by the mask; the slope is the mask."""
        mask = arithmetic.mask(active_multiplier(site, draws, train=True))
        return arithmetic.times(x, mask), mask


register(Dropout())
