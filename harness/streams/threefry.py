"""Threefry2x32 with 20 rounds, a counter-based generator.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
section 3.3 (after the Threefish cipher). A 64-bit counter and a 64-bit key give two 32-bit words.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Tuple

import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

#: Counters worked on at a time: four uint32 lanes of this many stay in a second-level cache.
CHUNK = 32768


def rounds(key: Tuple[int, int], x0: np.ndarray, x1: np.ndarray) -> None:
    """Replace the counters (x0, x1), 1-D uint32 arrays of one length, by their words, in place."""
    k0, k1 = key[0] & 0xFFFFFFFF, key[1] & 0xFFFFFFFF
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    spare = np.empty_like(x0)
    np.add(x0, np.uint32(k0), out=x0)
    np.add(x1, np.uint32(k1), out=x1)
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            np.add(x0, x1, out=x0)
            np.right_shift(x1, np.uint32(32 - rotation), out=spare)
            np.left_shift(x1, np.uint32(rotation), out=x1)
            np.bitwise_or(x1, spare, out=x1)
            np.bitwise_xor(x1, x0, out=x1)
        np.add(x0, np.uint32(schedule[(group + 1) % 3]), out=x0)
        np.add(x1, np.uint32((schedule[(group + 2) % 3] + group + 1) & 0xFFFFFFFF), out=x1)


def block(key: Tuple[int, int], counter: Tuple[int, int]) -> Tuple[int, int]:
    """Return the two words of one counter."""
    x0 = np.array([counter[0] & 0xFFFFFFFF], dtype=np.uint32)
    x1 = np.array([counter[1] & 0xFFFFFFFF], dtype=np.uint32)
    rounds(key, x0, x1)
    return int(x0[0]), int(x1[0])


def columns(key: Tuple[int, int], first: int, second: int, x0: np.ndarray, x1: np.ndarray) -> None:
    """Fill x0 and x1 (1-D uint32) with the words of the counters (first, second), (first + 1, second + 1) ..."""
    for low in range(0, len(x0), CHUNK):
        one, two = x0[low : low + CHUNK], x1[low : low + CHUNK]
        for start, part in ((first, one), (second, two)):
            count = np.arange(len(part), dtype=np.uint32)
            np.add(count, np.uint32((start + low) & 0xFFFFFFFF), out=part)
        rounds(key, one, two)


def pairs(key: Tuple[int, int], start: int, x0: np.ndarray, x1: np.ndarray) -> None:
    """Fill x0 and x1 (1-D uint32) with the words of the 64-bit counters `start`, `start + 1` ...

    The counter's high half is the first word.
    """
    for low in range(0, len(x0), CHUNK):
        first, second = x0[low : low + CHUNK], x1[low : low + CHUNK]
        count = np.arange(len(first), dtype=np.uint64)
        count += np.uint64((start + low) % 2**64)
        np.right_shift(count, np.uint64(32), out=first, casting="unsafe")
        np.copyto(second, count, casting="unsafe")
        rounds(key, first, second)
