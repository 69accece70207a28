"""Independence: of neighbours along each axis, and of masks from different calls or seeds.

Pairs that do not overlap give a 2 x 2 table of (first dropped, second dropped). Given its margins its corner is
hypergeometric when the two are independent (Fisher's exact test), whatever the rate, so a wrong rate is not taken for a
dependence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Agreement:
    """How two masks of one shape compare.

    identical: every decision is the same. luck: the probability that two independent masks of the rate are identical.
    elements, agreeing: how many decisions there are and how many are the same. dependence: Fisher's exact test over
    them.
    """

    identical: bool
    luck: float
    elements: int
    agreeing: int
    dependence: Outcome

    def decidable(self, level: float) -> bool:
        """False where luck alone makes independent masks identical too often: then nothing can be said."""
        return self.luck <= level


def agreement(first: NDArray[Any], second: NDArray[Any], rate: float) -> Agreement:
    """Compare two masks (bool, one shape, shared axes of size 1) drawn in different calls or from different seeds.

    Two independent decisions agree with probability rate**2 + (1 - rate)**2, and n of them with its n-th power.
    Raises ValueError where the shapes differ.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    test = pair_test(a, b, "repeats")
    agreeing = int(np.count_nonzero(a == b))
    luck = (rate**2 + (1.0 - rate) ** 2) ** a.size
    return Agreement(agreeing == a.size, luck, int(a.size), agreeing, test)
