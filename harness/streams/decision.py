"""A decision: levels, a threshold, and the layout of the tensor that is dropped. From it comes the mask, in chunks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.streams import accelerate
from harness.streams.mask import Bools
from harness.streams.sources import Levels, Source

#: Elements worked on at a time; a few arrays of this many words stay in a second-level cache, and memory stays flat.
CHUNK = 131072

#: Draws from this size on are shared among threads where the source allows (the frameworks do the same).
PARALLEL = 1 << 18

Arrange = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one draw decides.

    drawn       shape of the draw.
    source      its levels in C order of `drawn`; None: nothing is drawn and `constant` is the answer.
    threshold   an integer t.
    keep_high   kept where level >= t (true), or where level < t (false).
    arrange     turns an array of shape `drawn` into one of the dropped tensor's shape (broadcasting, transposing);
                None: they are the same.
    constant    the answer where nothing is drawn.
    graded      whether the levels stay the same at every rate, so that a rate can be read off a mask.
    stream      the stream in words, where it depends on the query; else "" and the rule's own words stand.
    """

    drawn: tuple[int, ...]
    source: Source | None = None
    threshold: int = 0
    keep_high: bool = True
    arrange: Arrange | None = None
    constant: bool = True
    graded: bool = True
    stream: str = ""

    @property
    def count(self) -> int:
        """Number of elements drawn."""
        return math.prod(self.drawn)

    def spread(self, shape: tuple[int, ...]) -> Decision:
        """Return this decision broadcast over a tensor of a larger shape."""
        if shape == self.drawn:
            return self
        return replace(self, arrange=lambda keep: np.broadcast_to(keep, shape))

    def spread_as(self, between: tuple[int, ...], shape: tuple[int, ...]) -> Decision:
        """Return this decision reshaped to `between` and then broadcast over a larger tensor."""
        return replace(self, arrange=lambda keep: np.broadcast_to(keep.reshape(between), shape))

    def decide(self, levels: Levels, out: Bools) -> None:
        """Write the decisions on some levels."""
        bound = levels.dtype.type(min(self.threshold, np.iinfo(levels.dtype).max))
        if self.threshold > np.iinfo(levels.dtype).max:
            out[:] = not self.keep_high
        elif self.keep_high:
            np.greater_equal(levels, bound, out=out)
        else:
            np.less(levels, bound, out=out)

    def flat(self, limit: int | None = None) -> Bools:
        """Return the first `limit` decisions (default: all) in the order of drawing, 1-D."""
        count = self.count if limit is None else min(limit, self.count)
        if self.source is None:
            return np.full(count, self.constant)
        out = np.empty(count, dtype=np.bool_)
        accelerate.prepare(count)
        ranges = [(low, min(low + CHUNK, count)) for low in range(0, count, CHUNK)]
        workers = min(os.cpu_count() or 1, 8)
        if self.source.random_access and count >= PARALLEL and workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                # list() passes on an exception of a worker.
                list(pool.map(lambda span: self._part(span, out), ranges))
        else:
            for span in ranges:
                self._part(span, out)
        return out

    def _part(self, span: tuple[int, int], out: Bools) -> None:
        assert self.source is not None
        self.decide(self.source.levels(*span), out[span[0] : span[1]])

    def mask(self) -> Bools:
        """Return the mask in the dropped tensor's shape."""
        keep = self.flat().reshape(self.drawn)
        if self.arrange is None:
            return keep
        return np.ascontiguousarray(self.arrange(keep)).astype(np.bool_, copy=False)
