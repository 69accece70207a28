"""Alpha dropout: dropped elements take SELU's saturation value, and an affine map restores mean 0 and variance 1.

Klambauer, Unterthiner, Mayr & Hochreiter, *Self-Normalizing Neural Networks*, 2017 (arXiv 1706.02515), section "New
Dropout Technique": with keep probability q and alpha' = -lambda alpha,

    y = a (x d + alpha' (1 - d)) + b,    a = (q + alpha'^2 q (1 - q))^(-1/2),    b = -a (1 - q) alpha'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from pydantic import Field

from harness.layers._arithmetic import Arithmetic
from harness.layers._declared import Formula
from harness.layers._fields import OpenRate, SharedAxes
from harness.layers._pointwise import PointwiseNoise, product
from harness.layers._sites import draw_of
from harness.layers.base import Config, register
from harness.records import Arrays, Site

#: SELU's constants, the paper's fixed point for mean 0 and variance 1, to float64's precision.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
SATURATION = -SELU_SCALE * SELU_ALPHA


def affine(rate: float) -> tuple[float, float]:
    """Return a and b of the paper for a drop rate in [0, 1)."""
    keep = 1.0 - rate
    a = float((keep + SATURATION**2 * keep * rate) ** -0.5)
    return a, -a * rate * SATURATION


class AlphaDropoutConfig(Config):
    """Settings of alpha dropout."""

    rate: OpenRate = Field(
        description="Probability that an element is dropped; at 1 no affine map restores the variance, so 1 is refused."
    )
    shared: SharedAxes = Field(default=(), description="Axes over which one decision holds.")


def instead(value: float, *, mapped: bool) -> Callable[[Site, np.ndarray, Arrays], tuple[np.ndarray, np.ndarray]]:
    """Another value for what is dropped, with or without the affine map."""

    def apply(site: Site, x: np.ndarray, draws: Arrays) -> tuple[np.ndarray, np.ndarray]:
        a, b = affine(site.rate) if mapped else (1.0, 0.0)
        kept = np.broadcast_to(draws[site.at], x.shape)
        return a * np.where(kept, x, value) + b, np.where(kept, a, 0.0)

    return apply


RIGHT = "dropped elements take SELU's saturation value -1.7581, then y = a x + b restores mean and variance"


class AlphaDropout(PointwiseNoise):
    """y = a (x d + alpha' (1 - d)) + b, d the decisions (1: kept)."""

    name = "alpha_dropout"
    Config = AlphaDropoutConfig
    noise = "alpha"
    formulas = (
        Formula(
            "noise.alpha plain",
            "plain dropout instead of alpha dropout",
            RIGHT,
            lambda site, x, draws: product(x, draws[site.at] / site.keep),
        ),
        Formula(
            "noise.alpha zero", "dropped elements set to 0 before the affine map", RIGHT, instead(0.0, mapped=True)
        ),
        Formula("noise.alpha unmapped", "no affine map after the dropping", RIGHT, instead(SATURATION, mapped=False)),
    )

    def apply(
        self, site: Site, x: np.ndarray, draws: Mapping[str, np.ndarray], arithmetic: Arithmetic
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Apply the affine map; the slope is a where kept, 0 elsewhere."""
        kept = np.broadcast_to(draw_of(site, draws).astype(bool), x.shape)
        a, b = affine(site.rate)
        scaled = arithmetic.point(a * np.where(kept, x, SATURATION))
        y = arithmetic.total(scaled + b, np.abs(scaled) + abs(b))
        return y, arithmetic.point(np.where(kept, a, 0.0))


register(AlphaDropout())
