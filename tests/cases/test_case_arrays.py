"""Arrays of a case: known shapes when it is loaded, the same bytes whenever they are made."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_kinds import CASE

from harness.cases import filling, load, materialise, numpy_dtype, recorded_arrays
from harness.cases.headers import FileRefused, header_shape
from harness.errors import UserError
from harness.records import Variant

Good = Callable[[str], list[Variant]]
X = "{shape: [5, 7, 3], fill: normal}"


def made(good: Good, entry: str, extra: str = "dtype: float64\n") -> np.ndarray:
    (variant,) = good(CASE.replace(X, entry) + extra)
    return materialise(variant)[0]["x"]


def generator(seed: Any) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


FILLS = {
    "{shape: [2, 1, 3], fill: zeros}": np.zeros((2, 1, 3)),
    "{shape: [2, 1, 3], fill: ones}": np.ones((2, 1, 3)),
    "{shape: [2, 1, 3], fill: constant, value: 0.25}": np.full((2, 1, 3), 0.25),
    "{shape: [2, 1, 3], fill: arange}": np.arange(6.0).reshape(2, 1, 3),
    "{shape: [1, 1, 5], fill: linspace, low: -2, high: 2}": np.array([[[-2.0, -1.0, 0.0, 1.0, 2.0]]]),
    "{shape: [2, 1, 3], fill: normal, seed: 7}": generator(7).standard_normal((2, 1, 3)),
    "{shape: [2, 1, 3], fill: normal, mean: 3, stddev: 0.5}": 3 + 0.5 * generator(0).standard_normal((2, 1, 3)),
    "{shape: [2, 1, 3], fill: uniform, seed: 7}": -1 + 2 * generator(7).random((2, 1, 3)),
    "{shape: [2, 1, 3], fill: uniform, low: 0, high: 4}": 4 * generator(0).random((2, 1, 3)),
    "[[[1, 2.5, -3e-2]]]": np.array([[[1, 2.5, -0.03]]]),
    "{values: [1, 2, 3, 4, 5, 6], shape: [1, 2, 3]}": np.arange(1.0, 7.0).reshape(1, 2, 3),
    "{file: x.npy}": np.arange(105.0).reshape(5, 7, 3),
    "{file: x.npy, shape: [5, 7, 3]}": np.arange(105.0).reshape(5, 7, 3),
}


@pytest.mark.parametrize("entry", FILLS)
def test_values(entry: str, good: Good, arrays: Path) -> None:
    found = made(good, entry)
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, FILLS[entry])


@pytest.mark.parametrize("entry", ["{shape: [], fill: normal}", "{shape: [], fill: ones}", "2.5", "{file: scalar.npy}"])
def test_an_array_without_axes(entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("scalar.npy", np.array(2.5))
    text = CASE.replace("layer: toy", "layer: dropout").replace("units: 2", "rate: 0.5").replace(X, entry)
    Path("case.yaml").write_text(text)
    (variant,) = load(["case.yaml"])
    assert (variant.inputs["x"].shape, materialise(variant)[0]["x"].shape) == ((), ())


def test_not_enough_memory(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    (variant,) = good(CASE)

    def full(_spec: Any) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(filling, "_fill", full)
    with pytest.raises(UserError) as caught:
        materialise(variant)
    assert str(caught.value) == (
        "case.yaml:4:13: there is not enough memory for shape [5, 7, 3]: 105 elements, 7.82e-07 GiB"
    )


def test_published_numbers_of_the_generator() -> None:
    """PCG64 seeded with 0, as NumPy's documentation and test suite print it: the fills cannot drift unnoticed."""
    assert generator(0).random() == 0.6369616873214543
    np.testing.assert_array_equal(generator(0).standard_normal(3).round(8), [0.12573022, -0.13210486, 0.64042265])


def test_one_rule_gives_each_weight_its_own_stream(good: Good) -> None:
    (variant,) = good(CASE + "weights: {fill: uniform, seed: 2}\ndtype: float64\n")
    _, weights = materialise(variant)
    np.testing.assert_array_equal(weights["kernel"], -1 + 2 * generator([2, *b"kernel"]).random((3, 2)))
    np.testing.assert_array_equal(weights["bias"], -1 + 2 * generator([2, *b"bias"]).random(2))


