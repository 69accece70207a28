"""Mask statistics: each planted fault is caught by its own test, and a right mask by none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.comparison.kernel_formats import FLOATS
from harness.comparison.statistics.dependence import copy_tests, neighbour_tests, pair_test
from harness.comparison.statistics.frequencies import binomial_p_values, combine, frequency_tests
from harness.comparison.statistics.rates import KEEP_RULES, rate_test, realised_rate
from harness.comparison.statistics.sharing import shared_axes
from harness.tape import UNIFORM, Draw, decisions

LEVEL = 1e-9
AXES = ("gates", "batch", "time", "features")
SHAPE = (4, 20, 30, 40)


def mask(rate: float | np.ndarray, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """True where kept."""
    return np.random.default_rng(seed).random(shape) >= rate


@pytest.mark.parametrize("rule", KEEP_RULES)
@pytest.mark.parametrize(("name", "bits"), [("bfloat16", 7), ("float16", 10), ("float32", 23)])
def test_realised_rate_is_the_share_of_all_draws(rule: str, name: str, bits: int) -> None:
    """Every value that the uniform draw can take, decided by the tape's own rule."""
    u = (np.arange(1 << bits) / (1 << bits)).astype(FLOATS[name])
    for rate in (0.0, 0.1, 0.3, 0.5, 0.77, 1.0):
        dropped = 1.0 - decisions(Draw(UNIFORM, u, rule), rate).mean()
        assert realised_rate(rate, name, rule) == dropped


def test_realised_rate_examples() -> None:
    assert realised_rate(0.1, "bfloat16", "u >= rate") == 13 / 128
    assert realised_rate(0.3, "bfloat16", "u >= rate") == 39 / 128
    assert realised_rate(0.1, "float32", "u < keep", bits=24) == pytest.approx(0.1, abs=1e-7)
    assert realised_rate(0.1, "float64", "u >= rate") == pytest.approx(0.1, abs=1e-15)
    for arguments in ((0.1, "int8", "u < keep"), (0.1, "float32", "u > keep"), (1.5, "float32", "u < keep")):
        with pytest.raises(ValueError, match="realised"):
            realised_rate(*arguments)


def test_rate_catches_keep_taken_for_rate_and_a_quantised_rate() -> None:
    assert not rate_test(mask(0.3), 0.3).rejects(LEVEL)
    assert rate_test(mask(0.7), 0.3).rejects(LEVEL)
    coarse = mask(39 / 128, shape=(600_000,))
    assert rate_test(coarse, 0.3).rejects(LEVEL)
    assert not rate_test(coarse, realised_rate(0.3, "bfloat16", "u >= rate")).rejects(LEVEL)


def test_rate_edges() -> None:
    kept = np.ones(5, bool)
    assert rate_test(kept, 0.0).p_value == 1.0
    assert rate_test(~kept, 1.0).p_value == 1.0
    assert rate_test(kept, 1.0).rejects(LEVEL)
    assert rate_test(np.zeros(0, bool), 0.5).rejects(LEVEL)  # nothing was drawn


@pytest.mark.parametrize("axis", range(4))
def test_frequencies_catch_one_position_and_a_drift(axis: int) -> None:
    names = [f"frequency.{name}" for name in AXES]
    right = frequency_tests(mask(0.3), 0.3, AXES)
    assert [outcome.name for outcome in right] == names
    assert not any(outcome.rejects(LEVEL) for outcome in right)
    one = mask(0.3)
    np.moveaxis(one, axis, 0)[2] = mask(0.5, seed=1, shape=np.moveaxis(one, axis, 0)[2].shape)
    found = frequency_tests(one, 0.3, AXES)[axis]
    assert found.rejects(LEVEL)
    assert found.where == 2
    drift = np.linspace(0.2, 0.4, SHAPE[axis]).reshape([-1 if k == axis else 1 for k in range(4)])
    assert frequency_tests(mask(drift), 0.3, AXES)[axis].rejects(LEVEL)


def test_frequencies_of_small_and_empty_masks() -> None:
    assert frequency_tests(np.zeros((0, 3), bool), 0.5) == []
    assert frequency_tests(np.ones((1, 1), bool), 0.5) == []
    small = frequency_tests(np.zeros((2, 3), bool), 0.5)
    assert all(outcome.p_value > 0.01 for outcome in small)
    with pytest.raises(ValueError, match="axis names"):
        frequency_tests(np.ones((2, 2), bool), 0.5, ("time",))


def test_many_p_values_equal_single_ones() -> None:
    counts = np.array([0, 3, 3, 10, 7])
    one_by_one = [min(1.0, 2 * min(stats.binom.cdf(k, 10, 0.3), stats.binom.sf(k - 1, 10, 0.3))) for k in counts]
    assert binomial_p_values(counts, 10, 0.3) == pytest.approx(one_by_one)


def test_combine_is_valid_for_uniform_p_values() -> None:
    rng = np.random.default_rng(0)
    found = np.array([combine(rng.random(10)) for _ in range(4000)])
    for level in (0.1, 0.01):
        assert (found <= level).mean() <= level + 3 * np.sqrt(level / 4000)
    assert combine(np.array([0.0, 0.5])) == 0.0
    assert combine(np.array([1.0, 1.0])) == 1.0


