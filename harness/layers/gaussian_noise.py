"""Gaussian noise: a draw from N(0, stddev**2) is added to every element.

Bishop, *Training with Noise is Equivalent to Tikhonov Regularization*, Neural Computation 7 (1995). The layer that
people take for Gaussian dropout: additive, with no rate and no scaling.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._fields import Stddev
from harness.layers._pointwise import PointwiseNoise
from harness.layers._sites import draw_of
from harness.layers.base import Config, register
from harness.records import Site


class GaussianNoiseConfig(Config):
    """Settings of Gaussian noise."""

    stddev: Stddev = Field(description="Standard deviation of the noise, in units of x.")


class GaussianNoise(PointwiseNoise):
    """y = x + stddev n, n standard normal."""

    name = "gaussian_noise"
    Config = GaussianNoiseConfig
    noise = "additive"

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the noise; the slope is 1."""
        if site.stddev == 0.0:
            return x, None
        noise = arithmetic.point(site.stddev * draw_of(site, draws))
        return arithmetic.point(x + noise), None


register(GaussianNoise())