def test_weights_by_default(good: Good) -> None:
    (variant,) = good(CASE)
    (other,) = good(CASE + "weights: {fill: uniform}\n")
    for one, two in zip(materialise(variant)[1].values(), materialise(other)[1].values(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.unique(one).size == one.size


def test_weights_by_name_use_the_seed_alone(good: Good) -> None:
    (variant,) = good(CASE + "weights: {kernel: {fill: normal, seed: 5}, bias: [1, 2]}\ndtype: float64\n")
    _, weights = materialise(variant)
    np.testing.assert_array_equal(weights["kernel"], generator(5).standard_normal((3, 2)))
    np.testing.assert_array_equal(weights["bias"], [1, 2])


def test_weights_of_one_file(good: Good, arrays: Path) -> None:
    (variant,) = good(CASE + "weights: {file: good.npz}\n")
    _, weights = materialise(variant)
    np.testing.assert_array_equal(weights["kernel"], np.ones((3, 2)))
    np.testing.assert_array_equal(weights["bias"], np.zeros(2))


def test_a_key_of_an_npz_file(good: Good, arrays: Path) -> None:
    (variant,) = good(CASE + "weights: {kernel: {file: good.npz}, bias: {file: good.npz, key: bias}}\n")
    assert variant.weights["kernel"].key == "kernel"
    assert materialise(variant)[1]["bias"].shape == (2,)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_rounded_once_to_the_dtype(name: str, good: Good) -> None:
    (variant,) = good(CASE + f"dtype: {name}\n")
    inputs, weights = materialise(variant)
    exact = generator(0).standard_normal((5, 7, 3))
    assert inputs["x"].dtype == numpy_dtype(name) == weights["bias"].dtype
    np.testing.assert_array_equal(inputs["x"], exact.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name))
    again, _ = materialise(variant)
    assert again["x"].tobytes() == inputs["x"].tobytes()


def test_a_value_too_large_for_the_dtype(good: Good) -> None:
    np.save("large.npy", np.array([[[1.0, 70000.0, 3.0]]]))
    (variant,) = good(CASE.replace(X, "{file: large.npy}") + "dtype: float16\n")
    with pytest.raises(UserError, match=r"^case\.yaml:4:13: x holds 70000, which is too large for float16$"):
        materialise(variant)


def test_infinities_stay(good: Good) -> None:
    found = made(good, "[[[.inf, -.inf, .nan]]]", "dtype: float16\n")
    np.testing.assert_array_equal(found, np.array([[[np.inf, -np.inf, np.nan]]], np.float16))


def test_recorded_outputs(good: Good, arrays: Path) -> None:
    text = CASE.replace(
        "[numpy]",
        "[numpy, {name: doc, recorded: {y: {file: y.npy}}, digits: 8, source: page 3},"
        " {name: page, recorded: {y: {values: [1, 2], shape: [1, 1, 2]}}, decimals: 3, source: page 4}]",
    )
    np.save("y.npy", np.ones((5, 7, 2), np.float32))
    (variant,) = good(text)
    doc, page = variant.backends[1:]
    assert (doc.backend, doc.label, doc.digits, doc.decimals, doc.source) == ("recorded", "doc", 8, None, "page 3")
    assert recorded_arrays(doc)["y"].dtype == np.float64
    np.testing.assert_array_equal(recorded_arrays(page)["y"], [[[1, 2]]])
    assert page.decimals == 3


def test_loading_makes_no_array(good: Good) -> None:
    """A gigabyte of weights loads at once, in next to no memory."""
    import tracemalloc

    tracemalloc.start()
    (variant,) = good(CASE.replace("[5, 7, 3]", "[1024, 1024, 1024]"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert variant.inputs["x"].shape == (1024, 1024, 1024)
    assert peak < 5_000_000


def test_loading_reads_headers_alone(good: Good) -> None:
    data = np.lib.format.open_memmap("x.npy", "w+", np.float64, (64, 1024, 64))  # 32 MiB of holes
    data.flush()
    import tracemalloc

    tracemalloc.start()
    (variant,) = good(CASE.replace(X, "{file: x.npy}"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert variant.inputs["x"].shape == (64, 1024, 64)
    assert peak < 5_000_000


def test_a_file_that_changes_after_loading(good: Good, arrays: Path) -> None:
    (variant,) = good(CASE.replace(X, "{file: x.npy}"))
    np.save("x.npy", np.zeros((1, 2, 3)))
    with pytest.raises(UserError, match=r"case\.yaml:4:13: x\.npy has shape \[1, 2, 3\] now; when the case was loaded"):
        materialise(variant)
    Path("x.npy").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"case\.yaml:4:13: x\.npy is no readable NumPy file"):
        materialise(variant)
    Path("x.npy").unlink()
    with pytest.raises(UserError, match=r"case\.yaml:4:13: x\.npy is no readable NumPy file"):
        materialise(variant)


def test_files_are_seen_from_the_case(toys: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/case.yaml").write_text(CASE.replace(X, "{file: ../../x.npy}"))
    (variant,) = load(["deep"])
    assert variant.inputs["x"].file == "deep/er/../../x.npy"
    assert materialise(variant)[0]["x"].shape == (5, 7, 3)


@given(
    hnp.array_shapes(min_dims=0, max_dims=4),
    st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u4", "?", ">f8", ">i4"]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_headers_tell_what_numpy_loads(shape: tuple[int, ...], dtype: str, fortran: bool, packed: bool) -> None:
    import tempfile

    array = np.zeros(shape, dtype, order="F" if fortran else "C")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.npz" if packed else "a.npy")
        if packed:
            np.savez_compressed(path, a=array)
        else:
            np.save(path, array)
        assert header_shape(str(path), "a" if packed else "") == shape


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_damaged_files_are_refused(data: st.DataObject) -> None:
    """Whatever happens to an array file's bytes, it has a shape or is refused in our words."""
    import io
    import tempfile

    packed = data.draw(st.booleans())
    stream = io.BytesIO()
    if packed:
        np.savez(stream, a=np.zeros((2, 3)))
    else:
        np.save(stream, np.zeros((2, 3)))
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.npz" if packed else "a.npy")
        path.write_bytes(content)
        with contextlib.suppress(FileRefused):
            assert all(size >= 0 for size in header_shape(str(path), "a" if packed else ""))


def test_a_zip_bomb_is_not_unpacked(good: Good) -> None:
    with zipfile.ZipFile("x.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (1024, 1024, 8)})
        for _ in range(64):
            member.write(bytes(1 << 20))
    assert Path("x.npz").stat().st_size < 1 << 20
    import tracemalloc

    tracemalloc.start()
    (variant,) = good(CASE.replace(X, "{file: x.npz}"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert variant.inputs["x"].shape == (1024, 1024, 8)
    assert peak < 5_000_000
