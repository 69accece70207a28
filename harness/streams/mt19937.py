"""MT19937, the Mersenne Twister; NumPy's own compiled generator does the work.

Source: M. Matsumoto, T. Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
generator", ACM TOMACS 8 (1998), with the seeding `init_genrand` of the authors' 2002 version. A sequential generator:
what comes later needs what comes before.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Sequence

import numpy as np

#: Draws thrown away at a time when skipping, so that skipping needs no memory worth the name.
CHUNK = 65536


class Stream:
    """A stream of 32-bit draws; `seed` is taken modulo 2**32."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed & 0xFFFFFFFF)

    @classmethod
    def resumed(cls, key: Sequence[int], position: int) -> "Stream":
        """Return the stream that goes on from a state of 624 words and a position in it (624: all are used up)."""
        stream = cls(0)
        stream._state.set_state(("MT19937", np.asarray(key, dtype=np.uint32), position, 0, 0.0))
        return stream

    def words32(self, count: int) -> np.ndarray:
        """Return the next `count` draws, uint32."""
        return np.asarray(self._state.randint(0, 2**32, count, dtype=np.uint32))

    def words64(self, count: int) -> np.ndarray:
        """Return the next `2 * count` draws as `count` uint64, each from two draws, the first of them the high word."""
        return np.asarray(self._state.randint(0, 2**64, count, dtype=np.uint64))

    def skip(self, draws: int) -> None:
        """Throw away the next `draws` draws."""
        while draws > 0:
            step = min(draws, CHUNK)
            self.words32(step)
            draws -= step
