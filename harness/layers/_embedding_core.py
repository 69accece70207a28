"""Looking rows of a table up, with dropped rows, forward and backward, float64.

Embedding dropout: Gal & Ghahramani 2016 (arXiv 1512.05287), section 4.2: a word type is dropped, wherever it occurs; Merity
et al. 2018 (arXiv 1708.02182), section 4.3: one mask (V, 1) for the whole minibatch, scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array
from harness.layers._sites import resolve
from harness.layers.base import DropoutSpec, Refused
from harness.records import Site

SITE = "embedding.rows"
AXES = ("batch", "vocabulary", "features")


def row_site(spec: DropoutSpec, index: int, batch: int, vocabulary: int, features: int) -> Site:
    """The site of one entry at `embedding.rows`: `shared: [batch, features]` is one decision a word and minibatch."""
    return resolve(spec, index, AXES, (batch, vocabulary, features))


def check_tokens(name: str, shape: Sequence[int]) -> None:
    """Raise Refused unless tokens are (B, T) with T at least 1."""
    if len(shape) != 2 or shape[1] < 1:
        raise Refused(
            ("inputs", name), f"{name} must be (batch, time) with at least one step, not shape {tuple(shape)}"
        )


class Lookup:
    """Rows of `table` (V, E) at `tokens` (B, T), times mask (B, V, E), any of them 1, or None: y (B, T, E)."""

    def __init__(self, table: Array, tokens: Array, mask: Array | None, arithmetic: Arithmetic) -> None:
        self.table, self.tokens, self.arithmetic = table, tokens, arithmetic
        self.mask = None
        if mask is not None:
            whole = np.broadcast_to(mask, (tokens.shape[0], table.shape[0], mask.shape[2]))
            self.mask = whole[np.arange(tokens.shape[0])[:, None], tokens]
        self.y = arithmetic.times(table[tokens], self.mask)

    def backward(self, dy: Array) -> Array:
        """The table's gradient (V, E): each row sums what its occurrences got."""
        each = dy if self.mask is None else dy * self.mask
        total, magnitude = np.zeros_like(self.table), np.zeros_like(self.table)
        np.add.at(total, self.tokens, each)
        np.add.at(magnitude, self.tokens, np.abs(each))
        return self.arithmetic.total(total, magnitude)
