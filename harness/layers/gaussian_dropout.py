"""Gaussian dropout: every element is multiplied by a draw from N(1, rate / (1 - rate)).

Srivastava et al., *Dropout*, JMLR 15 (2014), section 10: multiplicative Gaussian noise whose mean and variance are
those of inverted Bernoulli dropout of the same rate. No element is dropped; all are touched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._declared import Formula
from harness.layers._fields import OpenRate, SharedAxes
from harness.layers._pointwise import PointwiseNoise, product
from harness.layers._sites import active_multiplier
from harness.layers.base import Config, register
from harness.records import Site


class GaussianDropoutConfig(Config):
    """Settings of Gaussian dropout."""

    rate: OpenRate = Field(description="Sets the standard deviation sqrt(rate / (1 - rate)), so rate 1 is refused.")
    shared: SharedAxes = Field(default=(), description="Axes that share one factor.")


class GaussianDropout(PointwiseNoise):
    """y = x * (1 + sqrt(rate / (1 - rate)) n), n standard normal."""

    name = "gaussian_dropout"
    Config = GaussianDropoutConfig
    noise = "gaussian"
    formulas = (
        Formula(
            "noise.additive",
            "the noise added instead of multiplied",
            "Gaussian dropout multiplies by N(1, rate / (1 - rate)); GaussianNoise adds",
            lambda site, x, draws: (x + site.spread * draws[site.at], np.ones_like(x)),
        ),
        Formula(
            "noise.mean 0",
            "noise of mean 0 instead of 1 multiplied",
            "the factor is 1 + sqrt(rate / (1 - rate)) n",
            lambda site, x, draws: product(x, site.spread * draws[site.at]),
        ),
    )

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Multiply by the factor; the slope is the factor."""
        factor = arithmetic.mask(active_multiplier(site, draws, train=True))
        return arithmetic.times(x, factor), factor


register(GaussianDropout())
