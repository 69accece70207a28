"""The GRU and the simple recurrent layer over one sequence, forward and backward, float64, vectorised over the batch.

Simple (Elman, *Finding Structure in Time*, Cognitive Science 14 (1990)):

    h = tanh(x W + h' U + b)

GRU (Cho et al. 2014, arXiv 1406.1078), gates z, r, n, each with its own W_g, U_g and b_g; v_g is the second bias:

    z = sigmoid(x W_z + b_z + h' U_z + v_z),  r = sigmoid(x W_r + b_r + h' U_r + v_r)
    n = tanh(x W_n + b_n + r * (h' U_n + v_n))        reset after (cuDNN, torch, Keras 3, TensorFlow 2)
    n = tanh(x W_n + b_n + (r * h') U_n)              reset before (the paper, Keras 2.0), v = 0
    h = z * h' + (1 - z) * n

Where x or h' enters a product it may be masked, for each gate; the h' that is blended into h is whole (Gal & Ghahramani
2016, arXiv 1512.05287, section 4). Backward: the chain rule on these lines.

Axes: G gates (1 or 3), B batch, T time, D input features, H units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array, float64
from harness.layers._lstm_cell import ACTIVATIONS, SATURATED, SQUASHES, Accumulator
from harness.records import Arrays


class SimpleCell(ABC):
    """A cell with kernel (D, GH), recurrent_kernel (H, GH), bias (GH,) and, where it has one, recurrent_bias (GH,)."""

    gates: int

    def __init__(self, weights: Arrays, arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        self.W, self.U = (self._split(float64(weights[name])) for name in ("kernel", "recurrent_kernel"))
        self.b = float64(weights["bias"]).reshape(self.gates, 1, -1)
        self.v = float64(weights.get("recurrent_bias", np.zeros(self.b.size))).reshape(self.gates, 1, -1)
        self.sums = {
            "kernel": Accumulator(self.W, arithmetic),
            "recurrent_kernel": Accumulator(self.U, arithmetic),
            "bias": Accumulator(self.b, arithmetic),
        }
        if "recurrent_bias" in weights:
            self.sums["recurrent_bias"] = Accumulator(self.v, arithmetic)

    def _split(self, kernel: Array) -> Array:
        """(I, GH) to (G, I, H)."""
        return np.ascontiguousarray(kernel.reshape(kernel.shape[0], self.gates, -1).transpose(1, 0, 2))

    @abstractmethod
    def step(self, x: Array, masked: Array, h: Array) -> tuple[Array, Any]:
        """One step from x (1 or G, B, D), the masked h (1 or G, B, H) and h (B, H): the new h, and what `back` needs."""

    @abstractmethod
    def back(self, kept: Any, dh: Array) -> tuple[Array, Array, Array]:
        """Gradients through one step: da (G, B, H) of x W + b; of the masked h (G, B, H); of the h that is blended in."""

    def through(self, dz: Array, weight: Array) -> Array:
        """dz_g weight_g^T for each gate, (G, B, I)."""
        return self.arithmetic.affine([(dz, weight.transpose(0, 2, 1))])

    def gradients(self) -> Arrays:
        """The weights' gradients over all steps so far, canonical."""
        found = {name: total.total for name, total in self.sums.items()}
        return {
            name: value.reshape(-1) if "bias" in name else value.transpose(1, 0, 2).reshape(value.shape[1], -1)
            for name, value in found.items()
        }


class ElmanCell(SimpleCell):
    """h = tanh(x W + h' U + b). squash: a name in SQUASHES, for the search for causes."""

    gates = 1

    def __init__(self, weights: Arrays, arithmetic: Arithmetic, *, squash: str | None = None) -> None:
        super().__init__(weights, arithmetic)
        self.squash, self.slope = SQUASHES[squash]

    def step(self, x: Array, masked: Array, h: Array) -> tuple[Array, Any]:
        """One step."""
        new = self.arithmetic.point(self.squash(self.arithmetic.affine([(x, self.W), (masked, self.U)], self.b)))
        return new[0], (x, masked, new)

    def back(self, kept: Any, dh: Array) -> tuple[Array, Array, Array]:
        """Gradients through one step."""
        x, masked, new = kept
        da = self.arithmetic.point(dh[None] * self.arithmetic.point(self.slope(new)))
        self.sums["kernel"].product(x, da)
        self.sums["recurrent_kernel"].product(masked, da)
        self.sums["bias"].rows(da)
        return da, self.through(da, self.U), np.zeros_like(dh)


