"""Masked Gaussian noise: additive noise on the elements that dropout would have dropped, nothing on the others.

The "RealGaussianDropout" that people build when they expect of Gaussian dropout that it touches a share `rate` of the
elements: keep = (u >= rate), y = x * keep + (x + stddev n) * (1 - keep). No scaling, so kept elements are bit-equal to
x.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._fields import Rate, Stddev
from harness.layers._pointwise import PointwiseNoise
from harness.layers._sites import draw_of
from harness.layers.base import Config, register, tape_keys
from harness.records import Site


class MaskedGaussianNoiseConfig(Config):
    """Settings of masked Gaussian noise."""

    rate: Rate = Field(description="Probability that an element gets noise.")
    stddev: Stddev = Field(description="Standard deviation of that noise, in units of x.")


class MaskedGaussianNoise(PointwiseNoise):
    """y = x where kept, x + stddev n elsewhere."""

    name = "masked_gaussian_noise"
    Config = MaskedGaussianNoiseConfig
    noise = "masked_additive"

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the noise where it falls; the slope is 1 everywhere."""
        if site.rate == 0.0 or site.stddev == 0.0:
            return x, None
        decisions, normals = (draw_of(site, draws, key) for key, _ in tape_keys(site))
        noisy = arithmetic.point(x + arithmetic.point(site.stddev * normals))
        return np.where(decisions, x, noisy), None


register(MaskedGaussianNoise())
