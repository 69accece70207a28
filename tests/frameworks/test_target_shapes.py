"""A port's output of a wrong shape: one row that says what was returned and what is asked for, before a gradient is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated import variant
from target_cases import differences

from harness.frameworks.contract.shapes import WrongShape, compare_shapes, explained, shape_of
from harness.records import BackendRef
from tests.workers import run

FRAMEWORKS = ["numpy", *(pytest.param(name, marks=pytest.mark.slow) for name in ("torch", "jax", "tensorflow"))]
PORT = """
def run(case):
    y = case.inputs["x"] @ case.weights["kernel"][:, :6]
    if case.options["how"] == "batch":
        return {"y": y[0]}
    if case.options["how"] == "last":
        return {"y": y[:, -1]}
    turned = {"torch": lambda: y.permute(1, 0, 2), "tensorflow": lambda: __import__("tensorflow").transpose(y, (1, 0, 2))}
    return {"y": turned.get(case.options["framework"], lambda: y.transpose(1, 0, 2))()}
"""
WORDS = {
    "major": "fail: y is (7, 3, 6), (3, 7, 6) is asked: time and batch exchanged (batch_first, time_major)?",
    "batch": "fail: y is (7, 6), (3, 7, 6) is asked: its first axis, the batch, is missing",
    "last": "fail: y is (3, 6), (3, 7, 6) is asked: the last step alone? the case has return_sequences: true",
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_wrong_shape_is_told_whatever_the_framework(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    (tmp_path / "port.py").write_text(PORT, encoding="utf-8")
    ports = tuple(
        BackendRef(framework, how, target=f"{tmp_path / 'port.py'}:run", options={"how": how, "framework": framework})
        for how in WORDS
    )
    case = variant("lstm", {"units": 6, "return_sequences": True}, {"x": (3, 7, 5)}, backends=ports)
    for (how, words), compared in zip(WORDS.items(), run([case]), strict=True):
        assert differences(compared) == {"value.shape": words}, how


@pytest.mark.parametrize(
    ("mine", "want", "words"),
    [
        ((4, 6, 7), (4, 7, 6), "axes permuted as (0, 2, 1)?"),
        ((4, 7, 6), (4, 6), "the whole sequence? the case has no return_sequences, so y is the last step"),
        ((7, 4, 6), (4, 6), "a leading axis too many: a sequence with time first"),
        ((1, 4, 6), (4, 6), "an axis of size 1 too many"),
        ((2, 4, 6), (4, 6), "a leading axis too many"),
        ((4, 7, 12), (4, 7, 6), "twice as many features: both directions"),
        ((4, 7, 3), (4, 7, 6), "half as many features"),
        ((4, 5, 6), (4, 7, 6), "another size along axis 1"),
        ((4, 7), (4, 7, 6), "its last axis, the features, is missing"),
        ((6, 4), (4, 6), "transposed?"),
        ((), (4, 7, 6), "0 axes instead of 3"),
    ],
)
def test_what_a_shape_tells(mine: tuple[int, ...], want: tuple[int, ...], words: str) -> None:
    assert explained(mine, want).startswith(words)


def test_every_wrong_output_is_told_and_a_right_one_is_not() -> None:
    outputs = {"y": np.zeros((4, 7, 6)), "h": np.zeros((1, 4, 6)), "c": np.zeros((6, 4)), "extra": [1]}
    with pytest.raises(WrongShape, match=r"^h is \(1, 4, 6\), .*; c is \(6, 4\), .*transposed\?$"):
        compare_shapes(outputs, {"y": (4, 7, 6), "h": (4, 6), "c": (4, 6)})
    compare_shapes({"y": [[1.0, 2.0]]}, {"y": (1, 2), "h": (3,)})


def test_what_has_no_shape_yet_is_left_to_the_comparison() -> None:
    class Placeholder:
        shape = (None, 3)

    assert shape_of(Placeholder()) is None
    assert shape_of([[1.0], [1.0, 2.0]]) is None
    compare_shapes({"y": Placeholder(), "h": [[1.0], [1.0, 2.0]]}, {"y": (4, 3), "h": (2, 2)})
