"""Sources of levels: the integers k behind the uniforms u = k / 2**bits that a framework compares with its rate.

Every keep rule in use is monotone in k, so it is one integer threshold (`threshold`), and a mask is one comparison of
integers: exact in every dtype, with no floating point in the loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from harness.streams import accelerate, mt19937, threefry

Levels = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]


class Source(ABC):
    """Levels of the elements of one draw, in the order of drawing.

    bits           levels lie in [0, 2**bits) (for MCG31: in (0, modulus)).
    random_access  whether `levels` may be asked for any range, from several threads; otherwise ranges must follow each
                   other, and a range that starts at 0 starts the draw again.
    """

    bits: int
    random_access: bool = True

    @abstractmethod
    def levels(self, start: int, stop: int) -> Levels:
        """Return the levels of elements start ... stop - 1, 1-D."""


class Philox(Source):
    """Elements of one or two Philox words: `level = (word >> shift) & (2**bits - 1)`.

    With `pair`, two words make an element of 64 bits, the first being its high half ("high_first", TensorFlow's float64)
    or its low half ("low_first", XLA's).
    """

    def __init__(self, key: tuple[int, int], counter: int, bits: int, shift: int = 0, pair: str = "") -> None:
        self.bits, self._key, self._counter, self._shift, self._pair = bits, key, counter, shift, pair

    def levels(self, start: int, stop: int) -> Levels:
        """Return the levels of elements start ... stop - 1."""
        if self._pair:
            return self._wide(start, stop)
        words = np.empty(stop - start, dtype=np.uint32)
        accelerate.philox_words(self._key, self._counter, start, words)
        if self._shift:
            np.right_shift(words, np.uint32(self._shift), out=words)
        if self.bits + self._shift < 32:
            np.bitwise_and(words, np.uint32((1 << self.bits) - 1), out=words)
        return words

    def _wide(self, start: int, stop: int) -> Levels:
        words = np.empty((stop - start) * 2, dtype=np.uint32)
        accelerate.philox_words(self._key, self._counter, start * 2, words)
        if self._pair == "high_first":
            words = np.ascontiguousarray(words.reshape(-1, 2)[:, ::-1]).reshape(-1)
        wide: npt.NDArray[np.uint64] = words.astype("<u4", copy=False).view("<u8")
        if self._shift:
            np.right_shift(wide, np.uint64(self._shift), out=wide)
        np.bitwise_and(wide, np.uint64((1 << self.bits) - 1), out=wide)
        return wide


class Threefry(Source):
    """JAX's threefry bits: `level = word >> (width - bits)` of words `width` bits wide.

    Partitionable: element i is one counter i, of 64 bits; original: element i of n shares counters with element
    i + n / 2 (see `original_words`).
    """

    def __init__(self, key: tuple[int, int], width: int, bits: int, count: int, partitionable: bool = True) -> None:
        self.bits, self._key, self._width, self._count = bits, key, width, count
        self._partitionable = partitionable
        self.random_access = True

    def levels(self, start: int, stop: int) -> Levels:
        """Return the levels of elements start ... stop - 1."""
        if self._partitionable:
            return self._partitioned(start, stop)
        return self._original(start, stop)

    def _partitioned(self, start: int, stop: int) -> Levels:
        first = np.empty(stop - start, dtype=np.uint32)
        second = np.empty_like(first)
        accelerate.threefry_pairs(self._key, start, first, second)
        if self._width == 64:
            wide = first.astype(np.uint64)
            np.left_shift(wide, np.uint64(32), out=wide)
            np.bitwise_or(wide, second, out=wide)
            return np.right_shift(wide, np.uint64(64 - self.bits), out=wide)
        np.bitwise_xor(first, second, out=first)
        if self._width < 32:
            np.bitwise_and(first, np.uint32((1 << self._width) - 1), out=first)
        return np.right_shift(first, np.uint32(self._width - self.bits), out=first)

    def _original(self, start: int, stop: int) -> Levels:
        per_word = max(1, 32 // self._width)
        if self._width == 64:
            # The high halves are the first half of the words, the low halves the second.
            high_half = original_words(self._key, start, stop, 2 * self._count).astype(np.uint64)
            low_half = original_words(self._key, self._count + start, self._count + stop, 2 * self._count)
            return (high_half << np.uint64(32) | low_half) >> np.uint64(64 - self.bits)
        low, high = start // per_word, -(-stop // per_word)
        words = original_words(self._key, low, high, -(-self._count // per_word))
        if per_word > 1:
            parts = words[:, None] >> np.arange(0, 32, self._width, dtype=np.uint32)
            words = (parts & np.uint32((1 << self._width) - 1)).reshape(-1)
            words = words[start - low * per_word : stop - low * per_word]
        return words >> np.uint32(self._width - self.bits)


def original_words(key: tuple[int, int], start: int, stop: int, total: int) -> npt.NDArray[np.uint32]:
    """Return words start ... stop - 1 of the original (not partitionable) stream of `total` words.

    The counters 0 ... total - 1, padded to an even number with a zero, are cut in two halves; word i of the first half
    and of the second half come from the one pair (c[i], c[h + i]).
    """
    half = (total + 1) // 2
    out = np.empty(stop - start, dtype=np.uint32)
    for low, high, second in ((start, min(stop, half), False), (max(start, half), stop, True)):
        if low >= high:
            continue
        column = low - half if second else low
        words = np.empty((2, high - low), dtype=np.uint32)
        accelerate.threefry_columns(key, column, column + half, words[0], words[1])
        if total % 2 and column + high - low == half:
            # The last column's second counter is the padding.
            words[:, -1] = threefry.block(key, (half - 1, 0))
        out[low - start : high - start] = words[int(second)]
    return out


class Mersenne(Source):
    """MT19937: `level = draw & (2**24 - 1)` of one draw, or `(high << 32 | low) & (2**53 - 1)` of two."""

    random_access = False

    def __init__(self, begin: Callable[[], mt19937.Stream], bits: int) -> None:
        self.bits, self._begin, self._at = bits, begin, -1
        self._stream: mt19937.Stream | None = None

    def levels(self, start: int, stop: int) -> Levels:
        """Return the levels of elements start ... stop - 1; ranges follow each other."""
        if start == 0 or self._stream is None:
            self._stream, self._at = self._begin(), 0
        if start != self._at:
            raise ValueError(f"a sequential source stands at {self._at} and was asked for {start}")
        self._at = stop
        if self.bits <= 32:
            words: npt.NDArray[np.uint32] = self._stream.words32(stop - start)
            np.bitwise_and(words, np.uint32((1 << self.bits) - 1), out=words)
            return words
        wide: npt.NDArray[np.uint64] = self._stream.words64(stop - start)
        np.bitwise_and(wide, np.uint64((1 << self.bits) - 1), out=wide)
        return wide


class Mcg31(Source):
    """MCG31m1: the level is x[k] itself."""

    bits = 31

    def __init__(self, first: int) -> None:
        self._first = first

    def levels(self, start: int, stop: int) -> Levels:
        """Return x[start] ... x[stop - 1]."""
        out = np.empty(stop - start, dtype=np.uint32)
        accelerate.mcg31_values(self._first, start, out)
        return out


class Computed(Source):
    """Levels of a function of element indices; for streams whose layout is a formula of the index."""

    def __init__(self, bits: int, function: Callable[[int, int], Levels], random_access: bool = True) -> None:
        self.bits, self._function, self.random_access = bits, function, random_access

    def levels(self, start: int, stop: int) -> Levels:
        """Return function(start, stop)."""
        return self._function(start, stop)


def threshold(bits: int, at_least: Callable[[int], bool]) -> int:
    """Return the least level in [0, 2**bits] for which the monotone predicate holds (2**bits: for none).

    Bisection over the integers, with the framework's own comparison in its own dtype as the predicate, so that a
    rounding in it is met exactly.
    """
    low, high = 0, 1 << bits
    while low < high:
        middle = (low + high) // 2
        if at_least(middle):
            high = middle
        else:
            low = middle + 1
    return low
