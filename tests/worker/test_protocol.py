"""Messages between host and worker: every array comes back as it was, and what is no message is refused."""

from __future__ import annotations

import json
import multiprocessing
import struct
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.worker.protocol import Arena, receive, send

DTYPES = [np.float16, np.float32, np.float64, np.int32, np.uint16, np.bool_]


def round_trip(
    arrays: dict[str, np.ndarray], arena: Arena | None = None, back: Arena | None = None
) -> dict[str, np.ndarray]:
    left, right = multiprocessing.Pipe()
    # A pipe holds little, so the sender runs beside the receiver.
    sender = threading.Thread(target=send, args=(left, {"op": "x", "ü": [1, None]}, arrays, arena))
    sender.start()
    header, found = receive(right, back)
    sender.join()
    assert header == {"op": "x", "ü": [1, None]}
    return found


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_arrays_come_back_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    found = round_trip(arrays)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_bfloat16_keeps_its_name() -> None:
    array = np.arange(5, dtype=ml_dtypes.bfloat16)
    (found,) = round_trip({"x": array}).values()
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(3, 4).T, np.arange(24.0)[::2], np.broadcast_to(1.5, (2, 3))])
def test_any_memory_layout(array: np.ndarray) -> None:
    (found,) = round_trip({"x": array}).values()
    assert np.array_equal(found, array)


def test_small_frames_are_aligned() -> None:
    found = round_trip({"a": np.ones(3, np.float32), "b": np.ones(5)})
    assert all(array.flags.aligned for array in found.values())


def test_large_arrays_go_through_the_arena(tmp_path: Path) -> None:
    arena, back = Arena(str(tmp_path / "arena")), Arena(str(tmp_path / "arena"))
    big = np.random.default_rng(0).random(Arena.threshold // 8 + 3)
    for count in (1, 3, 2):  # grows, then is reused
        found = round_trip({f"x{index}": big + index for index in range(count)} | {"s": np.ones(2)}, arena, back)
        for index in range(count):
            assert np.array_equal(found[f"x{index}"], big + index)
    assert not found["x0"].flags.owndata  # a view into the mapping: received without a copy
    size = (tmp_path / "arena").stat().st_size
    round_trip({"x": big}, arena, back)
    assert (tmp_path / "arena").stat().st_size == size


def raw(data: bytes) -> None:
    left, right = multiprocessing.Pipe()
    left.send_bytes(data)
    receive(right)


def test_no_message_is_refused() -> None:
    for data in (b"", b"1234567", struct.pack(">Q", 100) + b"{}", struct.pack(">Q", 2) + b"{}"):
        with pytest.raises((ValueError, KeyError)):
            raw(data)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    frame = (tmp_path / "x.npy").read_bytes()
    head = json.dumps(
        {"header": {}, "arrays": [{"name": "x", "dtype": "object", "frame": 0, "size": len(frame)}]}
    ).encode()
    with pytest.raises(ValueError, match="Python objects"):
        raw(struct.pack(">Q", len(head)) + head + frame)
