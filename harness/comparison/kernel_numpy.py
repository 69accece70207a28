"""One chunk of a comparison in NumPy: every statistic from arrays that stay in the cache.

The usual chunk (everything finite, no expected zero, signs agree, all within the limit) takes about twenty short passes
over preallocated buffers. What is unusual is found out from a maximum or minimum, and only then looked at element by
element.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_formats import FLOATS, NORMAL_BITS, SIGNED, ordered, rounded

BINS = 67  # distance 0; then one bin for each power of two, (2**(k-2), 2**(k-1)]; the last: one side not finite
_POWERS = np.array([0] + [1 << k for k in range(64)], dtype=np.uint64)
_NEAR_BINS = 6  # distances up to 16 are counted by passes, the rest by a search

Limit = float | NDArray[np.float64]


class Scanned(NamedTuple):
    """The statistics of one chunk. Places count from its start; -1 where a maximum is 0 or nothing mismatched."""

    max_abs: float
    max_abs_at: int
    max_rel: float
    max_rel_at: int
    max_ulp: int
    max_ulp_at: int
    counts: NDArray[np.int64]
    mismatches: int
    first: int
    nan: int
    inf: int
    zero: int


class NumpyScanner:
    """Scans chunks of up to `chunk` elements of one pair of dtypes; keeps its buffers from one to the next."""

    def __init__(self, name: str, chunk: int) -> None:
        """Take `name`, the dtype of the actual array: a float format, `bool` or an integer; see `compare_arrays`."""
        self.name = name
        if name in FLOATS:
            self._wide = np.empty((4, chunk), dtype=np.float64)
            self._bits = np.empty((2, chunk), dtype=SIGNED[FLOATS[name].itemsize])

    def scan(self, actual: NDArray[Any], expected: NDArray[Any], limit: Limit) -> Scanned:
        """Compare flat, contiguous, native arrays of one length."""
        if self.name not in FLOATS:
            return _scan_integers(actual, expected, limit)
        near = rounded(expected, actual.dtype)
        left, right = actual.view(self._bits.dtype), near.view(self._bits.dtype)
        if expected.dtype == actual.dtype and np.array_equal(left[:64], right[:64]) and np.array_equal(left, right):
            return _equal(actual.size)
        with np.errstate(all="ignore"):
            a, e, error, relative = (row[: actual.size] for row in self._wide)
            np.copyto(a, actual, casting="unsafe")
            np.copyto(e, expected, casting="unsafe")
            np.abs(np.subtract(a, e, out=error), out=error)
            np.divide(error, e, out=relative)
            np.abs(relative, out=relative)
        distance = self._distances(left, right)
        nan, inf, odd = _odd(a, e, error, relative, distance)
        if not relative.max() < math.inf:
            relative[e == 0.0] = 0.0
        zero = self._zeros(left, right)
        if odd is not None and zero:  # a NaN is neither zero nor not
            here = self._tiny(left) != self._tiny(right)
            zero = int(np.count_nonzero(here & ~np.isnan(a) & ~np.isnan(e)))
        return _part(error, relative, distance, odd, limit, (nan, inf, zero))

    def _distances(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        """ULP distances, unsigned, in the width of the format: twice the largest magnitude still fits."""
        distance, signs = (row[: left.size] for row in self._bits)
        np.abs(np.subtract(left, right, out=distance), out=distance)
        unsigned: NDArray[Any] = distance.view(f"u{distance.dtype.itemsize}")
        if np.bitwise_xor(left, right, out=signs).min() < 0:
            apart = np.flatnonzero(signs < 0)
            # Opposite signs: the two places are on both sides of zero, so their magnitudes add up.
            magnitudes = np.abs(ordered(left[apart])).view(np.uint64) + np.abs(ordered(right[apart])).view(np.uint64)
            unsigned[apart] = magnitudes.astype(unsigned.dtype)
        return unsigned

    def _tiny(self, bits: NDArray[Any]) -> NDArray[np.bool_]:
        mask = np.iinfo(bits.dtype).max
        tiny: NDArray[np.bool_] = (bits & mask) < NORMAL_BITS[self.name]
        return tiny

    def _zeros(self, left: NDArray[Any], right: NDArray[Any]) -> int:
        """Count where zero, or a subnormal number, stands on one side only."""
        mask = np.iinfo(left.dtype).max
        row = self._bits[1][: left.size]
        least = min(int(np.bitwise_and(bits, mask, out=row).min()) for bits in (left, right))
        if least >= NORMAL_BITS[self.name]:
            return 0
        return int(np.count_nonzero(self._tiny(left) != self._tiny(right)))


def _equal(size: int) -> Scanned:
    counts = np.zeros(BINS, dtype=np.int64)
    counts[0] = size
    return Scanned(0.0, -1, 0.0, -1, 0, -1, counts, 0, -1, 0, 0, 0)


def _odd(
    a: NDArray[np.float64],
    e: NDArray[np.float64],
    error: NDArray[np.float64],
    relative: NDArray[np.float64],
    distance: NDArray[Any],
) -> tuple[int, int, NDArray[np.bool_] | None]:
    """Count disagreements about NaN and infinity, mark them, and take everything not finite out of the errors."""
    if error.max() < math.inf:
        return 0, 0, None
    finite = np.isfinite(a) & np.isfinite(e)
    nans = np.isnan(a) != np.isnan(e)
    infs = ~finite & ~np.isnan(a) & ~np.isnan(e) & (a != e)
    for values in (error, relative, distance):
        values[~finite] = 0
    return int(np.count_nonzero(nans)), int(np.count_nonzero(infs)), nans | infs


def _scan_integers(actual: NDArray[Any], expected: NDArray[Any], limit: Limit) -> Scanned:
    a, e = actual.astype(np.int64), expected.astype(np.int64)
    distance = np.where(a > e, a - e, e - a).view(np.uint64)
    error = distance.astype(np.float64)
    with np.errstate(all="ignore"):
        relative = np.where(e != 0, error / np.abs(e.astype(np.float64)), 0.0)
    zero = int(np.count_nonzero((a == 0) != (e == 0)))
    return _part(error, relative, distance, None, limit, (0, 0, zero))


def _part(
    error: NDArray[np.float64],
    relative: NDArray[np.float64],
    distance: NDArray[Any],
    odd: NDArray[np.bool_] | None,
    limit: Limit,
    disagreements: tuple[int, int, int],
) -> Scanned:
    abs_at, rel_at, ulp_at = int(error.argmax()), int(relative.argmax()), int(distance.argmax())
    max_abs, max_rel, max_ulp = float(error[abs_at]), float(relative[rel_at]), int(distance[ulp_at])
    mismatches, first = 0, -1
    if odd is not None or not isinstance(limit, float) or max_abs > limit:
        beyond = error > limit if odd is None else (error > limit) | odd
        mismatches = int(np.count_nonzero(beyond))
        first = int(beyond.argmax()) if mismatches else -1
    return Scanned(
        max_abs,
        abs_at if max_abs else -1,
        max_rel,
        rel_at if max_rel else -1,
        max_ulp,
        ulp_at if max_ulp else -1,
        _histogram(distance, max_ulp, disagreements[0] + disagreements[1]),
        mismatches,
        first,
        *disagreements,
    )


def _histogram(distance: NDArray[Any], largest: int, odd: int) -> NDArray[np.int64]:
    """Counts by bin. Most distances are small, so only the others pay for a search."""
    counts = np.zeros(BINS, dtype=np.int64)
    below = 0
    for k in range(_NEAR_BINS):
        last = largest <= int(_POWERS[k])
        upto = distance.size if last else int(np.count_nonzero(distance <= distance.dtype.type(_POWERS[k])))
        counts[k] = upto - below
        below = upto
        if last:
            break
    if below < distance.size:
        far = distance[distance > distance.dtype.type(_POWERS[_NEAR_BINS - 1])].astype(np.uint64)
        counts[:66] += np.bincount(np.searchsorted(_POWERS, far), minlength=66)
    counts[0] -= odd  # counted there with distance 0
    counts[-1] = odd
    return counts
