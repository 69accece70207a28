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
from harness.layers._declared import Formula
from harness.layers._fields import Rate, Stddev
from harness.layers._pointwise import PointwiseNoise
from harness.layers._sites import draw_of
from harness.layers.base import Config, register, tape_keys
from harness.records import Site


class MaskedGaussianNoiseConfig(Config):
    """Settings of masked Gaussian noise."""

    rate: Rate = Field(description="Probability that an element gets noise.")
    stddev: Stddev = Field(description="Standard deviation of that noise, in units of x.")


def noisy(site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray]) -> np.ndarray:
    """X with noise on every element."""
    return np.asarray(x + site.stddev * draws[site.at + "/normal"])


class MaskedGaussianNoise(PointwiseNoise):
    """y = x where kept, x + stddev n elsewhere."""

    name = "masked_gaussian_noise"
    Config = MaskedGaussianNoiseConfig
    noise = "masked_additive"
    formulas = (
        Formula(
            "noise.kept",
            "noise on the kept elements instead of on the dropped ones",
            "add the noise where the mask drops",
            lambda site, x, draws: (np.where(draws[site.at], noisy(site, x, draws), x), np.ones_like(x)),
        ),
        Formula(
            "noise.everywhere",
            "noise on every element",
            "add the noise where the mask drops, and nowhere else",
            lambda site, x, draws: (noisy(site, x, draws), np.ones_like(x)),
        ),
        Formula(
            "noise.replaces x",
            "dropped elements replaced by the noise",
            "add the noise to the dropped elements",
            lambda site, x, draws: (
                np.where(draws[site.at], x, noisy(site, 0.0 * x, draws)),
                1.0 * draws[site.at] + 0.0 * x,
            ),
        ),
        Formula(
            "noise.scaled",
            "survivors scaled by 1 / keep",
            "masked noise does not scale: kept elements are x",
            lambda site, x, draws: (
                np.where(draws[site.at], x / site.keep, noisy(site, x, draws)),
                np.where(draws[site.at], 1.0 / site.keep, 1.0) + 0.0 * x,
            ),
        ),
    )

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add the noise where it falls; the slope is 1 everywhere."""
        decisions, normals = (draw_of(site, draws, key) for key, _ in tape_keys(site))
        changed = arithmetic.point(x + arithmetic.point(site.stddev * normals))
        return np.where(decisions, x, changed), None


register(MaskedGaussianNoise())
