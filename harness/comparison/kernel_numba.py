"""The comparison of large float32 and float64 arrays, compiled by Numba: the same statistics to the last bit.

Most blocks of a large array hold no news: no new maximum, no mismatch, nothing odd. The first loop over a block only
asks whether it might hold any, in float comparisons that the compiler turns into vector instructions; ULP distances are
counted on integers. Only a block that may hold news is looked at exactly. Importing this module imports Numba (about
0.3 s); the first call compiles (seconds) unless Numba's cache on disk has the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from harness.comparison.kernel_digest import BLOCK as DIGEST_BLOCK
from harness.comparison.kernel_digest import KEYS
from harness.comparison.kernel_formats import NORMAL_BITS
from harness.comparison.kernel_numpy import BINS, Scanned

FORMATS = ("float32", "float64")
BLOCK = 4096  # elements: the buffers stay in the first-level cache
ABS, REL, ULP, FIRST = 0, 1, 2, 3  # rows of the places
MISMATCH, NAN, INF, ZERO = 0, 1, 2, 3  # rows of the tallies


def _jit(function: Callable[..., Any]) -> Any:
    """Compile, with the machine code kept on disk where a folder for it can be written."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no writable folder
        return numba.njit(nogil=True)(function)


# The functions below run compiled, where coverage cannot see them.


@_jit
def _distances(left: Any, right: Any, out: Any, mask: Any) -> Any:  # pragma: no cover
    """ULP distances of one block into `out` (unsigned, of the same width); the largest, and the smallest magnitude.

    The bits without the sign count the floats from zero. Casts keep every step in the width of the format, so that
    whole vectors work on it.
    """
    signed, unsigned = left.dtype.type, out.dtype.type
    top, low = unsigned(0), mask
    for i in range(left.size):
        x, y = left[i], right[i]
        size_x, size_y = signed(x & mask), signed(y & mask)
        a = signed(signed(0) - size_x) if x < 0 else x
        b = signed(signed(0) - size_y) if y < 0 else y
        distance = unsigned(unsigned(a) - unsigned(b)) if a > b else unsigned(unsigned(b) - unsigned(a))
        out[i] = distance
        top = distance if distance > top else top
        smaller = size_x if size_x < size_y else size_y
        low = smaller if smaller < low else low
    return top, low


@_jit
def _zeros(left: Any, right: Any, mask: Any, tiny: Any) -> Any:  # pragma: no cover
    """How many elements are zero or subnormal on one side only."""
    signed = left.dtype.type
    differ = signed(0)
    for i in range(left.size):
        one_only = (signed(left[i] & mask) < tiny) != (signed(right[i] & mask) < tiny)
        differ = signed(differ + (signed(1) if one_only else signed(0)))
    return np.int64(differ)


@_jit
def _at_most(distance: Any, a: Any, b: Any, c: Any, d: Any) -> Any:  # pragma: no cover
    """How many distances are at most each of four thresholds."""
    unsigned = distance.dtype.type
    na = nb = nc = nd = unsigned(0)
    for i in range(distance.size):
        x = distance[i]
        na = unsigned(na + unsigned(x <= a))
        nb = unsigned(nb + unsigned(x <= b))
        nc = unsigned(nc + unsigned(x <= c))
        nd = unsigned(nd + unsigned(x <= d))
    return np.int64(na), np.int64(nb), np.int64(nc), np.int64(nd)


@_jit
def _histogram(distance: Any, top: Any, odd: int, counts: Any) -> None:  # pragma: no cover
    """Add the block to the bins: vector passes for distances up to 64, one by one for the few beyond."""
    unsigned = distance.dtype.type
    below = np.int64(0)
    a = unsigned(0)
    b, c, d = unsigned(1), unsigned(2), unsigned(4)
    for k in (0, 4):
        upto = _at_most(distance, a, b, c, d)
        for j in range(4):
            counts[k + j] += upto[j] - below
            below = upto[j]
        if top <= d:
            break
        a, b, c, d = unsigned(8), unsigned(16), unsigned(32), unsigned(64)
    if below < distance.size:
        for i in range(distance.size):
            if distance[i] > d:
                rest = distance[i] - unsigned(1)
                k = 1
                while rest > 0:
                    rest >>= unsigned(1)
                    k += 1
                counts[k] += 1
    counts[0] -= odd
    counts[-1] += odd