@pytest.mark.parametrize("axis", range(4))
def test_neighbours_catch_pairs_drawn_once(axis: int) -> None:
    assert not any(outcome.rejects(LEVEL) for outcome in neighbour_tests(mask(0.3), AXES))
    for offset in (0, 1):  # pairs (0, 1), (2, 3) … or (1, 2), (3, 4) … share a draw half of the time
        shared = np.moveaxis(mask(0.3), axis, 0)
        copied = mask(0.5, seed=2, shape=shared[1 + offset :: 2].shape)
        source = shared[offset::2][: len(copied)]
        shared[1 + offset :: 2] = np.where(copied, source, shared[1 + offset :: 2])
        found = neighbour_tests(np.moveaxis(shared, 0, axis), AXES)[axis]
        assert found.rejects(LEVEL)
        assert found.measured > 0.2


def test_neighbours_at_a_lag() -> None:
    """A stream that repeats after four time steps."""
    repeated = np.tile(mask(0.3, shape=(8, 4, 50)), (1, 6, 1))
    assert not neighbour_tests(repeated, lag=1)[1].rejects(LEVEL)
    assert neighbour_tests(repeated, lag=4)[1].rejects(LEVEL)


def test_a_wrong_rate_is_no_dependence() -> None:
    assert not any(outcome.rejects(LEVEL) for outcome in neighbour_tests(mask(0.6), AXES))


def test_pair_test_edges() -> None:
    constant = pair_test(np.ones(50, bool), mask(0.5, shape=(50,)), "pairs")
    assert constant.p_value == 1.0
    assert np.isnan(constant.measured)
    assert pair_test(np.ones(0, bool), np.ones(0, bool), "pairs").draws == 0
    with pytest.raises(ValueError, match="shapes"):
        pair_test(np.ones(2, bool), np.ones(3, bool), "pairs")


def test_pair_test_is_fishers() -> None:
    a, b = mask(0.4, shape=(60,)), mask(0.4, seed=1, shape=(60,))
    table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert pair_test(a, b, "pairs").p_value == pytest.approx(min(1.0, 2 * min(tails)))


def test_no_two_slices_are_copies() -> None:
    kept = mask(0.3)
    assert {one.name: one.p_value for one in copy_tests(kept, 0.3, AXES)} == {f"copies.{axis}": 1.0 for axis in AXES}
    for axis, name in enumerate(AXES):
        copied = np.moveaxis(kept.copy(), axis, 0)
        copied[3] = copied[0]
        found = {one.name: one for one in copy_tests(np.moveaxis(copied, 0, axis), 0.3, AXES)}
        assert [key for key, one in found.items() if one.rejects(LEVEL)] == [f"copies.{name}"]
        assert (found[f"copies.{name}"].measured, found[f"copies.{name}"].where) == (1.0, 3)
        copied[3] = ~copied[0]
        assert [one.name for one in copy_tests(np.moveaxis(copied, 0, axis), 0.3, AXES) if one.rejects(LEVEL)] == [
            f"copies.{name}"
        ]


def test_copies_by_luck_are_no_copies() -> None:
    (found, *_) = copy_tests(np.ones((2, 3), bool), 0.1)
    assert found.p_value == pytest.approx(1.0)  # the measured share explains it
    (found, *_) = copy_tests(mask(0.5, shape=(40, 3)), 0.5)
    assert found.measured > 30
    assert found.p_value == 1.0
    rng = np.random.default_rng(5)
    p_values = np.array([copy_tests(rng.random((4, 6)) >= 0.5, 0.5)[0].p_value for _ in range(4000)])
    for level in (0.4, 0.2):
        assert np.mean(p_values <= level) <= level + 4 * np.sqrt(level / 4000)
    assert np.mean(p_values < 1.0) > 0.1


def test_shared_axes_measured() -> None:
    one = mask(0.3, shape=(4, 20, 1, 40))
    found = shared_axes(np.broadcast_to(one, SHAPE), 0.3)
    assert (found.shared, found.distinct, found.undecidable) == ((2,), (0, 1, 3), ())
    assert found.luck[2] < 1e-300
    both = shared_axes(np.broadcast_to(mask(0.3, shape=(1, 1, 30, 40)), SHAPE), 0.3)
    assert both.shared == (0, 1)
    assert both.undecidable == ()


def test_undecidable_axes_are_said_to_be() -> None:
    few = shared_axes(np.ones((3, 5), bool), 0.1)
    assert few.undecidable == (0, 1)
    assert few.luck[0] == pytest.approx(0.9**3 + 0.1**3)
    single = shared_axes(mask(0.5, shape=(1, 100)))
    assert (single.undecidable, single.distinct) == ((0,), (1,))
    constant = shared_axes(np.ones(SHAPE, bool), 0.0)
    assert constant.undecidable == (0, 1, 2, 3)
    assert shared_axes(np.zeros((0, 3), bool)).undecidable == (0, 1)


def test_luck_is_the_real_probability() -> None:
    """Small unshared masks look shared as often as said."""
    rng = np.random.default_rng(0)
    looks = 0
    for _ in range(4000):
        small = rng.random((3, 2)) >= 0.4
        looks += bool((small == small[:1]).all())
    assert looks / 4000 == pytest.approx((0.4**3 + 0.6**3) ** 2, abs=0.015)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.02, 0.5, 0.9, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_p_values_of_small_right_masks(shape: list[int], rate: float, seed: int) -> None:
    """Probabilities, and never one that a check would reject: a small right mask has no such value at all."""
    kept = mask(rate, seed, tuple(shape))
    other = mask(rate, seed + 1, tuple(shape))
    outcomes = [rate_test(kept, rate), *frequency_tests(kept, rate), *neighbour_tests(kept)]
    outcomes += [pair_test(kept, other, "pairs"), *copy_tests(kept, rate)]
    for outcome in outcomes:
        assert 0.0 < outcome.p_value <= 1.0
        assert not outcome.rejects(LEVEL)
