"""Independence: of neighbours along each axis, and of slices anywhere along it; calls or seeds may be an axis too.

Pairs that do not overlap give a 2 x 2 table of (first dropped, second dropped). Given its margins its corner is
hypergeometric when the two are independent (Fisher's exact test), whatever the rate, so a wrong rate is not taken for a
dependence.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.statistics.design import Outcome
from harness.comparison.statistics.distributions import hypergeometric_tails
from harness.comparison.statistics.frequencies import _names

Bools = NDArray[np.bool_]


def pair_test(first: NDArray[Any], second: NDArray[Any], name: str) -> Outcome:
    """Fisher's exact test that `first[i]` and `second[i]` are independent; bool arrays of one shape.

    measured is the correlation (phi coefficient) of the pairs, NaN where one side is constant; then the p-value is 1.
    Raises ValueError where the shapes differ.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"pairs of shapes {a.shape} and {b.shape}")
    n, row, column = int(a.size), int(np.count_nonzero(a)), int(np.count_nonzero(b))
    both = int(np.count_nonzero(a & b))
    spread = math.sqrt(float(row) * (n - row)) * math.sqrt(float(column) * (n - column))
    correlation = (float(n) * both - float(row) * column) / spread if spread else math.nan
    if n == 0:
        return Outcome(name, math.nan, 0.0, 1.0, 0, "correlation")
    p_value = min(1.0, 2.0 * min(hypergeometric_tails(both, n, row, column)))
    return Outcome(name, correlation, 0.0, p_value, n, "correlation")


def neighbour_tests(decisions: NDArray[Any], axes: tuple[str, ...] | None = None, lag: int = 1) -> list[Outcome]:
    """One test for each axis longer than `lag`: elements `lag` apart along it are independent.

    decisions: bool, shared axes of size 1. Two sets of pairs that do not overlap, (0, 1), (2, 3) … and (1, 2), (3, 4)
    …, are tested apart; the outcome is the worse one with its p-value doubled.
    """
    kept = np.asarray(decisions, dtype=bool)
    names = _names(kept.ndim, axes)
    outcomes = []
    for axis, size in enumerate(kept.shape):
        if size <= lag or kept.size == 0:
            continue
        moved = np.moveaxis(kept, axis, 0)
        tests = []
        for offset in (0, lag):
            left = np.arange(offset, size - lag)
            left = left[(left - offset) // lag % 2 == 0]
            if left.size:
                tests.append(pair_test(moved[left], moved[left + lag], f"neighbours.{names[axis]}"))
        worst = min(tests, key=lambda test: test.p_value)
        p_value = min(1.0, len(tests) * worst.p_value)
        outcomes.append(Outcome(worst.name, worst.measured, 0.0, p_value, worst.draws, worst.unit))
    return outcomes


def copy_tests(decisions: NDArray[Any], rate: float, axes: tuple[str, ...] | None = None) -> list[Outcome]:
    """One test for each axis longer than 1: no slice along it is a copy of another, or its opposite, however far apart.

    Two independent decisions agree with probability a = r**2 + (1 - r)**2 >= 1/2 and differ with 1 - a. So n of them all
    agree or all differ with at most 2 a**n, and any two of s slices do with at most s (s - 1) a**n, which is the p-value
    where two do (else it is 1). r: `rate`, or the measured share where that makes luck more probable, so that a wrong rate is
    not taken for a dependence. measured is the number of slices that are like an earlier one, `where` the first of them.
    """
    kept = np.asarray(decisions, dtype=bool)
    names = _names(kept.ndim, axes)
    share = 1.0 - float(kept.mean()) if kept.size else rate
    agree = max(r**2 + (1.0 - r) ** 2 for r in (rate, share))
    outcomes = []
    for axis, size in enumerate(kept.shape):
        if size < 2 or kept.size == 0:
            continue
        lines = kept.size // size
        seen: set[bytes] = set()
        copies = []
        for position in range(size):
            line = kept.take(position, axis=axis).reshape(-1)
            text = np.packbits(line ^ line[0]).tobytes()
            if text in seen:
                copies.append(position)
            seen.add(text)
        luck = min(1.0, size * (size - 1) * agree**lines) if copies else 1.0
        where = copies[0] if copies else None
        name = f"copies.{names[axis]}"
        outcomes.append(Outcome(name, float(len(copies)), 0.0, luck, int(kept.size), "copies", where))
    return outcomes