@_jit
def _news(actual: Any, expected: Any, most: Any, share: Any) -> Any:  # pragma: no cover
    """0 where surely no error is above `most`, no relative error above `share`, and nothing is NaN or infinite.

    Runs in the narrower format of the two. `most` and `share` have been lowered by more than its rounding errors, so a
    block that holds news is never passed over; one without may be called news.
    """
    number = expected.dtype.type
    none, some = np.int32(0), np.int32(1)
    news = none
    for i in range(actual.size):
        e = expected[i]
        error = abs(number(number(actual[i]) - e))
        news = np.int32(news | (none if error <= most else some))
        bound = number(share * abs(e))
        news = np.int32(news | (some if (error >= bound) & (error > number(0)) else none))
    return news


@_jit
def _beyond(actual: Any, expected: Any, limit: float) -> Any:  # pragma: no cover
    """How many errors are not within the limit (NaN included), and how many are not finite."""
    count = np.int64(0)
    strange = np.int64(0)
    for i in range(actual.size):
        error = abs(np.float64(actual[i]) - np.float64(expected[i]))
        count += np.int64(0) if error <= limit else np.int64(1)
        strange += np.int64(0) if error < np.inf else np.int64(1)
    return count, strange


@_jit
def _maxima(actual: Any, expected: Any, start: int, best: Any, places: Any) -> None:  # pragma: no cover
    """Update the largest absolute and relative error and their places, exactly, over the finite elements of a block."""
    for i in range(actual.size):
        a, e = np.float64(actual[i]), np.float64(expected[i])
        error = abs(a - e)
        if error > best[ABS] and np.isfinite(a) and np.isfinite(e):
            best[ABS] = error
            places[ABS] = start + i
        # A product below the bound cannot become a larger quotient, so most elements need no division.
        if error > 0.0 and e != 0.0 and not error < best[REL] * (1.0 - 2.0**-52) * abs(e):
            relative = error / abs(e)
            if relative > best[REL] and np.isfinite(a) and np.isfinite(e):
                best[REL] = relative
                places[REL] = start + i


@_jit
def _strange(actual: Any, expected: Any, distance: Any, tallies: Any) -> Any:  # pragma: no cover
    """Count NaN and infinity disagreements, and set the distance of every element not finite on both sides to 0.

    Returns (agreeing elements that are not finite, disagreements).
    """
    agreeing, odd = 0, 0
    for i in range(actual.size):
        a, e = np.float64(actual[i]), np.float64(expected[i])
        if np.isfinite(a) and np.isfinite(e):
            continue
        distance[i] = 0
        if np.isnan(a) != np.isnan(e):
            tallies[NAN] += 1
            odd += 1
        elif np.isnan(a) or a == e:
            agreeing += 1
        else:
            tallies[INF] += 1
            odd += 1
    return agreeing, odd


@_jit
def _first(actual: Any, expected: Any, limit: float) -> Any:  # pragma: no cover
    for i in range(actual.size):
        a, e = np.float64(actual[i]), np.float64(expected[i])
        if not (abs(a - e) <= limit or a == e or (np.isnan(a) and np.isnan(e))):
            return i
    return -1


@_jit
def _zeros_strange(actual: Any, expected: Any, left: Any, right: Any, mask: Any, tiny: Any) -> Any:  # pragma: no cover
    differ = 0
    for i in range(actual.size):
        if not (np.isnan(actual[i]) or np.isnan(expected[i])):
            differ += ((left[i] & mask) < tiny) != ((right[i] & mask) < tiny)
    return differ


@_jit
def _nh(words: Any, keys: Any) -> Any:  # pragma: no cover
    half = keys.size // 2
    low, high, low_keys, high_keys = words[:half], words[half : 2 * half], keys[:half], keys[half:]
    total = np.uint64(0)
    for i in range(half):
        total += np.uint64(np.uint32(low[i] + low_keys[i])) * np.uint64(np.uint32(high[i] + high_keys[i]))
    return total


