"""Every rounding rule is recognised from its own numbers, and every wrong scale by its meaning."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison.kernel_formats import FLOATS, rounded
from harness.comparison.scaling import RULES, scaling

FORMATS = list(FLOATS)
F32 = np.float32


def survivors(name: str, size: int = 4000) -> np.ndarray:
    return rounded(np.random.default_rng(5).normal(size=size), FLOATS[name])


def right_rules(x: np.ndarray, rate: float) -> dict[str, np.ndarray]:
    """What frameworks do, written out anew: TensorFlow 1 divides, TensorFlow 2 and torch multiply, XLA uses float32."""
    keep = 1.0 - rate
    d = x.dtype.type
    return {
        "x / d(keep)": x / d(keep),
        "x * d(1 / keep)": x * d(1 / keep),
        "x * d(1 / f32(keep))": x * d(1 / float(F32(keep))),
        "x * f32(1 / f32(keep))": x * d(F32(1) / F32(keep)),
    }


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.7])
def test_right_rules_are_named(name: str, rate: float) -> None:
    x = survivors(name)
    for rule, y in right_rules(x, rate).items():
        found = scaling(x, y, 1.0 - rate, name)
        assert rule in found.rules
        assert found.meanings == ("inverted",)
        assert found.nearest_ulp == 0
        assert found.ratio == pytest.approx(1 / (1 - rate), rel=0.01)
        assert found.ratio_min <= found.ratio <= found.ratio_max


def test_division_and_reciprocal_differ() -> None:
    """The rules are told apart, or naming one would mean nothing."""
    for name in FORMATS:
        x = survivors(name)
        by_rule = right_rules(x, 0.3)
        assert "x * d(1 / keep)" not in scaling(x, by_rule["x / d(keep)"], 0.7).rules
        assert "x / d(keep)" not in scaling(x, by_rule["x * d(1 / keep)"], 0.7).rules
    x = survivors("float64")
    assert scaling(x, x * float(F32(1) / F32(0.7)), 0.7).rules == ("x * f32(1 / f32(keep))",)
    assert scaling(x, x * (1 / float(F32(0.7))), 0.7).rules == ("x * d(1 / f32(keep))",)
    assert scaling(x, x / float(F32(0.7)), 0.7).rules == ("x / d(f32(keep))",)


@pytest.mark.parametrize("name", FORMATS)
def test_wrong_scales_are_named(name: str) -> None:
    x = survivors(name)
    d = x.dtype.type
    faults = {
        "none": x,
        "twice": x / d(0.7) / d(0.7),
        "rate taken for keep": x * d(1 / 0.3),
        "multiplied by keep": x * d(0.7),
        "multiplied by rate": x * d(0.3),
    }
    for meaning, y in faults.items():
        assert scaling(x, y, 0.7).meanings == (meaning,)


def test_float32_for_float64_is_named() -> None:
    x = survivors("float64")
    y = (x.astype(F32) * F32(1 / 0.7)).astype(np.float64)
    assert scaling(x, y, 0.7).meanings == ("float32 for float64",)


def test_half_formats_scaled_in_float32() -> None:
    for name in ("float16", "bfloat16"):
        x = survivors(name)
        y = (x.astype(F32) / F32(0.7)).astype(x.dtype)
        assert "d(f32(x) / f32(keep))" in scaling(x, y, 0.7).rules


def test_one_wrong_element_unfits_a_rule() -> None:
    x = survivors("float32")
    y = x / F32(0.7)
    y[17] = np.nextafter(np.nextafter(y[17], F32(9)), F32(9))
    found = scaling(x, y, 0.7)
    assert found.rules == ()
    assert found.nearest == "x / d(keep)"
    assert found.nearest_ulp == 2


def test_at_a_half_right_and_wrong_coincide_and_right_comes_first() -> None:
    x = survivors("float32")
    found = scaling(x, x * 2, 0.5)
    assert found.meanings == ("inverted", "rate taken for keep")
    assert found.nearest == "x / d(keep)"


def test_keep_one() -> None:
    x = survivors("float32")
    assert scaling(x, x, 1.0).meanings[0] == "inverted"


def test_flushed_subnormals_fit() -> None:
    x = np.array([1.0, 1e-39, 1.1754944e-38], F32)
    y = x / F32(0.7)
    y[1] = 0.0
    found = scaling(x, y, 0.7)
    assert "x / d(keep)" in found.rules
    assert found.flushed == 1
    y[0] = 0.0  # a normal survivor that became zero is no flush
    assert scaling(x, y, 0.7).rules == ()


def test_special_values_pass_through() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e38, 1.0], F32)
    with np.errstate(over="ignore"):
        y = x * F32(1 / 0.7)
    assert "x * d(1 / keep)" in scaling(x, y, 0.7).rules
    y[0] = 0.0  # a dropped NaN that should have survived
    assert scaling(x, y, 0.7).rules == ()


def test_nothing_measured_names_nothing() -> None:
    for x in (np.zeros(0, F32), np.zeros(5, F32), np.full(3, np.nan, F32)):
        found = scaling(x, x, 0.7)
        assert (found.rules, found.nearest, found.informative, found.survivors) == ((), "", 0, x.size)


def test_bad_input_is_refused() -> None:
    x = np.ones(3, F32)
    for arguments in ((x, x.astype(np.float64), 0.5), (x, x[:2], 0.5), (x, x, 0.0), (x, x, 1.5), (x, x, np.nan)):
        with pytest.raises(ValueError, match="keep|float"):
            scaling(*arguments)
    with pytest.raises(ValueError, match="float64"):
        scaling(x, x, 0.5, "float64")


def test_every_rule_is_reached() -> None:
    """No dead entry: each rule fits its own numbers in some format."""
    fitted: set[str] = set()
    for name in FORMATS:
        x = survivors(name, 500)
        for _, rule in RULES.values():
            fitted |= set(scaling(x, rule(x, 0.7), 0.7).rules)
    assert fitted == set(RULES)
