"""Philox4x32-10, a counter-based generator.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
section 3.4. A 128-bit counter and a 64-bit key give one block of four 32-bit words; block i of a stream is the one at
counter + i, so any part of a stream can be had without what comes before.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Optional, Tuple

import numpy as np

_M = np.array([[0xD2511F53], [0xCD9E8D57]], dtype=np.uint64)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

#: Blocks worked on at a time: six uint64 lanes of this many stay in a second-level cache.
CHUNK = 32768


def rounds(even: np.ndarray, odd: np.ndarray, key: Tuple[int, int], spare: Optional[np.ndarray] = None) -> None:
    """Replace counters by their blocks, in place.

    even   (2, n) uint64: words 0 and 2 of the counters, each below 2**32.
    odd    (2, n) uint64: words 1 and 3.
    spare  (2, n) uint64: room to work in, so that a loop need not allocate it anew.
    """
    k0, k1 = key[0] & 0xFFFFFFFF, key[1] & 0xFFFFFFFF
    product = np.empty_like(even) if spare is None else spare
    crossed = even[::-1]
    multipliers = _M[::-1]
    for _ in range(10):
        np.multiply(crossed, multipliers, out=product)
        np.right_shift(product, _HALF, out=even)
        np.bitwise_xor(even, odd, out=even)
        np.bitwise_xor(even, np.array([[k0], [k1]], dtype=np.uint64), out=even)
        np.bitwise_and(product, _LOW, out=odd)
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF


def block(key: Tuple[int, int], counter: Tuple[int, int, int, int]) -> Tuple[int, int, int, int]:
    """Return the four words of one block."""
    even = np.array([[counter[0]], [counter[2]]], dtype=np.uint64)
    odd = np.array([[counter[1]], [counter[3]]], dtype=np.uint64)
    rounds(even, odd, key)
    return int(even[0, 0]), int(odd[0, 0]), int(even[1, 0]), int(odd[1, 0])


def words(key: Tuple[int, int], counter: int, start: int, out: np.ndarray) -> None:
    """Fill `out` (1-D, uint32, contiguous) with words `start`, `start + 1` ... of the stream that begins at `counter`.

    key      two 32-bit words.
    counter  128 bits; block i is the one at `counter + i` modulo 2**128.
    start    index of the first word wanted; word w is word w % 4 of block w // 4.
    """
    count = len(out)
    lead = start % 4
    if lead or count % 4:
        whole = np.empty((lead + count + 3) // 4 * 4, dtype=np.uint32)
        words(key, counter, start - lead, whole)
        out[:] = whole[lead : lead + count]
        return
    # Two words make one uint64 (little-endian, as every machine is that these frameworks run on), so that laying out
    # the lanes takes two passes instead of four.
    blocks = out.view(np.uint64).reshape(-1, 2)
    scratch = np.empty((3, 2, min(CHUNK, len(blocks))), dtype=np.uint64)
    at, done = (counter + start // 4) % 2**128, 0
    while done < len(blocks):
        low = at % 2**64
        step = min(CHUNK, len(blocks) - done, 2**64 - low)
        _fill(key, low, at >> 64, blocks[done : done + step], scratch[:, :, :step])
        done, at = done + step, (at + step) % 2**128


def _fill(key: Tuple[int, int], low: int, high: int, out: np.ndarray, scratch: np.ndarray) -> None:
    """Fill out (n, 2) uint64 with the blocks at high << 64 | low, low + 1 ...; low + n does not pass 2**64."""
    even, odd, spare = scratch
    count = spare[0]
    count[:] = np.arange(len(out), dtype=np.uint64)
    count += np.uint64(low)
    np.bitwise_and(count, _LOW, out=even[0])
    np.right_shift(count, _HALF, out=odd[0])
    even[1] = high & 0xFFFFFFFF
    odd[1] = high >> 32
    rounds(even, odd, key, spare)
    np.left_shift(odd, _HALF, out=odd)
    np.bitwise_or(even, odd, out=even)
    out[:, 0], out[:, 1] = even
