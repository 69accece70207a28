"""Designs keep their promises: exact p-values, exact power, the number of draws, families, two stages."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison.statistics.design import (
    FamilyWise,
    Outcome,
    TwoStage,
    binomial_p,
    draws_needed,
    power,
    smallest_bias,
    two_stage,
)


def exact(draws: int, rate: Fraction) -> list[Fraction]:
    return [math.comb(draws, k) * rate**k * (1 - rate) ** (draws - k) for k in range(draws + 1)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.fractions(0, 1, max_denominator=16), st.data())
def test_binomial_p_is_exact(draws: int, rate: Fraction, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, draws))
    mass = exact(draws, rate)
    wanted = min(1, 2 * min(sum(mass[: count + 1]), sum(mass[count:])))
    assert binomial_p(count, draws, float(rate)) == pytest.approx(float(wanted), rel=1e-9, abs=1e-300)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.sampled_from([0.1, 0.25, 0.5, 0.7]), st.sampled_from([0.2, 0.05, 1e-3]))
def test_power_is_the_mass_of_the_rejection_region(draws: int, rate: float, alpha: float) -> None:
    for bias in (0.0, 0.1, -0.05):
        mass = exact(draws, Fraction(rate + bias))
        wanted = sum(float(mass[k]) for k in range(draws + 1) if binomial_p(k, draws, rate) <= alpha)
        assert power(draws, rate, bias, alpha) == pytest.approx(wanted, abs=1e-12)
    assert power(draws, rate, 0.0, alpha) <= alpha  # the false alarms


@pytest.mark.parametrize(("rate", "bias", "alpha"), [(0.5, 0.05, 1e-9), (0.1, 0.02, 1e-6), (0.9, 0.05, 1e-8)])
def test_draws_needed_meets_both_error_rates(rate: float, bias: float, alpha: float) -> None:
    draws = draws_needed(rate, bias, alpha, beta=1e-3)
    for side in (bias, -bias):
        assert power(draws, rate, side, alpha) >= 1 - 1e-3
    assert min(power(draws * 3 // 4, rate, side, alpha) for side in (bias, -bias)) < 1 - 1e-3
    assert smallest_bias(draws, rate, alpha, 1e-3) <= bias * 1.001


def test_smallest_bias_is_honest() -> None:
    bias = smallest_bias(10_000, 0.3, 1e-9)
    assert 0.03 < bias < 0.06
    assert min(power(10_000, 0.3, side, 1e-9) for side in (bias, -bias)) >= 1 - 1e-3 - 1e-9
    assert smallest_bias(3, 0.5, 1e-9) == math.inf
    assert smallest_bias(0, 0.5, 1e-9) == math.inf


@pytest.mark.parametrize("arguments", [(0.5, 0.6, 0.1), (0.0, 0.1, 0.1), (0.5, 0.0, 0.1), (0.5, 0.1, 0.0)])
def test_impossible_designs_are_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no design"):
        draws_needed(*arguments)


def test_family_wise() -> None:
    assert FamilyWise(1e-6, 1000).level == pytest.approx(1e-9)
    for alpha, tests in ((0.0, 1), (1.0, 1), (0.1, 0)):
        with pytest.raises(ValueError, match="family"):
            FamilyWise(alpha, tests)


def outcome(p_value: float, draws: int = 10) -> Outcome:
    return Outcome("test", 0.0, 0.0, p_value, draws)


def test_nothing_drawn_rejects() -> None:
    assert outcome(1.0, draws=0).rejects(1e-9)
    assert outcome(math.nan).rejects(1e-9)
    assert not outcome(1e-8).rejects(1e-9)


def test_two_stages_of_luck_and_of_bias() -> None:
    design = TwoStage(1e-9, suspicious=1e-4)
    assert design.second == pytest.approx(1e-5)
    asked: list[int] = []

    def more(count: int) -> np.ndarray:
        asked.append(count)
        return np.zeros(count)

    def reads(first: float, second: float):  # type: ignore[no-untyped-def]
        return lambda values: outcome(first if values.size == 7 else second, values.size)

    values = np.zeros(7)
    assert two_stage(reads(0.2, 0.0), values, more, design)[1] is False
    assert asked == []  # nothing suspicious, nothing drawn
    found, rejected = two_stage(reads(1e-5, 0.2), values, more, design)
    assert (rejected, found.stages, asked) == (False, 2, [70])
    found, rejected = two_stage(reads(1e-5, 1e-6), values, more, design)
    assert rejected
    assert found.rejects(design.level)
    assert found.p_value == pytest.approx(1e-10)
    # Without fresh draws a single test works at the whole level.
    assert two_stage(reads(1e-8, 0.0), values, None, design)[1] is False
    assert two_stage(reads(1e-10, 0.0), values, None, design)[1] is True


def test_two_stages_refuse_too_few_fresh_draws() -> None:
    with pytest.raises(ValueError, match="asked for 70"):
        two_stage(lambda values: outcome(0.0), np.zeros(7), lambda count: np.zeros(3), TwoStage(1e-9))
