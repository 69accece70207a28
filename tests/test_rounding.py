"""Rounding noise: its size, its repeatability, exact zeros."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from harness.rounding import UNIT_ROUNDOFF, Rounding, unit_roundoff


@pytest.mark.parametrize("name", list(UNIT_ROUNDOFF))
def test_unit_roundoff_is_half_the_spacing_at_one(name: str) -> None:
    spacing = float(ml_dtypes.finfo(ml_dtypes.bfloat16).eps) if name == "bfloat16" else float(np.finfo(name).eps)
    assert unit_roundoff(name) == spacing / 2


def test_dtypes_may_be_names_or_types() -> None:
    assert unit_roundoff(np.float32) == unit_roundoff(np.dtype("float32")) == unit_roundoff("float32")
    assert unit_roundoff(ml_dtypes.bfloat16) == 2.0**-8
    with pytest.raises(ValueError, match="int32"):
        unit_roundoff(np.int32)


def test_noise_fills_the_interval_and_stays_in_it() -> None:
    rounding = Rounding.of("float32", 0)
    value = np.full(100_000, 3.0)
    relative = (rounding.pointwise(value) - value) / (3.0 * rounding.u)
    assert -1.0 <= relative.min() < -0.99
    assert 0.99 < relative.max() <= 1.0
    absolute = (rounding.perturb(value, 12.0) - value) / rounding.u
    assert 11.9 < np.abs(absolute).max() <= 12.0 * (1 + 1e-6)


def test_float64_noise_survives_float64() -> None:
    value = np.full(1000, 1.5)
    noisy = Rounding.of("float64", 0).pointwise(value)
    assert (noisy != value).mean() > 0.25
    assert np.abs(noisy - value).max() == np.spacing(1.5)


def test_seeds_repeat_and_calls_differ() -> None:
    value = np.ones(5)
    first, second = Rounding.of("float32", 3), Rounding.of("float32", 3)
    once = first.pointwise(value)
    assert (once == second.pointwise(value)).all()
    assert (once != first.pointwise(value)).all()


def test_zero_is_exact_and_underflow_is_not() -> None:
    noisy = Rounding.of("float16", 0).pointwise(np.array([0.0, 1e-7]))
    assert noisy[0] == 0.0
    assert 2.0**-30 < abs(noisy[1] - 1e-7) < 2.0**-24


def test_a_constant_has_one_error() -> None:
    rounding = Rounding.of("float32", 0)
    value = np.array([0.0, 1.0, 2.0, 3.0])
    seen = set()
    for _ in range(20):
        ratio = rounding.constant(value, 5.0)[1:] / value[1:] - 1.0
        assert np.ptp(ratio) < 1e-15
        assert abs(ratio[0]) == pytest.approx(5.0 * 2.0**-24)
        seen.add(bool(ratio[0] > 0))
    assert seen == {True, False}
