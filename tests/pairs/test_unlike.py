"""Outputs of other shapes: a difference with both shapes, the way from one to the other and the place, never an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness import pair
from harness.pairs import report
from harness.pairs.judging import PairRow
from harness.pairs.unlike import cause

X = np.random.default_rng(0).normal(size=(4, 3, 5))

MADE: dict[str, Callable[[Any], Any]] = {
    "the same numbers, their axes in the order (1, 0, 2)": lambda y: y.swapaxes(0, 1),
    "the same numbers in the same order, reshaped": lambda y: y.reshape(12, 5),
    "the second has the last element of axis 1 alone": lambda y: y[:, -1],
    "the second has the first element of axis 1 alone": lambda y: y[:, 0],
    "the second has the mean over axis 1": lambda y: y.mean(1),
    "the second has the sum over axis 2": lambda y: y.sum(2),
    "the second has the largest over axis 1": lambda y: y.max(1),
}


def told(first: np.ndarray, second: np.ndarray) -> str:
    row = PairRow("y", "y", np.inf, 0.0, 0.0, (), "shape", shapes=(first.shape, second.shape))
    return cause(row, first, second, 1e-6)


@pytest.mark.parametrize("words", MADE)
def test_the_way_from_one_to_the_other_is_named_and_only_where_the_numbers_show_it(words: str) -> None:
    other = MADE[words](X)
    assert told(X, other + 1e-9) == f"'y' is (4, 3, 5) in the first and {other.shape} in the second: {words}"
    assert told(X, other + 1e-3) == f"'y' is (4, 3, 5) in the first and {other.shape} in the second"


def test_the_first_may_have_the_axis_less() -> None:
    assert told(X[:, -1], X).endswith(": the first has the last element of axis 1 alone")
    assert told(X[:, -1] + 1e-3, X).endswith("in the second")


def test_a_pair_of_programs() -> None:
    torch = pytest.importorskip("torch")

    def whole(x: Any) -> Any:
        return torch.nn.functional.dropout(torch.tanh(x), 0.5, True)

    def turned(x: Any) -> Any:
        return whole(x).transpose(0, 1)

    def halved(x: Any) -> Any:
        return (whole(x) / 2).transpose(0, 1)

    inputs = {"x": X.astype(np.float32)}
    found = pair(whole, turned, inputs=inputs)
    assert not found.passed
    text = report.headline(found)
    assert "'output' is (4, 3, 5) in the first and (3, 4, 5) in the second: the same numbers, their axes in" in text
    assert "made at" in "\n".join(report.lines(found)) and "test_unlike.py" in "\n".join(report.lines(found))
    assert report.as_json(found)["parts"][0]["rows"][0]["shapes"] == [[4, 3, 5], [3, 4, 5]]
    # What parts before the output is told first.
    other = pair(whole, halved, inputs=inputs)
    assert "part at, in the second:  div (4, 3, 5) test_unlike.py" in "\n".join(report.lines(other))
    assert "the same numbers" not in report.headline(other)
