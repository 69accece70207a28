"""Which code scans an array: NumPy chunk by chunk, or Numba's loops in a few threads, once they pay for their start."""

from __future__ import annotations

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_digest import BLOCK, Digest
from harness.comparison.kernel_numpy import BINS, Limit, NumpyScanner, Scanned

Array = NDArray[Any]

# Elements of a chunk: four float64 buffers of it fit the second-level cache. Narrow dtypes take whole digest blocks.
CHUNK = 1 << 14
# Importing Numba and loading compiled code from its cache takes as long as NumPy needs for about this many elements.
# Once so many have been compared, further ones are likely too (the argument of the ski-rental problem, Karlin et al.
# 1988).
START_UP = 150_000_000
# Below this a second thread costs more than it saves; beyond four the memory is the limit.
THREAD_SHARE = 1 << 20
MAX_THREADS = 4
_COMPILED = "harness.comparison.kernel_numba"

_spent = 0


def scan(actual: Array, expected: Array, limit: Limit, name: str, mark: Digest | None, engine: str = "auto") -> Scanned:
    """The statistics of two flat arrays of one length, at least 1; `mark` is fed the bytes of `actual`.

    Raises ValueError for an unknown engine, or for `numba` with arrays that it does not take.
    """
    if engine not in ("auto", "numpy", "numba"):
        raise ValueError(f"no engine {engine!r}: auto, numpy, numba")
    fit = _compilable(actual, expected, limit, name)
    if engine == "numba" and not fit:
        raise ValueError("the compiled kernel takes contiguous float32 and float64 arrays and one limit")
    if engine == "numba" or (engine == "auto" and fit and _pays(actual.size)):
        return _scan_compiled(actual, expected, limit, name, mark)
    return _scan_chunks(actual, expected, limit, name, mark)


def _compilable(actual: Array, expected: Array, limit: Limit, name: str) -> bool:
    pair = (actual, expected)
    return (
        all(array.flags.c_contiguous and array.dtype.isnative and array.flags.aligned for array in pair)
        and isinstance(limit, float)
        and name in ("float32", "float64")
        and expected.dtype in (actual.dtype, np.dtype(np.float64))
    )


def _pays(size: int) -> bool:
    """Count the elements compared, and tell whether the compiled kernel is running or worth starting."""
    global _spent
    _spent += size
    return _COMPILED in sys.modules or (_spent >= START_UP and _installed())


@lru_cache(maxsize=1)
def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None


def _scan_chunks(actual: Array, expected: Array, limit: Limit, name: str, mark: Digest | None) -> Scanned:
    chunk = max(CHUNK, BLOCK // actual.dtype.itemsize)
    scanner = NumpyScanner(name, min(chunk, actual.size))
    parts = []
    for start in range(0, actual.size, chunk):
        piece = _native(actual[start : start + chunk])
        if mark is not None:
            mark.update(piece)
        bound = limit if isinstance(limit, float) else limit[start : start + chunk]
        parts.append((start, scanner.scan(piece, _native(expected[start : start + chunk]), bound)))
    return merge(parts)


def _scan_compiled(actual: Array, expected: Array, limit: Limit, name: str, mark: Digest | None) -> Scanned:
    from harness.comparison import kernel_numba

    hashed = mark is not None and not mark.small
    block = BLOCK // actual.dtype.itemsize
    threads = max(1, min(MAX_THREADS, _processors(), actual.size // THREAD_SHARE))
    share = -(-actual.size // (threads * block)) * block

    def work(start: int) -> tuple[int, Scanned, NDArray[np.uint64]]:
        stop = start + share
        return start, *kernel_numba.scan_segment(actual[start:stop], expected[start:stop], limit, name, hashed)

    starts = range(0, actual.size, share)
    if len(starts) == 1:
        results = [work(0)]
    else:
        with ThreadPoolExecutor(len(starts)) as pool:
            results = list(pool.map(work, starts))
    if mark is not None:
        for _, _, values in results:
            mark.take(values)
        mark.update(actual[actual.size // block * block if hashed else 0 :])
    return merge([(start, part) for start, part, _ in results])


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _native(piece: Array) -> Array:
    return np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("="))


def merge(parts: list[tuple[int, Scanned]]) -> Scanned:
    """One part from those of consecutive pieces, each with the place where it starts. On a tie the first place wins."""
    best_abs, best_rel, best_ulp = (0.0, -1), (0.0, -1), (0, -1)
    counts = np.zeros(BINS, dtype=np.int64)
    mismatches = nan = inf = zero = 0
    first = -1
    for start, part in parts:
        if part.max_abs > best_abs[0]:
            best_abs = part.max_abs, start + part.max_abs_at
        if part.max_rel > best_rel[0]:
            best_rel = part.max_rel, start + part.max_rel_at
        if part.max_ulp > best_ulp[0]:
            best_ulp = part.max_ulp, start + part.max_ulp_at
        if first < 0 <= part.first:
            first = start + part.first
        counts += part.counts
        mismatches, nan, inf, zero = mismatches + part.mismatches, nan + part.nan, inf + part.inf, zero + part.zero
    return Scanned(*best_abs, *best_rel, *best_ulp, counts, mismatches, first, nan, inf, zero)
