"""The minimal gated unit: one gate that both forgets and updates.

Zhou, Wu, Zhang & Zhou, *Minimal Gated Unit for Recurrent Neural Networks*, 2016 (arXiv 1603.09420), section 3:

    f = sigmoid(x W_f + h' U_f + b_f)
    n = tanh(x W_n + (f * h') U_n + b_n)
    h = (1 - f) * h' + f * n

Where x or h' enters a product it may be masked, for each gate. Backward: the chain rule on these lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array
from harness.layers._lstm_cell import ACTIVATIONS, SQUASHES
from harness.layers._simple_core import SimpleCell
from harness.layers._simple_kind import SimpleConfig, SimpleKind
from harness.layers.base import Gate, Mistake, Oddities, register
from harness.records import Arrays


class Cell(SimpleCell):
    """Gates f and n. For the search for causes: activation of f, a name in ACTIVATIONS; squash of n, a name in SQUASHES;
    inverted: 1 - f and f exchanged where h' and n are blended.
    """

    gates = 2

    def __init__(
        self,
        weights: Arrays,
        arithmetic: Arithmetic,
        *,
        activation: str | None = None,
        squash: str | None = None,
        inverted: bool = False,
    ) -> None:
        super().__init__(weights, arithmetic)
        self.inverted = inverted
        self.activation, self.slope = ACTIVATIONS[activation]
        self.squash, self.squash_slope = SQUASHES[squash]

    def step(self, x: Array, masked: Array, h: Array) -> tuple[Array, Any]:
        """One step."""
        point, affine = self.arithmetic.point, self.arithmetic.affine
        x, masked = (np.broadcast_to(array, (2, *array.shape[1:])) for array in (x, masked))
        f = point(self.activation(affine([(x[0], self.W[0]), (masked[0], self.U[0])], self.b[0])))
        entering = point(f * masked[1])
        n = point(self.squash(affine([(x[1], self.W[1]), (entering, self.U[1])], self.b[1])))
        old, young = (f, point(1.0 - f)) if self.inverted else (point(1.0 - f), f)
        new = self.arithmetic.total(point(old * h) + point(young * n), np.abs(h) + np.abs(n))
        return new, (x, masked, h, f, n, entering)

    def back(self, kept: Any, dh: Array) -> tuple[Array, Array, Array]:
        """Gradients through one step."""
        point = self.arithmetic.point
        x, masked, h, f, n, entering = kept
        old, young = (f, 1.0 - f) if self.inverted else (1.0 - f, f)
        dn = point(point(dh * young) * point(self.squash_slope(n)))
        d_entering = self.through(dn[None], self.U[1:])[0]
        gap = h - n if self.inverted else n - h
        blend = self.arithmetic.total(dh * gap, np.abs(dh) * (np.abs(h) + np.abs(n)))
        df = self.arithmetic.total(blend + d_entering * masked[1], np.abs(blend) + np.abs(d_entering * masked[1]))
        da = np.stack([point(df * point(self.slope(f))), dn])
        self.sums["kernel"].product(x, da)
        self.sums["recurrent_kernel"].product(np.stack([masked[0], entering]), da)
        self.sums["bias"].rows(da)
        d_masked = np.concatenate([self.through(da[:1], self.U[:1]), point(d_entering * f)[None]])
        return da, d_masked, point(dh * old)


class MinimalGatedUnit(SimpleKind):
    """Gates in the order f, n."""

    name = "minimal_gated_unit"
    Config = SimpleConfig
    gates = (Gate("f", "the forget gate f"), Gate("n", "the new value n"))
    oddities = Oddities(
        gates="activation",
        tanh={"squash": "the new value n"},
        formula="n = tanh(…): set activation to tanh",
    )

    def mistakes(self, config: Any) -> Iterator[Mistake]:
        """What people write for the blend: the paper's f takes what is new."""
        yield Mistake(
            "gates.blend inverted",
            "the forget gate f the other way round in the blend: h = f h' + (1 - f) n instead of (1 - f) h' + f n",
            "blend as h = (1 - f) * h' + f * n",
            {"inverted": True},
        )

    def cell(self, config: Any, weights: Arrays, arithmetic: Arithmetic) -> SimpleCell:
        """The cell."""
        return Cell(weights, arithmetic, **self.options)


register(MinimalGatedUnit())
