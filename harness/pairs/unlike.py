"""An output of another shape in the second program than in the first: which, where it is made, and what most likely made it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.frameworks.contract.programs import Trace
from harness.pairs.divergence import Parting
from harness.pairs.judging import PairRow

Array = NDArray[np.float64]

#: What is so many axes deep is not turned in every way.
DEEPEST = 5


def cause(row: PairRow, first: Any, second: Any, limit: float) -> str:
    """The sentence of one such output: both shapes, and what turns the first's values into the second's within a limit."""
    assert row.shapes is not None
    mine, theirs = row.shapes
    told = f"{row.name!r} is {mine} in the first and {theirs} in the second"
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    for words, made in made_of(one, other):
        if made.shape == other.shape and np.allclose(made, other, rtol=0.0, atol=limit, equal_nan=True):
            return f"{told}: {words}"
    return told


def made_of(one: Array, other: Array) -> Iterator[tuple[str, Array]]:
    """Common ways from one array to one of another shape, each with its words."""
    if one.ndim == other.ndim <= DEEPEST:
        for order in itertools.permutations(range(one.ndim)):
            yield f"the same numbers, their axes in the order {order}", np.transpose(one, order)
    if one.size == other.size:
        yield "the same numbers in the same order, reshaped", one.reshape(other.shape)
    yield from _with_axis_less(one, "the second")
    for words, made in _with_axis_less(other, "the first"):
        # The second has the axis that the first has not: what is made of it must be the first.
        if made.shape == one.shape and np.allclose(made, one, equal_nan=True):
            yield words, other


def _with_axis_less(array: Array, who: str) -> Iterator[tuple[str, Array]]:
    for axis in range(array.ndim if array.size else 0):
        yield f"{who} has the last element of axis {axis} alone", np.take(array, -1, axis)
        yield f"{who} has the first element of axis {axis} alone", np.take(array, 0, axis)
        yield f"{who} has the mean over axis {axis}", array.mean(axis)
        yield f"{who} has the sum over axis {axis}", array.sum(axis)
        yield f"{who} has the largest over axis {axis}", array.max(axis)


def place(row: PairRow, mine: Trace, theirs: Trace, found: Parting | None) -> Parting:
    """Where the two part; where all values agree, the operations that make the output."""
    if found is not None and (found.first is not None or found.second is not None):
        return found
    pairs = found.pairs if found is not None else np.full(len(mine.steps), -1)
    agreed = found.agreed if found is not None else None
    nan = float("nan")
    return Parting(agreed, mine.output_steps.get(row.name), theirs.output_steps.get(row.other), nan, nan, pairs, True)


def first_of(rows: Sequence[PairRow]) -> PairRow | None:
    """The first output of which shapes differ."""
    return next((row for row in rows if row.shapes is not None), None)
