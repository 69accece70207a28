"""Designs keep their promises: exact p-values, exact power, the number of draws, families, two stages."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison.statistics.design import (
    Outcome,
    Stage,
    TwoStage,
    binomial_p,
    draws_needed,
    power,
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


def test_smallest_bias_is_honest() -> None:
    design = TwoStage(1e-10)
    bias = design.smallest_bias(10_000, 0.3)
    assert 0.025 < bias < 0.04
    assert min(design.power(10_000, 0.3, side) for side in (bias, -bias)) >= 1 - 1e-3 - 1e-9
    assert design.smallest_bias(3, 0.5) == math.inf
    assert design.smallest_bias(0, 0.5) == math.inf
    needed = design.draws_needed(0.3, bias)
    assert 9_000 < needed <= 10_100
    assert design.smallest_bias(needed, 0.3) <= bias * 1.001


@pytest.mark.parametrize("arguments", [(0.5, 0.6, 0.1), (0.0, 0.1, 0.1), (0.5, 0.0, 0.1), (0.5, 0.1, 0.0)])
def test_impossible_designs_are_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no design"):
        draws_needed(*arguments)


def outcome(p_value: float, draws: int = 10) -> Outcome:
    return Outcome("test", 0.0, 0.0, p_value, draws)


def test_nothing_drawn_rejects() -> None:
    assert outcome(1.0, draws=0).rejects(1e-9)
    assert outcome(math.nan).rejects(1e-9)
    assert not outcome(1e-8).rejects(1e-9)


def test_two_stages_decide_by_their_thresholds() -> None:
    design = TwoStage(1e-10)
    assert (design.outright, design.first) == (5e-11, 1e-4)
    assert design.second == pytest.approx(5e-7)
    first = {0.2: Stage.ACCEPT, 1.1e-4: Stage.ACCEPT, 1e-4: Stage.AGAIN, 6e-11: Stage.AGAIN, 5e-11: Stage.REJECT}
    assert {p: design.judge(outcome(p)) for p in first} == first
    second = {6e-7: Stage.ACCEPT, 4e-7: Stage.REJECT, 1e-4: Stage.ACCEPT}
    assert {p: design.judge(outcome(p), stage=2) for p in second} == second
    for stage in (1, 2):
        assert design.judge(outcome(math.nan), stage) is Stage.REJECT
        assert design.judge(outcome(1.0, draws=0), stage) is Stage.REJECT, "nothing was drawn, so nothing passes"


@pytest.mark.parametrize("tests", [1, 7, 100])
@pytest.mark.parametrize(("level", "suspicious"), [(1e-10, 1e-4), (2e-3, 0.05), (0.1, 0.01)])
def test_two_stages_together_keep_the_level_of_the_family(tests: int, level: float, suspicious: float) -> None:
    design = TwoStage(level, suspicious).among(tests)
    assert tests * (design.outright + design.first * design.second) <= level * (1 + 1e-12)


def test_the_power_of_two_stages_is_that_of_the_first_at_a_lower_level() -> None:
    design = TwoStage(1e-10)
    bias = design.smallest_bias(2000, 0.3)
    assert power(2000, 0.3, bias, 1e-10) < 0.75
    assert design.power(2000, 0.3, bias) >= 1 - 1e-3 - 1e-9
    assert design.power(2000, 0.3, 0.0) <= 1e-10


@pytest.mark.parametrize("arguments", [(0.0,), (1.0,), (0.1, 0.0), (0.1, 0.1, 0), (0.1, 0.1, 1, 0)])
def test_impossible_two_stages_are_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no design"):
        TwoStage(*arguments)  # type: ignore[arg-type]