class GruCell(SimpleCell):
    """Gates z, r, n; reset after (`after`) or before the product with U_n.

    For the search for causes: activation of z and r, a name in ACTIVATIONS; squash of n, a name in SQUASHES; blend_masked: the
    masked h is blended into the new one too. With reset before, a second bias is added outside of the reset gate.
    """

    gates = 3

    def __init__(
        self,
        weights: Arrays,
        arithmetic: Arithmetic,
        *,
        after: bool,
        activation: str | None = None,
        squash: str | None = None,
        blend_masked: bool = False,
    ) -> None:
        super().__init__(weights, arithmetic)
        self.after, self.blend_masked = after, blend_masked
        self.activation, self.slope = ACTIVATIONS[activation]
        self.ends = SATURATED.get(activation, ())
        self.squash, self.squash_slope = SQUASHES[squash]

    def step(self, x: Array, masked: Array, h: Array) -> tuple[Array, Any]:
        """One step."""
        point, affine = self.arithmetic.point, self.arithmetic.affine
        masked = np.broadcast_to(masked, (3, *masked.shape[1:]))
        x = np.broadcast_to(x, (3, *x.shape[1:]))
        first = affine([(x[:2], self.W[:2]), (masked[:2], self.U[:2])], self.b[:2], self.v[:2])
        z, r = point(self.activation(first), self.ends)
        entering = masked[2] if self.after else point(r * masked[2])
        if self.after:
            q = affine([(entering, self.U[2])], self.v[2])
            a = affine([(x[2], self.W[2])], self.b[2])
            a = self.arithmetic.total(a + r * q, np.abs(a) + np.abs(r * q))
        else:
            q = np.zeros_like(h)
            a = affine([(x[2], self.W[2]), (entering, self.U[2])], self.b[2], self.v[2])
        n = point(self.squash(a))
        h = masked[2] if self.blend_masked else h
        # Some write n + z (h - n), whose terms are as large as these.
        new = self.arithmetic.total(point(z * h) + point(point(1.0 - z) * n), np.abs(z * h) + np.abs(n))
        return new, (x, masked, h, z, r, n, q, entering)

    def back(self, kept: Any, dh: Array) -> tuple[Array, Array, Array]:
        """Gradients through one step."""
        point = self.arithmetic.point
        x, masked, h, z, r, n, q, entering = kept
        blend = self.arithmetic.total(dh * (h - n), np.abs(dh) * (np.abs(h) + np.abs(n)))
        dz = point(blend * point(self.slope(z)))
        dn = point(point(dh * (1.0 - z)) * point(self.squash_slope(n)))
        if self.after:
            dr = point(dn * q)
            dq = point(dn * r)
            d_third = self.through(dq[None], self.U[2:])[0]
        else:
            dq = dn
            d_entering = self.through(dq[None], self.U[2:])[0]
            dr = point(d_entering * masked[2])
            d_third = point(d_entering * r)
        dr = point(dr * point(self.slope(r)))
        da = np.stack([dz, dr, dn])
        du = np.stack([dz, dr, dq])
        self.sums["kernel"].product(x, da)
        self.sums["recurrent_kernel"].product(np.stack([masked[0], masked[1], entering]), du)
        self.sums["bias"].rows(da)
        if "recurrent_bias" in self.sums:
            self.sums["recurrent_bias"].rows(du)
        blended = point(dh * z)
        if self.blend_masked:
            d_third, blended = d_third + blended, np.zeros_like(dh)
        return da, np.concatenate([self.through(du[:2], self.U[:2]), d_third[None]]), blended


class SimpleRun:
    """A pass of x (B, T, D) from h0 (B, H). Masks (1 or G, B, T, ·) on x and h, or None.

    h (B, T, H): every step's; last_h (B, H).
    """

    def __init__(
        self, x: Array, h0: Array, cell: SimpleCell, x_mask: Array | None, h_mask: Array | None, arithmetic: Arithmetic
    ) -> None:
        self.x, self.cell, self.arithmetic = x, cell, arithmetic
        self.x_mask, self.h_mask = x_mask, h_mask
        self.kept: list[Any] = []
        h, every = h0, []
        for t in range(x.shape[1]):
            entering = self._times(x[None, :, t], x_mask, t), self._times(h[None], h_mask, t)
            h, kept = cell.step(*entering, h)
            self.kept.append(kept)
            every.append(h)
        self.h = np.stack(every, axis=1)
        self.last_h = h

    def _times(self, value: Array, mask: Array | None, t: int) -> Array:
        return self.arithmetic.times(value, None if mask is None else mask[:, :, t])

    def _gathered(self, by_gate: Array, mask: Array | None, t: int) -> Array:
        """The sum over the gates of a gradient that each gate's mask multiplies, (B, ·)."""
        each = by_gate if mask is None else by_gate * mask[:, :, t]
        return self.arithmetic.total(each.sum(axis=0), np.abs(each).sum(axis=0))

    def backward(self, dy: Array, dh: Array) -> tuple[Array, Array, Arrays]:
        """Backpropagate dy (B, T, H) and dh (B, H), of the last state: gradients of x, of h0 and of the weights."""
        dx = np.zeros_like(self.x)
        for t in reversed(range(self.x.shape[1])):
            da, d_masked, blended = self.cell.back(self.kept[t], self.arithmetic.point(dh + dy[:, t]))
            dx[:, t] = self._gathered(self.cell.through(da, self.cell.W), self.x_mask, t)
            dh = self.arithmetic.point(self._gathered(d_masked, self.h_mask, t) + blended)
        return dx, dh, self.cell.gradients()
