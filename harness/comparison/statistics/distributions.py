"""Distribution functions from scipy.special alone: importing scipy.stats would cost every run about a second.

Binomial tails are regularised incomplete beta functions (Abramowitz and Stegun 1964, 26.5.24), normal and chi-square
tails have functions of their own, hypergeometric tails are summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Float64 = NDArray[np.float64]


def binomial_lower(count: ArrayLike, draws: int, probability: float) -> Float64:
    """P(X <= count) of X ~ Binomial(draws, probability)."""
    k = np.asarray(count, dtype=np.float64)
    inside = np.clip(k, 0, draws - 1)
    tail = special.betainc(draws - inside, inside + 1.0, 1.0 - probability)
    return np.where(k < 0, 0.0, np.where(k >= draws, 1.0, tail))


def binomial_upper(count: ArrayLike, draws: int, probability: float) -> Float64:
    """P(X >= count) of X ~ Binomial(draws, probability)."""
    k = np.asarray(count, dtype=np.float64)
    inside = np.clip(k, 1, draws)
    tail = special.betainc(inside, draws - inside + 1.0, probability)
    return np.where(k <= 0, 1.0, np.where(k > draws, 0.0, tail))


def normal_upper(z: float) -> float:
    """P(Z >= z) of a standard normal Z."""
    return float(special.ndtr(-z))


def normal_quantile(upper: float) -> float:
    """The z with P(Z >= z) = upper."""
    return float(-special.ndtri(upper))


def normal_cdf(z: Float64) -> Float64:
    """P(Z <= z), element by element."""
    return np.asarray(special.ndtr(z))


def chi_square_lower(value: float, freedom: float) -> float:
    """P(X <= value) of X chi-square with `freedom` degrees of freedom."""
    return float(special.chdtr(freedom, value))


def chi_square_upper(value: float, freedom: float) -> float:
    """P(X >= value) of X chi-square with `freedom` degrees of freedom."""
    return float(special.chdtrc(freedom, value))


def hypergeometric_tails(count: int, total: int, marked: int, taken: int) -> tuple[float, float]:
    """P(X <= count) and P(X >= count) of the marked among `taken` of `total` elements, `marked` of which are marked.

    The terms within 50 standard deviations of the mean are summed; what lies beyond is below 1e-300 (Hoeffding 1963).
    """
    low, high = max(0, taken + marked - total), min(taken, marked)
    mean = taken * marked / total
    reach = int(50.0 * np.sqrt(max(1.0, mean * (1.0 - marked / total)))) + 50
    first, last = max(low, min(int(mean) - reach, count)), min(high, max(int(mean) + reach, count))
    k = np.arange(first, last + 1, dtype=np.float64)
    terms = np.exp(_choose(marked, k) + _choose(total - marked, taken - k) - _choose(total, float(taken)))
    lower, upper = float(terms[k <= count].sum()), float(terms[k >= count].sum())
    return min(1.0, lower), min(1.0, upper)


def _choose(n: int, k: Any) -> Any:
    """The logarithm of n over k."""
    return -np.log1p(n) - special.betaln(n - k + 1.0, k + 1.0)
