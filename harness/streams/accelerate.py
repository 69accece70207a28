"""The three counter-based generators, compiled by Numba where it is installed and the draw is large; else NumPy.

Numba is optional (the extra `fast`). It is used because NumPy alone does not reach TensorFlow's own speed (measured in
benchmarks/streams.py). Compiling costs seconds once and importing a third of a second, so small draws stay with NumPy.
Both give the same bits. HARNESS_NUMBA=0 turns it off.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.streams import mcg31, philox, threefry

Words = npt.NDArray[np.uint32]

#: Whole draws smaller than this never load Numba.
WORTHWHILE = 1 << 20

_lock = threading.Lock()
_kernels: tuple[Callable[..., Any], ...] | None = None
_tried = False


def _loaded() -> bool:
    return _tried


def prepare(count: int) -> None:
    """Load the compiled kernels if a draw of `count` elements is worth it and Numba is there."""
    global _kernels, _tried
    if _tried or count < WORTHWHILE or os.environ.get("HARNESS_NUMBA") == "0":
        return
    with _lock:
        if _loaded():  # another thread was first
            return
        try:
            from harness.streams import compiled
        except (ImportError, RuntimeError):  # not installed, or no folder to keep its compiled code in
            _kernels = None
        else:
            _kernels = (
                compiled.philox_words,
                compiled.threefry_pairs,
                compiled.mcg31_values,
                compiled.threefry_columns,
            )
        _tried = True


def philox_words(key: tuple[int, int], counter: int, start: int, out: Words) -> None:
    """As harness.streams.philox.words."""
    if _kernels is None:
        philox.words(key, counter, start, out)
        return
    lead = start % 4
    if lead or len(out) % 4:
        whole = np.empty((lead + len(out) + 3) // 4 * 4, dtype=np.uint32)
        philox_words(key, counter, start - lead, whole)
        out[:] = whole[lead : lead + len(out)]
        return
    at = (counter + start // 4) % 2**128
    low, high = at % 2**64, at >> 64
    _kernels[0](np.uint32(key[0]), np.uint32(key[1]), np.uint64(low), np.uint64(high), out)


def threefry_pairs(key: tuple[int, int], start: int, x0: Words, x1: Words) -> None:
    """As harness.streams.threefry.pairs."""
    if _kernels is None:
        threefry.pairs(key, start, x0, x1)
        return
    _kernels[1](np.uint32(key[0]), np.uint32(key[1]), np.uint64(start), x0, x1)


def threefry_columns(key: tuple[int, int], first: int, second: int, x0: Words, x1: Words) -> None:
    """As harness.streams.threefry.columns."""
    if _kernels is None:
        threefry.columns(key, first, second, x0, x1)
        return
    starts = (np.uint32(first & 0xFFFFFFFF), np.uint32(second & 0xFFFFFFFF))
    _kernels[3](np.uint32(key[0]), np.uint32(key[1]), *starts, x0, x1)


def mcg31_values(first: int, start: int, out: Words) -> None:
    """As harness.streams.mcg31.values."""
    if _kernels is None:
        mcg31.values(first, start, out)
        return
    at = first * pow(mcg31.MULTIPLIER, start, mcg31.MODULUS) % mcg31.MODULUS
    _kernels[2](np.uint64(at), out)
