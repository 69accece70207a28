"""The kernels against the naive comparison, and their promises one by one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import DTYPES, compare, place

from harness.comparison import kernel_engine
from harness.comparison.kernel import Comparison, compare_arrays
from harness.comparison.kernel_engine import CHUNK
from harness.comparison.kernel_formats import JUDGES, ordered, rounded

PAIRS = [(name, judge) for name, judges in JUDGES.items() for judge in judges]
SPECIAL = [
    0.0,
    -0.0,
    np.nan,
    np.inf,
    -np.inf,
    1.0,
    -1.0,
    1e-45,
    -1e-45,
    5e-324,
    1e-40,
    6e-8,
    1e308,
    -1e308,
    65504.0,
    3e38,
]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float, str]:
    """Arrays of one shape that differ by little, by much, or in NaN, infinity and zero."""
    name, judge = draw(st.sampled_from(PAIRS))
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=0, max_size=3)))
    size = int(np.prod(shape, dtype=int))
    value = st.one_of(st.sampled_from(SPECIAL), st.floats(-4, 4), st.floats(width=64))
    factor = st.one_of(st.just(1.0), st.sampled_from([1 + 1e-7, 1 + 1e-3, -1.0, 0.0, 2.0, np.nan]))
    values = np.array(draw(st.lists(value, min_size=size, max_size=size)))
    factors = np.array(draw(st.lists(factor, min_size=size, max_size=size)))
    with np.errstate(all="ignore"):
        actual = rounded(values.reshape(shape), DTYPES[name])
        expected = rounded((values * factors).reshape(shape), DTYPES[judge])
    return actual, expected, draw(st.sampled_from([0.0, 1e-6, 1e-2, 1.0])), name


def assert_same(found: Comparison, wanted: dict[str, object]) -> None:
    assert {key: getattr(found, key) for key in wanted} == wanted


@settings(max_examples=400, deadline=None)
@given(pairs())
def test_numpy_equals_naive(case: tuple[np.ndarray, np.ndarray, float, str]) -> None:
    actual, expected, limit, name = case
    found = compare_arrays(actual, expected, limit)
    assert found.compared == actual.size
    assert_same(found, compare(actual, expected, limit, name))


@settings(max_examples=200, deadline=None)
@given(st.floats(width=64, allow_nan=False), st.sampled_from(list(DTYPES)))
def test_places_and_rounding(value: float, name: str) -> None:
    """Also values halfway between two bfloat16 numbers that a detour through float32 would round the wrong way."""
    for exact in (value, float(rounded(np.array(value), DTYPES["bfloat16"])) * (1 + 2.0**-8 + 2.0**-50)):
        near = rounded(np.array([exact]), DTYPES[name])
        assert int(ordered(near)[0]) == place(exact, name)


def test_double_rounding_is_avoided() -> None:
    value = 1 + 2.0**-8 + 2.0**-40  # just above halfway between 1 and the next bfloat16; float32 loses the last bit
    assert float(rounded(np.array([value]), DTYPES["bfloat16"])[0]) == 1 + 2.0**-7


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_chunks_do_not_show(size: int) -> None:
    """Ties and places beyond the first chunk: the first place wins, counts add up."""
    expected = np.ones(size, np.float64)
    actual = np.ones(size, np.float32)
    actual[size // 2 :: max(1, size // 4)] = 1.5
    places = np.flatnonzero(actual != 1)
    found = compare_arrays(actual, expected, 0.25)
    assert found.max_abs_at == found.max_rel_at == found.max_ulp_at == found.first_mismatch == (places[0],)
    assert found.mismatches == len(places)
    assert sum(count for _, count in found.ulp_histogram) == size


def test_nothing_is_never_a_pass() -> None:
    found = compare_arrays(np.zeros((0, 3)), np.zeros((0, 3)), 1.0)
    assert (found.compared, found.agrees, found.problem) == (0, False, None)


def test_structure_comes_first() -> None:
    shape = compare_arrays(np.zeros((2, 3)), np.zeros((3, 2)), 1.0)
    assert shape.problem == "shape: got (2, 3), expected (3, 2)"
    assert not shape.agrees
    assert not shape.compared
    narrow = compare_arrays(np.zeros(3), np.zeros(3, np.float32), 1.0)
    assert narrow.problem == "dtype: got float64, which float32 cannot judge"
    meant = compare_arrays(np.zeros(3, np.float32), np.zeros(3), 1.0, dtype="float64")
    assert meant.problem == "dtype: got float32, expected float64"
    for strange in (np.zeros(3, complex), np.array(["a"] * 3), np.array([None] * 3)):
        assert compare_arrays(strange, strange, 0.0).problem is not None
    assert compare_arrays(np.zeros(3, bool), np.zeros(3, np.int8), 0.0).problem is not None


@pytest.mark.parametrize("limit", [-1.0, np.nan, np.inf, np.zeros(4), np.array([0.0, 1.0, np.nan])])
def test_a_limit_that_nothing_could_fail_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        compare_arrays(np.zeros(3), np.zeros(3), limit)


def test_nan_equals_only_nan() -> None:
    nan, one = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    assert compare_arrays(nan, nan, 0.0).agrees
    for actual, expected in ((nan, one), (one, nan)):
        found = compare_arrays(actual, expected, 1e300)
        assert (found.mismatches, found.nan_disagreements, found.first_mismatch) == (1, 1, (0,))


def test_infinities() -> None:
    values = np.array([np.inf, np.inf, np.inf, -np.inf])
    other = np.array([np.inf, -np.inf, 1.0, np.nan])
    found = compare_arrays(values, other, 1e300)
    assert (found.mismatches, found.inf_disagreements, found.nan_disagreements, found.max_abs) == (3, 2, 1, 0.0)


def test_zero_pattern_takes_subnormals_for_zero() -> None:
    actual = np.array([0.0, 0.0, 0.0, 1.0], np.float32)
    expected = np.array([1e-40, 1e-30, 0.0, 0.0])
    assert compare_arrays(actual, expected, 2.0).zero_disagreements == 2


def test_limits_by_element() -> None:
    actual, expected = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2))
    found = compare_arrays(actual, expected, np.array([[1.0, 1.5], [3.0, 3.5]]))
    assert (found.mismatches, found.first_mismatch) == (2, (0, 1))


def test_integers_and_bools() -> None:
    masks = compare_arrays(np.array([True, False]), np.array([True, True]), 0.0)
    assert (masks.mismatches, masks.zero_disagreements, masks.max_abs) == (1, 1, 1.0)
    lowest, highest = np.array([np.iinfo(np.int64).min]), np.array([np.iinfo(np.int64).max])
    assert compare_arrays(lowest, highest, 0.0).max_ulp == 2**64 - 1
    assert compare_arrays(np.array([3], np.int32), np.array([3], np.int64), 0.0).agrees


def test_layout_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(70, 300)).astype(np.float32)
    expected = plain.astype(np.float64) * (1 + 1e-7)
    wanted = compare_arrays(plain, expected, 1e-7)
    strided = np.empty((140, 600), np.float32)[::2, ::2]
    strided[...] = plain
    for actual in (np.asfortranarray(plain), strided, plain.astype(">f4")):
        assert compare_arrays(actual, expected, 1e-7) == wanted


def test_digest_tells_bytes_dtype_and_shape() -> None:
    rng = np.random.default_rng(1)
    for size in (10, 16384, 16385, 100_000):
        array = rng.normal(size=size).astype(np.float32)
        changed = array.copy()
        changed[-1] = np.nextafter(changed[-1], np.float32(9))
        negative = np.where(array == array[0], -array, array)
        marks = [
            compare_arrays(values, values, 0.0).digest
            for values in (array, changed, negative, array.reshape(1, -1), array.astype(np.float64), array[:-1])
        ]
        assert len(set(marks)) == len(marks)
        assert marks[0] == compare_arrays(array.copy(), changed, 1.0).digest
    assert compare_arrays(array, array, 0.0, with_digest=False).digest == ""


def test_digest_is_pinned() -> None:
    """A stored digest must stay readable: these values are part of the format."""
    small = np.arange(10, dtype=np.float32)
    large = np.arange(100_000, dtype=np.float32)
    assert compare_arrays(small, small, 0.0).digest == "d3408b25328ed8e07e9259c107de434f"
    assert compare_arrays(large, large, 0.0).digest == "7dff647fc63f48ab9745e9eb459c3436"


def test_engine_starts_numba_only_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_engine, "_COMPILED", "not imported")
    monkeypatch.setattr(kernel_engine, "_installed", lambda: True)
    monkeypatch.setattr(kernel_engine, "_spent", 0)
    assert not kernel_engine._pays(1000)
    assert kernel_engine._pays(kernel_engine.START_UP)
    assert kernel_engine._pays(1)  # so much was compared that the start is worth it now
    monkeypatch.setattr(kernel_engine, "_installed", lambda: False)
    assert not kernel_engine._pays(kernel_engine.START_UP)


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="no engine 'cuda'"):
        compare_arrays(np.zeros(3), np.zeros(3), 0.0, engine="cuda")


def test_works_without_numba() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from harness.comparison import kernel_engine\n"
        "from harness.comparison.kernel import compare_arrays\n"
        "kernel_engine.START_UP = 1\n"
        "a = np.ones(1000)\n"
        "assert compare_arrays(a, a, 0.0).agrees\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