@_jit
def _scan(  # pragma: no cover
    actual: Any,
    expected: Any,
    left: Any,
    right: Any,
    limit: float,
    layout: Any,
    near: Any,
    distance: Any,
    words: Any,
    keys: Any,
    values: Any,
    state: Any,
) -> None:
    best, top_ulp, places, tallies, counts = state
    mask, tiny = layout
    number = expected.dtype.type
    # Lowered by more than the rounding errors of the first look, which runs in `number`, and never infinite in it.
    slack = 1.0 - (2.0**-20 if expected.itemsize == 4 else 2.0**-48)
    ceiling = 2.0 ** (127 if expected.itemsize == 4 else 1023)
    near_bits = near.view(left.dtype)
    hashed = 0
    for start in range(0, actual.size, BLOCK):
        stop = min(start + BLOCK, actual.size)
        if hashed < values.size and hashed * 4 * keys.size <= start * actual.itemsize:
            values[hashed] = _nh(words[hashed * keys.size : (hashed + 1) * keys.size], keys)
            hashed += 1
        a, e, bits, gap = actual[start:stop], expected[start:stop], left[start:stop], distance[: stop - start]
        if near.size:
            for i in range(stop - start):
                near[i] = e[i]
            other = near_bits[: stop - start]
        else:
            other = right[start:stop]
        top, low = _distances(bits, other, gap, mask)
        strange, odd = np.int64(0), 0
        share = number(min(best[REL] * slack, ceiling))
        if _news(a, e, number(min(best[ABS] * slack, limit * slack, ceiling)), share):
            beyond, strange = _beyond(a, e, limit)
            if strange:
                agreeing, odd = _strange(a, e, gap, tallies)
                beyond -= agreeing
                top = gap.max()
            tallies[MISMATCH] += beyond
            if beyond and places[FIRST] < 0:
                places[FIRST] = start + _first(a, e, limit)
            if strange or best[ABS] <= limit or _news(a, e, number(min(best[ABS] * slack, ceiling)), share):
                _maxima(a, e, start, best, places)
        if strange:
            tallies[ZERO] += _zeros_strange(a, e, bits, other, mask, tiny)
        elif low < tiny:
            tallies[ZERO] += _zeros(bits, other, mask, tiny)
        if top > top_ulp[0]:
            top_ulp[0] = top
            places[ULP] = start + np.argmax(gap)
        _histogram(gap, top, odd, counts)


def scan_segment(
    actual: NDArray[Any], expected: NDArray[Any], limit: Any, name: str, hashed: bool
) -> tuple[Scanned, NDArray[np.uint64]]:
    """Scan flat, contiguous, native arrays; with `hashed` also give the NH value of each whole block of `actual`.

    name: one of FORMATS, the dtype of `actual`; `expected` has the same or float64. Runs without the interpreter's
    lock.
    """
    width = actual.dtype.itemsize
    signed, unsigned = np.dtype(f"i{width}"), np.dtype(f"u{width}")
    same = expected.dtype == actual.dtype
    left = actual.view(signed)
    layout = (signed.type(np.iinfo(signed).max), signed.type(NORMAL_BITS[name]))
    best, top = np.zeros(2), np.zeros(1, dtype=unsigned)
    places, tallies = np.full(4, -1, dtype=np.int64), np.zeros(4, dtype=np.int64)
    counts = np.zeros(BINS, dtype=np.int64)
    values = np.empty(actual.nbytes // DIGEST_BLOCK if hashed else 0, dtype=np.uint64)
    _scan(
        actual,
        expected,
        left,
        expected.view(signed) if same else left[:0],
        limit,
        layout,
        np.empty(0 if same else BLOCK, dtype=actual.dtype),
        np.empty(BLOCK, dtype=unsigned),
        actual.view(np.uint32),
        KEYS,
        values,
        (best, top, places, tallies, counts),
    )
    where = [int(place) for place in places]
    part = Scanned(
        *(float(best[ABS]), where[ABS], float(best[REL]), where[REL], int(top[0]), where[ULP], counts),
        *(int(tallies[MISMATCH]), where[FIRST], int(tallies[NAN]), int(tallies[INF]), int(tallies[ZERO])),
    )
    return part, values
