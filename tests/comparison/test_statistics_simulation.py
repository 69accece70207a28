"""Both error rates of the mask statistics, seen: thousands of right runs and a ladder of biased ones.

A right run rejects at level a with a frequency of at most a, at every level that thousands of runs can show, and never
at the level that a check uses. A biased run is missed less and less as the bias grows, and at most BETA of the time at
the bias for which the design was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import stats

from harness.comparison.statistics.dependence import copy_tests, neighbour_tests, pair_test
from harness.comparison.statistics.design import (
    BETA,
    Outcome,
    draws_needed,
    power,
)
from harness.comparison.statistics.frequencies import frequency_tests
from harness.comparison.statistics.normal import distribution_test, mean_test, spread_test
from harness.comparison.statistics.rates import rate_test

RUNS = 4000
SHAPE = (4, 3, 5, 8)
AXES = ("gates", "batch", "time", "features")
# One false alarm in a million runs, over as many rows as a large suite has.
LEVEL = 1e-6 / 10_000


def right_outcomes(rng: np.random.Generator) -> Iterator[Outcome]:
    rate = float(rng.choice([0.02, 0.1, 0.25, 0.5, 0.9]))
    kept = rng.random(SHAPE) >= rate
    yield rate_test(kept, rate)
    yield from frequency_tests(kept, rate, AXES)
    yield from neighbour_tests(kept, AXES)
    yield pair_test(kept, rng.random(SHAPE) >= rate, "repeats")
    yield from copy_tests(kept, rate, AXES)
    noise = rng.normal(size=int(rng.choice([10, 100, 1000])))
    yield from (test(noise) for test in (mean_test, spread_test, distribution_test))


@pytest.mark.exhaustive
def test_right_runs_reject_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(20261120)
    found: dict[str, list[float]] = {}
    for _ in range(RUNS):
        for outcome in right_outcomes(rng):
            found.setdefault(outcome.name, []).append(outcome.p_value)
    assert len(found) == 1 + 4 + 4 + 1 + 4 + 3
    for name, p_values in found.items():
        assert len(p_values) == RUNS
        assert min(p_values) > LEVEL, name
        for level in (0.1, 0.01, 0.001):
            alarms = int(np.count_nonzero(np.array(p_values) <= level))
            # More alarms than the level explains would themselves be significant at 1e-4 over all names and levels.
            assert stats.binom.sf(alarms - 1, RUNS, level) > 1e-4 / (3 * len(found)), (name, level, alarms)


@pytest.mark.exhaustive
def test_the_ladder_of_biased_rates() -> None:
    """The share of runs that notice each bias is the exact power, rises with the bias, and meets the design."""
    rng = np.random.default_rng(1)
    rate, bias = 0.3, 0.02
    draws = draws_needed(rate, bias, LEVEL)
    runs = 3000
    noticed = []
    for step in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5):
        real = rate + step * bias
        counts = rng.binomial(draws, real, runs)
        cache: dict[int, bool] = {}
        for count in set(counts.tolist()):
            mask = np.arange(draws) >= count
            cache[count] = rate_test(mask, rate).rejects(LEVEL)
        share = sum(cache[count] for count in counts.tolist()) / runs
        exact = power(draws, rate, step * bias, LEVEL)
        assert abs(share - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / runs) + 3 / runs, step
        noticed.append(share)
    assert noticed[0] == 0.0
    assert noticed == sorted(noticed)
    assert noticed[4] >= 1 - BETA - 3 * np.sqrt(BETA / runs)
    assert noticed[5] == 1.0


Fault = Callable[[np.random.Generator, float], np.ndarray]


def one_step(rng: np.random.Generator, size: float) -> np.ndarray:
    rate = np.full((1, 1, 40, 1), 0.3)
    rate[0, 0, 7] += size
    return rng.random((4, 10, 40, 16)) >= rate


def drifting_features(rng: np.random.Generator, size: float) -> np.ndarray:
    return rng.random((4, 10, 40, 16)) >= 0.3 + size * np.linspace(-1, 1, 16)


def copied_gates(rng: np.random.Generator, size: float) -> np.ndarray:
    kept = rng.random((4, 10, 40, 16)) >= 0.3
    copied = rng.random((2, 10, 40, 16)) < size
    kept[1::2] = np.where(copied, kept[::2], kept[1::2])
    return kept


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("fault", "name", "sizes"),
    [
        (one_step, "frequency.time", (0.0, 0.05, 0.1, 0.2)),
        (drifting_features, "frequency.features", (0.0, 0.01, 0.03, 0.1)),
        (copied_gates, "neighbours.gates", (0.0, 0.02, 0.05, 0.15)),
    ],
)
def test_the_ladder_of_structural_faults(fault: Fault, name: str, sizes: tuple[float, ...]) -> None:
    """A fault of one axis is seen by the test of that axis, from hardly ever to always, and never without the fault."""
    shares = []
    for step, size in enumerate(sizes):
        rng = np.random.default_rng(step)
        hits = 0
        for _ in range(200):
            kept = fault(rng, size)
            outcomes = [*frequency_tests(kept, 0.3, AXES), *neighbour_tests(kept, AXES)]
            hits += any(outcome.name == name and outcome.rejects(LEVEL) for outcome in outcomes)
        shares.append(hits / 200)
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
