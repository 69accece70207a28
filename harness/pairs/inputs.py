"""Inputs of a pair, as the command line gives them: `NAME=SHAPE[:FILL[:SEED]]` or `NAME=file.npy`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Problem, UserError, did_you_mean

#: How an array of a shape is filled, by the word after the colon.
FILLS = ("normal", "uniform", "int", "ones", "zeros", "arange", "bool")
#: Integers are drawn below this, unless `int<N` says another bound.
BELOW = 100


def parse(words: list[str] | tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Arrays by name. Raises UserError with every word that is not one."""
    problems: list[Problem] = []
    arrays: dict[str, NDArray[Any]] = {}
    for position, word in enumerate(words):
        name, equals, rest = word.partition("=")
        try:
            if not equals or not name.isidentifier():
                raise ValueError("an input is NAME=SHAPE[:FILL], such as tokens=4,9:int, or NAME=file.npy")
            if name in arrays:
                raise ValueError("given twice")
            arrays[name] = _array(rest, position)
        except ValueError as error:
            problems.append(Problem(str(error), path=f"--input {word}"))
    if problems:
        raise UserError(problems)
    return arrays


def _array(text: str, position: int) -> NDArray[Any]:
    if text.endswith(".npy"):
        path = Path(text)
        if not path.is_file():
            raise ValueError("there is no such file")
        loaded: NDArray[Any] = np.load(path, allow_pickle=False)
        return loaded
    shape_text, _, how = text.partition(":")
    fill, _, seed = (how or "normal").partition(":")
    try:
        shape = tuple(int(size) for size in shape_text.split(",") if size.strip())
        number = int(seed) if seed else position + 1
    except ValueError:
        raise ValueError(f"{text!r} is no shape such as 4,9, with :FILL and :SEED behind it") from None
    if any(size < 0 for size in shape):
        raise ValueError("a size is negative")
    return filled(shape, fill, number)


def filled(shape: tuple[int, ...], fill: str, seed: int) -> NDArray[Any]:
    """An array of float32, int64 or bool. Raises ValueError for an unknown fill."""
    generator = np.random.default_rng(seed)
    word, _, bound = fill.partition("<")
    if word == "int":
        top = int(bound) if bound.isdigit() and int(bound) > 0 else BELOW
        return generator.integers(0, top, shape)
    if word not in FILLS or bound:
        raise ValueError(f"unknown fill {fill!r}{did_you_mean(fill, FILLS)}; known: {', '.join(FILLS)}, int<N")
    if word == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    made: Callable[[], Any] = {
        "normal": lambda: generator.standard_normal(shape),
        "uniform": lambda: generator.uniform(-1.0, 1.0, shape),
        "ones": lambda: np.ones(shape),
        "zeros": lambda: np.zeros(shape),
        "arange": lambda: np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape),
    }[word]
    return np.asarray(made(), dtype=np.float32)
