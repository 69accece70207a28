"""The compiled kernel gives what NumPy gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison.kernel import compare_arrays

BLOCKS = [1, 100, 4095, 4096, 4097, 16_384, 16_385, 70_001]


def make(size: int, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=size)
    expected = actual * (1 + 1e-7 * rng.normal(size=size))
    if kind == "dropped":
        actual[::2] = expected[::2] = 0.0
        expected[1::101] = 0.0
    elif kind == "strange":
        for values, steps in ((actual, (7, 11, 13)), (expected, (7, 5, 17))):
            values[:: steps[0]] = np.nan
            values[1 :: steps[1]] = np.inf
            values[2 :: steps[2]] = -np.inf
    elif kind == "wild":
        actual *= 10.0 ** rng.integers(-300, 300, size)
        expected = actual * rng.choice([1.0, -1.0, 1 + 1e-15, 0.0, 3.0], size)
    elif kind == "huge":  # errors and relative errors that overflow, the largest of them last
        actual = rng.choice([1e-45, 1e-38, 1.0, 3e38, -3.4e38, 1.7e308], size) * rng.choice([1.0, -1.0], size)
        expected = actual * rng.choice([1.0, 1 + 1e-6], size)
        expected[size // 2 :] = rng.permutation(expected[size // 2 :])
    elif kind == "equal":
        expected = actual.copy()
    elif kind == "rare":
        actual[size // 2] += 1.0
    return actual, expected


@pytest.fixture(scope="module", autouse=True)
def _numba() -> None:
    pytest.importorskip("numba")


@pytest.mark.parametrize("kind", ["near", "dropped", "strange", "wild", "huge", "equal", "rare"])
@pytest.mark.parametrize(("name", "judge"), [("float32", "float32"), ("float32", "float64"), ("float64", "float64")])
def test_identical_to_numpy(kind: str, name: str, judge: str) -> None:
    for seed, size in enumerate(BLOCKS):
        with np.errstate(all="ignore"):
            actual, expected = (
                values.astype(dtype) for values, dtype in zip(make(size, kind, seed), (name, judge), strict=True)
            )
        for limit in (0.0, 1e-8, 1e-6, 10.0):
            plain = compare_arrays(actual, expected, limit, engine="numpy")
            assert compare_arrays(actual, expected, limit, engine="numba") == plain


def test_identical_to_numpy_over_threads() -> None:
    """Several segments: ties are won by the first place, the digest keeps its order."""
    size = 2_500_003
    actual = np.ones(size, np.float32)
    expected = actual.copy()
    actual[[5, 1_500_000, size - 1]] = 2.0
    plain = compare_arrays(actual, expected, 0.5, engine="numpy")
    assert plain.max_abs_at == (5,)
    assert compare_arrays(actual, expected, 0.5, engine="numba") == plain


def test_refuses_what_it_does_not_compile() -> None:
    half = np.zeros(3, np.float16)
    with pytest.raises(ValueError, match="compiled kernel"):
        compare_arrays(half, half, 0.0, engine="numba")
    with pytest.raises(ValueError, match="compiled kernel"):
        compare_arrays(np.zeros(3), np.zeros(3), np.zeros(3), engine="numba")


def test_maxima_beyond_the_largest_float32() -> None:
    """The first look runs in float32, where these maxima are infinite; the later, larger ones must still be found."""
    actual, expected = np.ones(20_000, np.float32), np.ones(20_000, np.float32)
    actual[10], expected[10] = 1e30, 1e-9  # relative error 1e39
    actual[9_000], expected[9_000] = 1.0, 1e-45  # 7e44, and no news otherwise
    found = compare_arrays(actual, expected, 1e35, engine="numba")
    assert found.max_rel_at == (9_000,)
    actual[11], expected[11] = 3e38, -1e38  # an error of 4e38
    actual[9_001], expected[9_001] = 3e38, -3e38
    found = compare_arrays(actual, expected, 1e300, engine="numba")
    assert found.max_abs_at == (9_001,)
    assert found == compare_arrays(actual, expected, 1e300, engine="numpy")
