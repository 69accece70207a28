"""The design of a statistical check: both error probabilities, the smallest bias that matters, and the draws that show
it.

A test of level alpha rejects a right system with probability at most alpha (a false alarm), and misses a bias of the
stated size with probability at most beta. Fixing alpha, beta and the bias gives the number of draws.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from harness.comparison.statistics.distributions import binomial_lower, binomial_upper, normal_quantile

# A bias of the stated size is missed once in a thousand.
BETA = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What one test found.

    name: what was tested. measured, expected: the statistic and its value in a right system, in `unit`.
    p_value: the probability, at most, that a right system gives a statistic at least as far out. draws: how many
    independent values it rests on. where: the position that is farthest out, where the test has positions; None
    elsewhere.
    """

    name: str
    measured: float
    expected: float
    p_value: float
    draws: int
    unit: str = ""
    where: int | None = None

    def rejects(self, level: float) -> bool:
        """True where a right system gives such a result with probability at most `level`. Nothing drawn rejects too."""
        return self.draws == 0 or not self.p_value > level


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


def least(probability: float, noticed: Callable[[float], float], beta: float) -> float:
    """The smallest bias that `noticed` gives a probability of at least 1 - beta, on the side where it is harder to see."""
    found = []
    for sign, widest in ((1.0, 1.0 - probability), (-1.0, probability)):
        if noticed(sign * widest) < 1.0 - beta:
            continue
        low, high = 0.0, widest
        for _ in range(24):
            middle = (low + high) / 2.0
            seen = noticed(sign * middle) >= 1.0 - beta
            low, high = (low, middle) if seen else (middle, high)
        found.append(high)
    return max(found) if found else math.inf


class Stage(StrEnum):
    """What a test's p-value decides."""

    ACCEPT = "accept"
    AGAIN = "again"
    REJECT = "reject"


@dataclass(frozen=True)
class TwoStage:
    """A suspicious first result is tried again on `factor` times more fresh draws, which then decide alone.

    level: of the two stages together; half of it is spent on first results that are beyond doubt, half on the others.
    suspicious: the level from which on a first result is tried again. tests: how many tests the level is shared among;
    each gets the same part of every threshold (Bonferroni 1936; Dunn 1961: valid whatever the dependence between them).
    Under a right system the stages are independent, so
    the second may work at (level / 2) / suspicious, and all false alarms together stay below the level:
    P(p1 <= outright) + P(p1 <= first) P(p2 <= second) <= level / 2 + level / 2.
    """

    level: float
    suspicious: float = 1e-4
    tests: int = 1
    factor: int = 10

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0 or not 0.0 < self.suspicious < 1.0 or self.tests < 1 or self.factor < 1:
            raise ValueError(f"no design of two stages: {self}")

    @property
    def outright(self) -> float:
        """The level at which a first result rejects by itself."""
        return self.level / 2.0 / self.tests

    @property
    def first(self) -> float:
        """The level at which a first result is tried again."""
        return max(self.suspicious, self.level) / self.tests

    @property
    def second(self) -> float:
        """The level of the second stage."""
        return self.level / 2.0 / max(self.suspicious, self.level) / self.tests

    def among(self, tests: int) -> TwoStage:
        """The same design for each of several tests, at the same level together."""
        return dataclasses.replace(self, tests=tests)

    def judge(self, outcome: Outcome, stage: int = 1) -> Stage:
        """What one test of a stage decides; NaN rejects, and so does a test of nothing. The second stage always decides."""
        if outcome.rejects(self.outright if stage == 1 else self.second):
            return Stage.REJECT
        return Stage.AGAIN if stage == 1 and outcome.rejects(self.first) else Stage.ACCEPT

    def power(self, draws: int, probability: float, bias: float) -> float:
        """The probability that the exact binomial test of `draws` elements in two stages notices `probability + bias`."""
        outright = power(draws, probability, bias, self.outright)
        tried = power(draws, probability, bias, self.first) - outright
        return outright + tried * power(self.factor * draws, probability, bias, self.second)

    def draws_needed(self, probability: float, bias: float, beta: float = BETA) -> int:
        """How many elements at first show a bias of that size, up or down. Raises ValueError as `draws_needed` does."""
        draws = draws_needed(probability, bias, self.first, beta)
        sides = [side for side in (bias, -bias) if 0.0 <= probability + side <= 1.0]
        while min(self.power(draws, probability, side) for side in sides) < 1.0 - beta:
            draws += max(1, draws // 100)
        return draws

    def smallest_bias(self, draws: int, probability: float, beta: float = BETA) -> float:
        """The smallest bias that `draws` elements at first show in two stages; inf where there is none."""
        if draws < 1 or not 0.0 < probability < 1.0:
            return math.inf
        return _smallest(self, draws, probability, beta)


@lru_cache(maxsize=1024)
def _smallest(design: TwoStage, draws: int, probability: float, beta: float) -> float:
    return least(probability, lambda bias: design.power(draws, probability, bias), beta)
