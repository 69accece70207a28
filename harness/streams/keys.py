"""JAX's keys as plain words: seeding, split, fold_in, and the source of a key's bits.

Source: observed on JAX 0.10.2; https://docs.jax.dev/en/latest/jep/263-prng.html (design),
https://docs.jax.dev/en/latest/jax.random.html (implementations, `jax_threefry_partitionable`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.streams import philox, threefry
from harness.streams.mask import Unpredictable
from harness.streams.sources import Philox, Source, Threefry, original_words

IMPLEMENTATIONS = ("threefry2x32", "rbg", "unsafe_rbg")


@dataclass(frozen=True, slots=True)
class Key:
    """A key: two words (threefry2x32) or four (rbg, unsafe_rbg)."""

    words: tuple[int, ...]
    impl: str = "threefry2x32"
    partitionable: bool = True

    def split(self, num: int) -> list[Key]:
        """Return jax.random.split(key, num)."""
        if self.impl == "unsafe_rbg":
            bits = self._rbg_words(40 * num).reshape(num, 10, 4)[:, 0]
            return [replace(self, words=tuple(int(word) for word in row)) for row in bits]
        halves = [self.words[at : at + 2] for at in range(0, len(self.words), 2)]
        rows = [_split((half[0], half[1]), num, self.partitionable) for half in halves]
        return [replace(self, words=sum((part[i] for part in rows), ())) for i in range(num)]

    def fold_in(self, data: int) -> Key:
        """Return jax.random.fold_in(key, data)."""
        seed = (0, data & 0xFFFFFFFF)
        if self.impl == "unsafe_rbg":
            last = replace(self, words=seed + seed)._rbg_words(40)[36:]
            return replace(self, words=tuple(word ^ int(other) for word, other in zip(self.words, last, strict=True)))
        halves = [self.words[at : at + 2] for at in range(0, len(self.words), 2)]
        return replace(self, words=sum((threefry.block((half[0], half[1]), seed) for half in halves), ()))

    def source(self, width: int, bits: int, count: int) -> Source:
        """Return the top `bits` bits of `count` random words, `width` bits wide, as levels."""
        if self.impl == "threefry2x32":
            key = (self.words[0], self.words[1])
            if not self.partitionable and count * width // 32 >= 2**32 - 1:
                raise Unpredictable("the original threefry splits its key above 2**32 words; that was never measured")
            return Threefry(key, width, bits, count, self.partitionable)
        key, counter = self._rbg()
        if width == 64:
            return Philox(key, counter, bits, shift=width - bits, pair="low_first")
        return Philox(key, counter, bits, shift=width - bits)

    def _rbg(self) -> tuple[tuple[int, int], int]:
        w = self.words
        return (w[0], w[1]), w[2] | w[3] << 32 | w[0] << 64 | w[1] << 96

    def _rbg_words(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        out = np.empty(count, dtype=np.uint32)
        philox.words(*self._rbg(), 0, out)
        return out


def _split(key: tuple[int, int], num: int, partitionable: bool) -> list[tuple[int, ...]]:
    if partitionable:
        return [threefry.block(key, (i >> 32, i)) for i in range(num)]
    words = original_words(key, 0, 2 * num, 2 * num)
    return [(int(words[2 * i]), int(words[2 * i + 1])) for i in range(num)]


def key_of(seed: int, impl: str = "threefry2x32", partitionable: bool = True, x64: bool = False) -> Key:
    """Return jax.random.key(seed); without x64 the high half of the seed is lost."""
    if impl not in IMPLEMENTATIONS:
        raise UserError(f"unknown impl {impl!r}{did_you_mean(impl, IMPLEMENTATIONS)}: {', '.join(IMPLEMENTATIONS)}")
    words = (((seed >> 32) & 0xFFFFFFFF) if x64 else 0, seed & 0xFFFFFFFF)
    return Key(words if impl == "threefry2x32" else words + words, impl, partitionable)
