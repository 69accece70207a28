"""A digest of an array's bytes, fast enough to be taken with every comparison and the same on every machine.

Arrays of up to one block are hashed by BLAKE2b (RFC 7693). Larger ones are first compressed, block by block, with NH
(Black et al., "UMAC: Fast and Secure Message Authentication", 1999, section 4): the sum modulo 2**64 of (a + k) (b +
k') over pairs of 32-bit words with fixed random keys. The chance that a changed block keeps its NH value is about
2**-32; two independent key sets bring it to 2**-64. BLAKE2b then hashes the block values. The digest answers "are these
the same bytes?", not an attacker.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16  # bytes
_WORDS = BLOCK // 4
# Part of the digest's definition: the first words of MT19937 with this seed.
KEYS: NDArray[np.uint32] = np.random.RandomState(20260).randint(0, 2**32, _WORDS + 4, dtype=np.uint32)


def nh(words: NDArray[np.uint32], keys: NDArray[np.uint32]) -> int:
    """NH of an even number of 32-bit words with as many keys."""
    mixed = words + keys[: words.size]
    return int((mixed[0::2].astype(np.uint64) * mixed[1::2]).sum(dtype=np.uint64))


def block_values(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The two NH values of each block of a flat byte array; the last block is padded with zeros."""
    values = np.empty((-(-data.size // BLOCK), 2), dtype=np.uint64)
    for i in range(len(values)):
        block = data[i * BLOCK : (i + 1) * BLOCK]
        if block.size % 8:
            block = np.pad(block, (0, -block.size % 8))
        words = block.view("<u4")
        values[i] = nh(words, KEYS), nh(words, KEYS[4:])
    return values


def digest(array: NDArray[Any], name: str) -> str:
    """Hexadecimal digest (128 bits) of the dtype name, the shape and the bytes in C order, little-endian."""
    header = f"{name}{array.shape}".encode()
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    body = data if data.size <= BLOCK else block_values(data).astype("<u8")
    return hashlib.blake2b(header + b"\0" + body.tobytes(), digest_size=16).hexdigest()
