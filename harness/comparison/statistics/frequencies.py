"""Frequencies along each axis: does every position, time step, gate and sample drop with the same probability?

The counts at the positions of an axis are independent binomials, so each has an exact p-value, whatever its size. Two
combinations of them are valid at any level, because an exact p-value of a discrete count is never too small too often:
the smallest one (Šidák 1967) sees one position that is far off, Fisher's sum of logarithms (1932) many that are
slightly off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.statistics.design import Outcome
from harness.comparison.statistics.distributions import binomial_lower, binomial_upper, chi_square_upper


def frequency_tests(decisions: NDArray[Any], rate: float, axes: tuple[str, ...] | None = None) -> list[Outcome]:
    """One test for each axis longer than 1: the dropped share at each of its positions against `rate`.

    decisions: bool, True where kept; shared axes have size 1; repeated calls or seeds may be stacked as one more axis.
    rate: the realised one. axes: names, one for each dimension, for the outcomes (`frequency.time`); else numbers.
    An outcome's `where` is the position that is farthest out, `measured` its dropped share. A 0-element array gives
    none.
    """
    dropped = ~np.asarray(decisions, dtype=bool)
    names = _names(dropped.ndim, axes)
    outcomes = []
    for axis, size in enumerate(dropped.shape):
        if size < 2 or dropped.size == 0:
            continue
        lines = dropped.size // size
        counts = np.moveaxis(dropped, axis, 0).reshape(size, lines).sum(axis=1)
        p_values = binomial_p_values(counts, lines, rate)
        worst = int(p_values.argmin())
        combined = combine(p_values)
        outcomes.append(
            Outcome(
                f"frequency.{names[axis]}",
                float(counts[worst] / lines),
                rate,
                combined,
                int(dropped.size),
                "dropped share",
                worst,
            )
        )
    return outcomes


def binomial_p_values(counts: NDArray[Any], draws: int, probability: float) -> NDArray[np.float64]:
    """Exact two-sided binomial p-values of many counts of `draws` each; one evaluation for each count that occurs."""
    values, inverse = np.unique(counts, return_inverse=True)
    lower, upper = binomial_lower(values, draws, probability), binomial_upper(values, draws, probability)
    found: NDArray[np.float64] = np.minimum(1.0, 2.0 * np.minimum(lower, upper))[inverse]
    return found


def combine(p_values: NDArray[np.float64]) -> float:
    """One p-value from independent ones: twice the better of Šidák's smallest and Fisher's sum."""
    n = p_values.size
    smallest = float(p_values.min())
    sidak = -np.expm1(n * np.log1p(-smallest)) if smallest < 1.0 else 1.0
    if smallest == 0.0:
        return 0.0
    fisher = chi_square_upper(-2.0 * float(np.log(p_values).sum()), 2 * n)
    return float(min(1.0, 2.0 * min(sidak, fisher)))


def _names(ndim: int, axes: tuple[str, ...] | None) -> tuple[str, ...]:
    if axes is None:
        return tuple(str(axis) for axis in range(ndim))
    if len(axes) != ndim:
        raise ValueError(f"{len(axes)} axis names for {ndim} dimensions")
    return axes
