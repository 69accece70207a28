"""One chunk of a comparison in NumPy: every statistic from arrays that fit the cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_formats import SMALLEST_NORMAL, ordered, rounded

BINS = 67  # distance 0; then one bin for each power of two, (2**(k-2), 2**(k-1)]; the last: one side not finite
_POWERS = np.array([0] + [1 << k for k in range(64)], dtype=np.uint64)


class Part(NamedTuple):
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


def scan(actual: NDArray[Any], expected: NDArray[Any], limit: float | NDArray[Any], name: str) -> Part:
    """Compare flat arrays of one length. `name` is the dtype of `actual`: a float format, `bool`, or an integer."""
    if name in SMALLEST_NORMAL:
        return _scan_floats(actual, expected, limit, name)
    return _scan_integers(actual, expected, limit)


def _scan_floats(actual: NDArray[Any], expected: NDArray[Any], limit: float | NDArray[Any], name: str) -> Part:
    near = rounded(expected, actual.dtype)
    with np.errstate(all="ignore"):
        a, e = actual.astype(np.float64), expected.astype(np.float64)
        error = np.abs(a - e)
        relative = np.where(e != 0.0, error / np.abs(e), 0.0)
        left, right = ordered(actual), ordered(near)
        distance = np.where(left > right, left - right, right - left).view(np.uint64)
        zero = (np.abs(a) < SMALLEST_NORMAL[name]) != (np.abs(near.astype(np.float64)) < SMALLEST_NORMAL[name])
    odd = np.zeros(actual.shape, bool)
    nan = inf = 0
    finite = np.isfinite(a) & np.isfinite(e)
    if not finite.all():
        nans = np.isnan(a) != np.isnan(e)
        infs = ~nans & ~np.isnan(a) & ~finite & (a != e)
        nan, inf, odd = int(nans.sum()), int(infs.sum()), nans | infs
        error, relative = np.where(finite, error, 0.0), np.where(finite, relative, 0.0)
        distance = np.where(finite, distance, 0).astype(np.uint64)
        zero &= ~np.isnan(a) & ~np.isnan(e)
    return _part(error, relative, distance, odd, limit, nan, inf, int(np.count_nonzero(zero)))


def _scan_integers(actual: NDArray[Any], expected: NDArray[Any], limit: float | NDArray[Any]) -> Part:
    a, e = actual.astype(np.int64), expected.astype(np.int64)
    distance = np.where(a > e, a - e, e - a).view(np.uint64)
    error = distance.astype(np.float64)
    with np.errstate(all="ignore"):
        relative = np.where(e != 0, error / np.abs(e.astype(np.float64)), 0.0)
    zero = int(np.count_nonzero((a == 0) != (e == 0)))
    return _part(error, relative, distance, np.zeros(a.shape, bool), limit, 0, 0, zero)


def _part(
    error: NDArray[np.float64],
    relative: NDArray[np.float64],
    distance: NDArray[np.uint64],
    odd: NDArray[np.bool_],
    limit: float | NDArray[Any],
    nan: int,
    inf: int,
    zero: int,
) -> Part:
    beyond = odd | ~(error <= limit)
    mismatches = int(np.count_nonzero(beyond))
    abs_at, rel_at, ulp_at = int(error.argmax()), int(relative.argmax()), int(distance.argmax())
    return Part(
        float(error[abs_at]),
        abs_at if error[abs_at] else -1,
        float(relative[rel_at]),
        rel_at if relative[rel_at] else -1,
        int(distance[ulp_at]),
        ulp_at if distance[ulp_at] else -1,
        _histogram(distance, nan + inf),
        mismatches,
        int(beyond.argmax()) if mismatches else -1,
        nan,
        inf,
        zero,
    )


def _histogram(distance: NDArray[np.uint64], odd: int) -> NDArray[np.int64]:
    """Counts by bin. Most distances are small, so only the others pay for a search."""
    counts = np.zeros(BINS, dtype=np.int64)
    below = 0
    for k in range(5):
        upto = int(np.count_nonzero(distance <= _POWERS[k]))
        counts[k] = upto - below
        below = upto
    if below < distance.size:
        far = distance[distance > _POWERS[4]]
        counts[:66] += np.bincount(np.searchsorted(_POWERS, far), minlength=66)
    counts[0] -= odd  # counted there with distance 0
    counts[-1] = odd
    return counts
