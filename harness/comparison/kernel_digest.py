"""A digest of an array's bytes, fast enough to be taken with every comparison and the same on every machine.

Arrays of up to one block are hashed by BLAKE2b (RFC 7693). Larger ones are first compressed, block by block, with NH
(Black et al., "UMAC: Fast and Secure Message Authentication", 1999, section 4): the sum modulo 2**64 of (a + k) (b +
k') over pairs of 32-bit words with fixed random keys. A changed block keeps its value with a probability of about
2**-32, and two arrays have the same digest only if all the blocks in which they differ do. BLAKE2b then hashes the
block values. The digest answers "are these the same bytes?"; it is no defence against an attacker.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16  # bytes
HALF = BLOCK // 8  # words; word i is paired with word i + HALF
# Scanned of the digest's definition: the first words of MT19937 with this seed.
KEYS: NDArray[np.uint32] = np.random.RandomState(20260).randint(0, 2**32, 2 * HALF, dtype=np.uint32)

Words = NDArray[np.uint32]


def nh(words: Words) -> int:
    """NH of one block of 32-bit words."""
    mixed = np.add(words, KEYS).astype(np.uint64)
    return int(np.dot(mixed[:HALF], mixed[HALF:]))


class Digest:
    """The digest of one array, fed chunk by chunk in C order; all chunks but the last are a multiple of BLOCK."""

    def __init__(self, name: str, shape: tuple[int, ...], nbytes: int) -> None:
        """Start with what else the digest covers: the dtype's name and the shape."""
        self._hash = hashlib.blake2b(f"{name}{shape}\0".encode(), digest_size=16)
        #: Whether the bytes go to BLAKE2b as they are.
        self.small = nbytes <= BLOCK

    def update(self, chunk: NDArray[Any]) -> None:
        """Take the next chunk: flat and contiguous."""
        data = _little(chunk).view(np.uint8)
        if self.small:
            self._hash.update(data.tobytes())
            return
        for start in range(0, data.size, BLOCK):
            block = data[start : start + BLOCK]
            if block.size < BLOCK:
                block = np.concatenate([block, np.zeros(BLOCK - block.size, np.uint8)])
            self._hash.update(nh(block.view("<u4")).to_bytes(8, "little"))

    def take(self, values: NDArray[np.uint64]) -> None:
        """Take the NH values of the next whole blocks, computed elsewhere."""
        self._hash.update(values.astype("<u8").tobytes())

    def hexdigest(self) -> str:
        """128 bits as hexadecimal digits."""
        return self._hash.hexdigest()


def _little(chunk: NDArray[Any]) -> NDArray[Any]:
    return chunk if np.little_endian or chunk.dtype.itemsize == 1 else chunk.byteswap()
