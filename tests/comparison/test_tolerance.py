"""The derived bound: what it is made of, that right programs stay within it, that small faults do not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from lstm_variants import VARIANTS, Arrays, exact, exact_sum

from harness.comparison.kernel import compare_arrays
from harness.comparison.kernel_formats import FLOATS, rounded
from harness.comparison.tolerance import (
    ILL_CONDITIONED,
    MOST_RUNS,
    K,
    Sensitivity,
    printed_limit,
    sensitivity,
)
from harness.layers.base import kinds
from harness.rounding import Rounding, unit_roundoff

OUTPUTS = ("y", "h", "c")


def reference(a: Arrays, rounding: Rounding | None = None, gradients: bool = False) -> Arrays:
    """The float64 reference of the lstm kind; gradients of the sum of all outputs under `d` and the name."""
    kind = kinds()["lstm"]
    wide = {name: np.asarray(array, dtype=np.float64) for name, array in a.items()}
    config = kind.Config(units=a["bias"].size // 4, return_sequences=True, return_state=True)
    x, weights = {"x": wide.pop("x")}, wide
    shapes = kind.output_shapes(config, {"x": x["x"].shape})
    cotangents = {name: np.ones(shape) for name, shape in shapes.items()} if gradients else None
    found = kind.evaluate(config, x, weights, (), {}, train=False, cotangents=cotangents, rounding=rounding)
    return {**found.outputs, **{f"d{name}": array for name, array in found.gradients.items()}}


def arrays(seed: int, dtype: str, shape: tuple[int, int, int, int] | None = None, scale: float = 1.0) -> Arrays:
    """Random inputs and weights; shape is (B, T, D, H), drawn small where it is None."""
    rng = np.random.default_rng(seed)
    b, t, d, h = shape or tuple(int(n) for n in rng.integers(1, (4, 9, 6, 9)))
    raw = {
        "x": rng.normal(size=(b, t, d)),
        "kernel": scale * rng.normal(size=(d, 4 * h)),
        "recurrent_kernel": scale * rng.normal(size=(h, 4 * h)),
        "bias": scale * rng.normal(size=4 * h),
    }
    return {name: rounded(array, FLOATS[dtype]) for name, array in raw.items()}


def bounds(a: Arrays, dtype: str, seed: int = 0, gradients: bool = False) -> Sensitivity:
    return sensitivity(lambda rounding: reference(a, rounding, gradients), dtype, seed=seed)


def test_one_rounding_has_the_size_of_u() -> None:
    values = np.linspace(-2, 2, 1001)
    found = sensitivity(lambda rounding: {"y": rounding.pointwise(values) if rounding else values}, "float32")
    bound = found.bounds["y"]
    assert bound.sensitivity == pytest.approx(2.0 * unit_roundoff("float32"), rel=0.05)
    assert bound.limit == K * bound.sensitivity
    assert (found.clean["y"] == values).all()
    assert not bound.ill_conditioned


def test_what_is_not_rounded_must_be_exact() -> None:
    bound = sensitivity(lambda rounding: {"y": np.ones(3)}, "float32").bounds["y"]
    assert (bound.sensitivity, bound.limit, bound.ill_conditioned) == (0.0, 0.0, False)


def test_small_arrays_take_more_runs() -> None:
    def evaluate(size: int) -> object:
        return lambda rounding: {"y": rounding.pointwise(np.ones(size)) if rounding else np.ones(size)}

    assert sensitivity(evaluate(1000), "float32").bounds["y"].runs == 3
    assert 3 < sensitivity(evaluate(1), "float32").bounds["y"].runs <= MOST_RUNS


def test_cancellation_is_ill_conditioned() -> None:
    """(1e8 + x) - 1e8 in float32: nothing of x is left, and the bound says so instead of judging."""
    x = np.linspace(0, 1, 100)

    def evaluate(rounding: Rounding | None) -> Arrays:
        total = 1e8 + x
        return {"y": (rounding.pointwise(total) if rounding else total) - 1e8}

    assert sensitivity(evaluate, "float32").bounds["y"].ill_conditioned
    assert not sensitivity(evaluate, "float64").bounds["y"].ill_conditioned


def test_chaotic_recurrence_is_ill_conditioned() -> None:
    calm = arrays(0, "float32", (2, 100, 4, 64), scale=0.5 / 8)
    wild = arrays(0, "float32", (2, 100, 4, 64), scale=4.0)
    assert not bounds(calm, "float32").bounds["y"].ill_conditioned
    wild_bound = bounds(wild, "float32").bounds["c"]
    assert wild_bound.ill_conditioned
    assert wild_bound.sensitivity > ILL_CONDITIONED * wild_bound.magnitude


@pytest.mark.parametrize("dtype", list(FLOATS))
def test_ordinary_cases_are_well_conditioned_in_every_format(dtype: str) -> None:
    found = bounds(arrays(1, dtype, (3, 10, 4, 8), scale=0.4), dtype, gradients=True)
    assert len(found.bounds) == 7
    assert not any(bound.ill_conditioned for bound in found.bounds.values())


def test_not_finite_is_ill_conditioned() -> None:
    def evaluate(rounding: Rounding | None) -> Arrays:
        return {"y": np.array([np.inf if rounding else 1.0]), "z": np.array([0.0 if rounding else np.nan, 1.0])}

    found = sensitivity(evaluate, "float32")
    assert found.bounds["y"].ill_conditioned
    assert found.bounds["z"].ill_conditioned


def test_nan_and_infinity_of_every_run_have_no_part_in_the_limit() -> None:
    """They come from an input; the elements beside them are as well-conditioned as without."""
    plain = np.array([1.0, 3.0])

    def evaluate(rounding: Rounding | None) -> Arrays:
        special = np.array([np.nan, np.inf, -np.inf, *plain])
        return {"y": special if rounding is None else rounding.pointwise(special), "z": np.full(3, np.nan)}

    found = sensitivity(evaluate, "float32").bounds
    alone = sensitivity(lambda r: {"y": plain if r is None else r.pointwise(plain)}, "float32").bounds["y"]
    assert (found["y"].ill_conditioned, found["y"].magnitude) == (False, 3.0)
    assert found["y"].limit == pytest.approx(alone.limit, rel=0.5)
    assert (found["z"].ill_conditioned, found["z"].limit, found["z"].magnitude) == (False, 0.0, 0.0)


def test_repeatable_and_empty() -> None:
    a = arrays(2, "float32")
    assert bounds(a, "float32").bounds == bounds(a, "float32").bounds
    assert sensitivity(lambda rounding: {"y": np.zeros(0)}, "float32").bounds["y"].limit == 0.0


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="positive k"):
        sensitivity(lambda rounding: {}, "float32", k=0.0)
    with pytest.raises(ValueError, match="int32"):
        sensitivity(lambda rounding: {}, "int32")
    with pytest.raises(ValueError, match="other names or shapes"):
        sensitivity(lambda rounding: {"y": np.zeros(2 if rounding else 3)}, "float32")


def within(found: Arrays, wanted: Sensitivity, names: tuple[str, ...] = OUTPUTS) -> list[str]:
    """The outputs that leave their bound."""
    return [
        name
        for name in names
        if not compare_arrays(found[name].astype(np.float64), wanted.clean[name], wanted.bounds[name].limit).agrees
    ]


@pytest.mark.parametrize("dtype", list(FLOATS))
def test_right_programs_pass(dtype: str) -> None:
    for seed in range(20):
        a = arrays(seed, dtype)
        wanted = bounds(a, dtype, seed)
        for name, variant in VARIANTS[dtype].items():
            assert within(variant(a), wanted) == [], (name, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", [pytest.param(one, marks=[pytest.mark.exhaustive] * (one != "float32")) for one in FLOATS]
)
def test_no_false_alarm_in_ten_thousand_comparisons(dtype: str) -> None:
    """Random shapes, weights, variants; each output of each variant is a comparison. No alarm, with room to spare."""
    compared, worst = 0, 0.0
    seed = 1000
    while compared < 10_000:
        a = arrays(seed, dtype, scale=float(np.random.default_rng(seed).choice([0.1, 0.5, 1.0, 2.0])))
        wanted = bounds(a, dtype, seed)
        for variant in VARIANTS[dtype].values():
            found = variant(a)
            for name in OUTPUTS:
                bound = wanted.bounds[name]
                if bound.ill_conditioned:
                    continue
                error = np.abs(found[name].astype(np.float64) - wanted.clean[name]).max()
                worst = max(worst, float(error / bound.sensitivity))
                compared += 1
        seed += 1
    assert worst <= K * 0.75


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("forget bias + 1e-5", {"bias": (20, 1e-5)}),
        ("one weight + 1e-4", {"kernel": (3, 1e-4)}),
        ("one recurrent weight + 1e-4", {"recurrent_kernel": (5, 1e-4)}),
    ],
)
def test_small_faults_are_caught(name: str, change: dict[str, tuple[int, float]]) -> None:
    """In float32 at 16 units, with weights of the usual size: numerics that a rounding error could not explain."""
    a = arrays(3, "float32", (4, 10, 8, 16), scale=0.25)
    wanted = bounds(a, "float32")
    faulty = {key: array.astype(np.float64) for key, array in a.items()}
    for key, (place, size) in change.items():
        faulty[key].reshape(-1)[place] += size
    assert within(reference(a), wanted) == []
    assert "y" in within(reference(faulty), wanted)


def test_lower_precision_is_caught() -> None:
    """float32 where float64 was meant; weights cut to ten bits, as TF32 products do."""
    a = arrays(4, "float64", (4, 10, 8, 16), scale=0.25)
    wanted = bounds(a, "float64")
    narrow = {key: array.astype(np.float32) for key, array in a.items()}
    assert within(VARIANTS["float32"]["fused"](narrow), wanted) == list(OUTPUTS)
    single = arrays(4, "float32", (4, 10, 8, 16), scale=0.25)
    cut = {
        key: (array.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) if "kernel" in key else array
        for key, array in single.items()
    }
    assert within(VARIANTS["float32"]["fused"](cut), bounds(single, "float32")) == list(OUTPUTS)


def test_reference_agrees_with_fifty_digits() -> None:
    """The float64 reference itself, judged by its own bound in float64."""
    for seed in range(6):
        a = arrays(seed, "float64", (2, 4, 3, 3), scale=float(0.25 * 2**seed))
        wanted = bounds(a, "float64", seed)
        high = exact(a)
        for name in OUTPUTS:
            error = np.abs(wanted.clean[name] - high[name]).max()
            assert error <= wanted.bounds[name].limit
            assert error <= 1e-14


def test_reference_gradients_agree_with_differences_in_fifty_digits() -> None:
    """Central differences of the mpmath forward pass: step 1e-15 in 50 digits leaves about 30 right ones."""
    a = arrays(7, "float64", (1, 3, 2, 2), scale=0.5)
    gradients = reference(a, gradients=True)
    wanted = sensitivity(lambda rounding: reference(a, rounding, gradients=True), "float64")
    for name, array in a.items():
        for index in np.ndindex(array.shape):
            with mpmath.workdps(50):
                step = mpmath.mpf(10) ** -15
                slope = (exact_sum(a, (name, index, step)) - exact_sum(a, (name, index, -step))) / (2 * step)
            error = abs(float(slope) - gradients[f"d{name}"][index])
            assert error <= wanted.bounds[f"d{name}"].limit


def test_printed_limit() -> None:
    values = np.array([0.19954, -123.4, 0.0, 1.0])
    assert printed_limit(values, 5) == pytest.approx([0.5e-5, 0.5e-2, 0.0, 0.5e-4])
    printed = np.array([float(f"{v:.4g}") for v in np.random.default_rng(0).normal(size=1000)])
    exact_values = np.random.default_rng(0).normal(size=1000)
    assert (np.abs(printed - exact_values) <= printed_limit(exact_values, 4) * (1 + 1e-12)).all()
    with pytest.raises(ValueError, match="digit"):
        printed_limit(values, 0)
