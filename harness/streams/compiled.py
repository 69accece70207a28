"""The counter-based generators as Numba kernels; sources as in philox.py, threefry.py and mcg31.py.

Importing this module needs Numba and compiles (or loads from Numba's cache). Every sum is cast back to its width, since
Numba widens mixed integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

types: Any = numba.types
F = TypeVar("F", bound=Callable[..., Any])


def kernel(signature: Any, **options: Any) -> Callable[[F], F]:
    """As numba.njit, with a type that a checker understands."""
    made: Callable[[F], F] = numba.njit(signature, nogil=True, cache=True, **options)
    return made


_u4, _u8 = types.uint32, types.uint64
_array = types.Array(_u4, 1, "C")


@kernel([types.void(_u4, _u4, _u8, _u8, _array)])
def philox_words(key0: Any, key1: Any, low: Any, high: Any, out: Any) -> None:
    """Fill out (length a multiple of 4) with the blocks at counter high << 64 | low."""
    for index in range(out.size // 4):
        at = np.uint64(low + np.uint64(index))
        top = np.uint64(high + np.uint64(1)) if at < low else high
        c0, c1 = np.uint32(at), np.uint32(at >> np.uint64(32))
        c2, c3 = np.uint32(top), np.uint32(top >> np.uint64(32))
        k0, k1 = key0, key1
        for _ in range(10):
            p0 = np.uint64(0xD2511F53) * np.uint64(c0)
            p1 = np.uint64(0xCD9E8D57) * np.uint64(c2)
            c0 = np.uint32(np.uint32(p1 >> np.uint64(32)) ^ c1 ^ k0)
            c1 = np.uint32(p1)
            c2 = np.uint32(np.uint32(p0 >> np.uint64(32)) ^ c3 ^ k1)
            c3 = np.uint32(p0)
            k0 = np.uint32(k0 + np.uint32(0x9E3779B9))
            k1 = np.uint32(k1 + np.uint32(0xBB67AE85))
        out[4 * index] = c0
        out[4 * index + 1] = c1
        out[4 * index + 2] = c2
        out[4 * index + 3] = c3


@kernel([_u4(_u4, _u4)], inline="always")
def _turn(word: Any, by: Any) -> Any:
    """Rotate left."""
    return np.uint32(np.uint32(word << by) | np.uint32(word >> np.uint32(np.uint32(32) - by)))


@kernel([types.UniTuple(_u4, 2)(_u4, _u4, _u4, _u4)], inline="always")
def _threefry(key0: Any, key1: Any, counter0: Any, counter1: Any) -> Any:
    """Return the two words of one counter."""
    key2 = np.uint32(key0 ^ key1 ^ np.uint32(0x1BD11BDA))
    x0 = np.uint32(counter0 + key0)
    x1 = np.uint32(counter1 + key1)
    for group in range(5):
        even = group % 2 == 0
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32(_turn(x1, np.uint32(13 if even else 17)) ^ x0)
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32(_turn(x1, np.uint32(15 if even else 29)) ^ x0)
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32(_turn(x1, np.uint32(26 if even else 16)) ^ x0)
        x0 = np.uint32(x0 + x1)
        x1 = np.uint32(_turn(x1, np.uint32(6 if even else 24)) ^ x0)
        turn = group % 3
        first = key1 if turn == 0 else (key2 if turn == 1 else key0)
        second = key2 if turn == 0 else (key0 if turn == 1 else key1)
        x0 = np.uint32(x0 + first)
        x1 = np.uint32(x1 + np.uint32(second + np.uint32(group + 1)))
    return x0, x1


@kernel([types.void(_u4, _u4, _u8, _array, _array)])
def threefry_pairs(key0: Any, key1: Any, start: Any, out0: Any, out1: Any) -> None:
    """Fill out0 and out1 with the words of the 64-bit counters start, start + 1 ..."""
    for index in range(out0.size):
        at = np.uint64(start + np.uint64(index))
        out0[index], out1[index] = _threefry(key0, key1, np.uint32(at >> np.uint64(32)), np.uint32(at))


@kernel([types.void(_u4, _u4, _u4, _u4, _array, _array)])
def threefry_columns(key0: Any, key1: Any, first: Any, second: Any, out0: Any, out1: Any) -> None:
    """Fill out0 and out1 with the words of the counters (first, second), (first + 1, second + 1) ..."""
    for index in range(out0.size):
        step = np.uint32(index)
        out0[index], out1[index] = _threefry(key0, key1, np.uint32(first + step), np.uint32(second + step))


@kernel([types.void(_u8, _array)])
def mcg31_values(first: Any, out: Any) -> None:
    """Fill out with first, a * first, a**2 * first ... modulo 2**31 - 1."""
    modulus, multiplier = np.uint64(2147483647), np.uint64(1132489760)
    value = first
    for index in range(out.size):
        out[index] = np.uint32(value)
        product = np.uint64(value * multiplier)
        value = np.uint64((product & modulus) + (product >> np.uint64(31)))
        if value >= modulus:
            value = np.uint64(value - modulus)
