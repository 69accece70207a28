"""Gaussian noise: a draw from N(0, stddev**2) is added to every element.

Bishop, *Training with Noise is Equivalent to Tikhonov Regularization*, Neural Computation 7 (1995). The layer that
people take for Gaussian dropout: additive, with no rate and no scaling.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._declared import Formula
from harness.layers._fields import Stddev
from harness.layers._pointwise import PointwiseNoise, product
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
    formulas = (
        Formula(
            "noise.multiplied",
            "the noise multiplied instead of added",
            "GaussianNoise adds N(0, stddev²); GaussianDropout multiplies",
            lambda site, x, draws: product(x, 1.0 + site.stddev * draws[site.at]),
        ),
        Formula(
            "noise.missing x",
            "the noise alone, without x",
            "add the noise to x",
            lambda site, x, draws: (site.stddev * draws[site.at] + 0.0 * x, np.zeros_like(x)),
        ),
    )

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the noise; the slope is 1."""
        noise = arithmetic.point(site.stddev * draw_of(site, draws))
        return arithmetic.point(x + noise), None


register(GaussianNoise())
