"""Normal noise: mean, spread and distribution of standard normal draws, with the smallest bias that matters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.statistics.design import Outcome
from harness.comparison.statistics.distributions import chi_square_lower, chi_square_upper, normal_cdf, normal_upper


def mean_test(values: NDArray[Any], allowed: float = 0.0) -> Outcome:
    """Exact test that the mean of standard normal draws lies within `allowed` of 0: sqrt(n) times it is N(0, 1)."""
    z = np.asarray(values, dtype=np.float64)
    if z.size == 0:
        return Outcome("noise.mean", math.nan, 0.0, 1.0, 0)
    mean = float(z.mean())
    excess = max(0.0, abs(mean) - allowed) if math.isfinite(mean) else math.inf
    p_value = min(1.0, 2.0 * normal_upper(math.sqrt(z.size) * excess))
    return Outcome("noise.mean", mean, 0.0, p_value, z.size, "stddev")


def spread_test(values: NDArray[Any], allowed: float = 0.0) -> Outcome:
    """Exact test that the spread lies within `allowed` of 1: the sum of squares over sigma**2 is chi-square."""
    z = np.asarray(values, dtype=np.float64)
    if z.size == 0:
        return Outcome("noise.spread", math.nan, 1.0, 1.0, 0)
    total = float(np.square(z).sum())
    if not math.isfinite(total):
        return Outcome("noise.spread", math.nan, 1.0, 0.0, z.size, "stddev")
    lower = chi_square_lower(total / (1.0 - allowed) ** 2, z.size)
    upper = chi_square_upper(total / (1.0 + allowed) ** 2, z.size)
    measured = math.sqrt(total / z.size)
    return Outcome("noise.spread", measured, 1.0, min(1.0, 2.0 * min(lower, upper)), z.size, "stddev")


def distribution_test(values: NDArray[Any], allowed: float = 0.0) -> Outcome:
    """Kolmogorov and Smirnov's test that the draws are standard normal, up to `allowed` in the distribution function.

    The p-value is Massart's bound 2 exp(-2 n d**2) (1990) on the distance beyond `allowed`: it holds for every n, and
    for discrete draws too.
    """
    z = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    n = z.size
    if n == 0:
        return Outcome("noise.distribution", math.nan, 0.0, 1.0, 0)
    if not np.isfinite(z).all():
        return Outcome("noise.distribution", math.nan, 0.0, 0.0, n, "distance")
    at = normal_cdf(z)
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - at).max(), (at - steps[:-1]).max()))
    p_value = min(1.0, 2.0 * math.exp(-2.0 * n * max(0.0, distance - allowed) ** 2))
    return Outcome("noise.distribution", distance, 0.0, p_value, n, "distance")
