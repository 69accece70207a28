"""Normal noise: right draws pass, each planted fault is caught, coarse draws are judged with their own allowance."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from harness.comparison.statistics.families import families
from harness.comparison.statistics.normal import distribution_test, mean_test, spread_test

LEVEL = 1e-9
SIZE = 200_000


def draws(seed: int = 0, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


def rejected(values: np.ndarray, allowed: float = 0.0) -> set[str]:
    outcomes = (test(values, allowed) for test in (mean_test, spread_test, distribution_test))
    return {outcome.name for outcome in outcomes if outcome.rejects(LEVEL)}


def test_right_noise_passes() -> None:
    assert rejected(draws()) == set()
    assert rejected(draws(size=3)) == set()
    assert rejected(draws().astype(np.float32)) == set()


def test_wrong_noise_is_caught() -> None:
    z = draws()
    assert "noise.mean" in rejected(z + 0.02)
    assert "noise.spread" in rejected(z * 1.02)
    assert "noise.spread" in rejected(z * 0.98)
    uniform = np.random.default_rng(1).uniform(-np.sqrt(3), np.sqrt(3), SIZE)
    assert rejected(uniform) == {"noise.distribution"}
    assert "noise.distribution" in rejected(np.sign(z))
    assert "noise.spread" in rejected(z[np.abs(z) < 2])


def test_nothing_and_nan_are_no_pass() -> None:
    assert rejected(np.zeros(0)) == {"noise.mean", "noise.spread", "noise.distribution"}
    for odd in (np.nan, np.inf):
        assert rejected(np.append(draws(), odd)) == {"noise.mean", "noise.spread", "noise.distribution"}


def test_allowance_is_a_border() -> None:
    z = draws()
    assert not mean_test(z + 0.02, 0.03).rejects(LEVEL)
    assert mean_test(z + 0.05, 0.03).rejects(LEVEL)
    assert not spread_test(z * 1.02, 0.03).rejects(LEVEL)
    assert spread_test(z * 1.05, 0.03).rejects(LEVEL)
    assert spread_test(z * 0.95, 0.03).rejects(LEVEL)
    coarse = np.round(z * 8) / 8  # steps of 1/8: the distribution function is off by up to 0.4 / 16
    assert distribution_test(coarse).rejects(LEVEL)
    assert not distribution_test(coarse, 0.03).rejects(LEVEL)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_rounded_draws_need_no_allowance_at_usual_sizes(dtype: type) -> None:
    assert rejected(draws(size=50_000).astype(dtype)) == set()


def test_families() -> None:
    rng = np.random.default_rng(0)
    assert families(draws()) == ("normal",)
    assert families(3 + 2 * draws()) == ("normal",)
    assert families(rng.uniform(0, 1, SIZE)) == ("uniform",)
    assert families(rng.laplace(size=SIZE)) == ("laplace",)
    z = draws(size=2 * SIZE)
    assert families(z[np.abs(z) < 2]) == ("truncated normal",)
    assert families(rng.random(SIZE) < 0.3) == ("two-valued",)
    assert families(np.full(10, 2.0)) == ("constant",)
    assert families(rng.exponential(size=SIZE)) == ()
    assert families(np.append(draws(), np.nan)) == ()


def test_few_values_cannot_tell_families_apart() -> None:
    assert len(families(draws(size=20))) > 1
    assert len(families(np.zeros(0))) > 1
