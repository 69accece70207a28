"""The design of a statistical check: both error probabilities, the smallest bias that matters, and the draws that show
it.

A test of level alpha rejects a right system with probability at most alpha (a false alarm), and misses a bias of the
stated size with probability at most beta. Fixing alpha, beta and the bias gives the number of draws.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.statistics.distributions import binomial_lower, binomial_upper, normal_quantile

# One false alarm in a million runs of the whole suite.
RUN_ALPHA = 1e-6
# A bias of the stated size is missed once in a thousand.
BETA = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What one test found.

    name: what was tested. measured, expected: the statistic and its value in a right system, in `unit`.
    p_value: the probability, at most, that a right system gives a statistic at least as far out. draws: how many
    independent values it rests on. where: the position that is farthest out, where the test has positions; None
    elsewhere. stages: 1, or 2 when a suspicious first result was tried again on fresh draws.
    """

    name: str
    measured: float
    expected: float
    p_value: float
    draws: int
    unit: str = ""
    where: int | None = None
    stages: int = 1

    def rejects(self, level: float) -> bool:
        """True where a right system gives such a result with probability at most `level`. Nothing drawn rejects too."""
        return self.draws == 0 or not self.p_value > level


@dataclass(frozen=True)
class FamilyWise:
    """Bonferroni's control of a family: `tests` tests, each at `level`, together raise a false alarm with at most
    `alpha`.

    Valid whatever the dependence between the tests (Bonferroni 1936; Dunn 1961).
    """

    alpha: float = RUN_ALPHA
    tests: int = 1

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0 or self.tests < 1:
            raise ValueError(f"a family needs 0 < alpha < 1 and at least one test, got {self}")

    @property
    def level(self) -> float:
        """The level of each test."""
        return self.alpha / self.tests


def binomial_p(count: int, draws: int, probability: float) -> float:
    """Exact two-sided binomial p-value: twice the smaller tail, at most 1 (Clopper and Pearson 1934)."""
    tails = float(binomial_lower(count, draws, probability)), float(binomial_upper(count, draws, probability))
    return min(1.0, 2.0 * min(tails))


def power(draws: int, probability: float, bias: float, alpha: float) -> float:
    """The probability that the exact binomial test of level alpha notices `probability + bias`, exactly."""
    low, high = _borders(draws, probability, alpha)
    real = probability + bias
    return float(binomial_lower(low, draws, real) + binomial_upper(high, draws, real))


@lru_cache(maxsize=1024)
def _borders(draws: int, probability: float, alpha: float) -> tuple[int, int]:
    """The largest count that is rejected as too small (-1: none), and the smallest that is rejected as too large."""
    counts = range(draws + 2)  # -1 … draws for the lower border, 0 … draws + 1 for the upper one, each monotone
    low = bisect_left(counts, True, key=lambda k: 2.0 * float(binomial_lower(k, draws, probability)) > alpha) - 1
    high = bisect_left(counts, True, key=lambda k: 2.0 * float(binomial_upper(k, draws, probability)) <= alpha)
    return low, high


def draws_needed(probability: float, bias: float, alpha: float, beta: float = BETA) -> int:
    """How many independent draws show a bias of `bias`, up or down, in a rate of `probability`.

    Starts from the normal approximation and goes up until the exact power is at least 1 - beta on every side that lies
    within [0, 1]. Raises ValueError where no side does, or for probabilities outside (0, 1).
    """
    sides = [side for side in (bias, -bias) if 0.0 <= probability + side <= 1.0]
    if not sides or not bias > 0.0 or not 0.0 < probability < 1.0 or not (0.0 < alpha < 1.0 and 0.0 < beta < 1.0):
        raise ValueError(f"no design for rate {probability}, bias {bias}, alpha {alpha}, beta {beta}")
    z_alpha, z_beta = normal_quantile(alpha / 2.0), normal_quantile(beta)

    def approximate(side: float) -> float:
        real = probability + side
        spread = z_alpha * math.sqrt(probability * (1 - probability)) + z_beta * math.sqrt(real * (1 - real))
        return float((spread / bias) ** 2)

    draws = max(1, math.ceil(max(approximate(side) for side in sides)))
    while min(power(draws, probability, side, alpha) for side in sides) < 1.0 - beta:
        draws += max(1, draws // 100)
    return draws


def smallest_bias(draws: int, probability: float, alpha: float, beta: float = BETA) -> float:
    """The smallest bias, on the side where it is harder to see, that `draws` draws show; inf where there is none."""
    if draws < 1 or not 0.0 < probability < 1.0:
        return math.inf
    found = []
    for sign, widest in ((1.0, 1.0 - probability), (-1.0, probability)):
        if power(draws, probability, sign * widest, alpha) < 1.0 - beta:
            continue
        low, high = 0.0, widest
        for _ in range(40):
            middle = (low + high) / 2.0
            seen = power(draws, probability, sign * middle, alpha) >= 1.0 - beta
            low, high = (low, middle) if seen else (middle, high)
        found.append(high)
    return max(found) if found else math.inf


@dataclass(frozen=True)
class TwoStage:
    """A suspicious first result is tried again on fresh draws; both have to reject.

    level: the level of the two stages together. suspicious: the level of the first. Under a right system the stages are
    independent, so the second may work at level / suspicious.
    """

    level: float
    suspicious: float = 1e-4

    @property
    def first(self) -> float:
        """The level of the first stage."""
        return max(self.suspicious, self.level)

    @property
    def second(self) -> float:
        """The level of the second stage."""
        return self.level / self.first


def two_stage(
    test: Callable[[NDArray[Any]], Outcome],
    draws: NDArray[Any],
    draw_more: Callable[[int], NDArray[Any]] | None,
    design: TwoStage,
    factor: int = 10,
) -> tuple[Outcome, bool]:
    """Test `draws`; where the result is suspicious test `draw_more(factor * draws.size)` instead. Returns (outcome,
    rejected).

    draw_more: gives at least that many fresh elements, independent of the first ones, in the layout that `test` takes;
    None: nothing more can be drawn, and one test works at the whole level. The outcome's p-value is that of both stages
    together, so that ``outcome.rejects(design.level)`` is the verdict too.

    Raises ValueError when `draw_more` gives fewer elements than were asked for.
    """
    outcome = test(draws)
    if draw_more is None or outcome.draws == 0:
        return outcome, outcome.rejects(design.level)
    if not outcome.rejects(design.first):
        return outcome, False
    wanted = factor * int(np.size(draws))
    more = draw_more(wanted)
    if np.size(more) < wanted:
        raise ValueError(f"asked for {wanted} fresh draws, got {np.size(more)}")
    again = test(more)
    joint = min(1.0, design.first * again.p_value)
    final = Outcome(again.name, again.measured, again.expected, joint, again.draws, again.unit, again.where, stages=2)
    return final, final.rejects(design.level)
