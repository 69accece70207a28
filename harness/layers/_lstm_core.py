"""One LSTM layer over one sequence, forward and backward, float64, vectorised over the batch.

    z_g = (m_x[g,:,t] * x_t) W_g + (m_h[g,:,t] * h_{t-1}) U_g + b_g            for the gates g = i, f, g, o
    c_t = sigmoid(z_f) * (m_c[:,t] * c_{t-1}) + sigmoid(z_i) * tanh(z_g)
    h_t = sigmoid(z_o) * tanh(c_t)

Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural Computation 9 (1997), with the forget gate of Gers,
Schmidhuber & Cummins, *Learning to Forget*, Neural Computation 12 (2000). Masks on x and h: Gal & Ghahramani, *A
Theoretically Grounded Application of Dropout in Recurrent Neural Networks*, 2016 (arXiv 1512.05287), section 4, where
they do not depend on t and are one for each gate (untied weights) or the same for all (tied). Masks on c are discussed
by Semeniuta, Severyn & Barth, *Recurrent Dropout without Memory Loss*, 2016 (arXiv 1603.05118). Backward: the chain
rule on these lines (backpropagation through time).

Axes: G gates (i, f, g, o), B batch, T time, D input features, H units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array, sigmoid

GATES = ("i", "f", "g", "o")


def gate_major(kernel: Array) -> Array:
    """(I, 4H) to (4, I, H)."""
    rows = kernel.shape[0]
    return np.ascontiguousarray(kernel.reshape(rows, len(GATES), -1).transpose(1, 0, 2))


def gates_last(stacked: Array) -> Array:
    """(4, I, H) back to (I, 4H)."""
    return np.ascontiguousarray(stacked.transpose(1, 0, 2).reshape(stacked.shape[1], -1))


@dataclass(frozen=True, slots=True)
class Masks:
    """Multipliers of one layer, each broadcast to its full shape but for the gates; None: nothing happens there.

    x (1 or 4, B, T, D), h (1 or 4, B, T, H), c (B, T, H).
    """

    x: Array | None = None
    h: Array | None = None
    c: Array | None = None


@dataclass(frozen=True, slots=True)
class LayerGradients:
    """Gradients of one layer: x (B, T, D), h0 and c0 (B, H), and the canonical weights."""

    x: Array
    h0: Array
    c0: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array


class LayerRun:
    """One layer's pass over a sequence: every step's states and gates, kept for the backward pass.

    h, c (B, T, H); gates (4, B, T, H), activated, in the order i, f, g, o.
    """

    def __init__(
        self,
        x: Array,
        h0: Array,
        c0: Array,
        weights: tuple[Array, Array, Array],
        masks: Masks,
        arithmetic: Arithmetic,
    ) -> None:
        kernel, recurrent_kernel, bias = weights
        self.x, self.h0, self.c0, self.masks, self.arithmetic = x, h0, c0, masks, arithmetic
        self.W, self.U = gate_major(kernel), gate_major(recurrent_kernel)
        self.b = bias.reshape(len(GATES), 1, -1)
        batch, steps, _ = x.shape
        units = self.U.shape[1]
        self.h = np.zeros((batch, steps, units))
        self.c = np.zeros((batch, steps, units))
        self.gates = np.zeros((len(GATES), batch, steps, units))
        self._forward()

    def _x(self, t: int) -> Array:
        """The masked input of step t, (1 or 4, B, D)."""
        mask = None if self.masks.x is None else self.masks.x[:, :, t]
        return self.arithmetic.times(self.x[None, :, t], mask)

    def _h(self, t: int) -> Array:
        """The masked h that enters step t, (1 or 4, B, H)."""
        mask = None if self.masks.h is None else self.masks.h[:, :, t]
        return self.arithmetic.times((self.h[:, t - 1] if t else self.h0)[None], mask)

    def _c(self, t: int) -> Array:
        """The masked c that enters step t, (B, H)."""
        mask = None if self.masks.c is None else self.masks.c[:, t]
        return self.arithmetic.times(self.c[:, t - 1] if t else self.c0, mask)

    def _forward(self) -> None:
        point = self.arithmetic.point
        for t in range(self.x.shape[1]):
            z = self.arithmetic.affine([(self._x(t), self.W), (self._h(t), self.U)], self.b)
            i, f, o = point(sigmoid(z[0])), point(sigmoid(z[1])), point(sigmoid(z[3]))
            g = point(np.tanh(z[2]))
            c = point(point(f * self._c(t)) + point(i * g))
            self.gates[:, :, t] = i, f, g, o
            self.c[:, t] = c
            self.h[:, t] = point(o * point(np.tanh(c)))

    def backward(self, dy: Array, dh: Array, dc: Array) -> LayerGradients:
        """Backpropagate dy (B, T, H), the cotangent of every step's h, and dh, dc (B, H), those of the last state."""
        point = self.arithmetic.point
        dx = np.zeros_like(self.x)
        noisy = self.arithmetic.rounding is not None
        dW, dU, db = (_Accumulator(weight, noisy) for weight in (self.W, self.U, self.b))
        for t in reversed(range(self.x.shape[1])):
            i, f, g, o = self.gates[:, :, t]
            squashed = point(np.tanh(self.c[:, t]))
            dh = point(dh + dy[:, t])
            dc = point(dc + point(point(dh * o) * point(1.0 - squashed**2)))
            dz = np.stack(
                [
                    point(point(dc * g) * point(i * (1.0 - i))),
                    point(point(dc * self._c(t)) * point(f * (1.0 - f))),
                    point(point(dc * i) * point(1.0 - g**2)),
                    point(point(dh * squashed) * point(o * (1.0 - o))),
                ]
            )
            dW.add(self._x(t), dz)
            dU.add(self._h(t), dz)
            db.add(np.ones((1, dz.shape[1], 1)), dz)
            dx[:, t] = self._through(dz, self.W, None if self.masks.x is None else self.masks.x[:, :, t])
            dh = self._through(dz, self.U, None if self.masks.h is None else self.masks.h[:, :, t])
            dc = self.arithmetic.times(point(dc * f), None if self.masks.c is None else self.masks.c[:, t])
        total = self.arithmetic.total
        return LayerGradients(
            x=dx,
            h0=dh,
            c0=dc,
            kernel=gates_last(total(dW.value, dW.magnitude)),
            recurrent_kernel=gates_last(total(dU.value, dU.magnitude)),
            bias=total(db.value, db.magnitude).reshape(-1),
        )

    def _through(self, dz: Array, weight: Array, mask: Array | None) -> Array:
        """Return sum over g of mask[g] * (dz_g W_g^T), one rounded sum."""
        transposed = weight.transpose(0, 2, 1)
        factor = np.ones((1, 1, 1)) if mask is None else mask
        value = (factor * (dz @ transposed)).sum(axis=0)
        if self.arithmetic.rounding is None:
            return np.asarray(value)
        magnitude = (np.abs(factor) * (np.abs(dz) @ np.abs(transposed))).sum(axis=0)
        return self.arithmetic.total(value, magnitude)


class _Accumulator:
    """A weight gradient summed over the steps, with the sum of its absolute terms (the size of its rounding error)."""

    def __init__(self, like: Array, noisy: bool) -> None:
        self.value = np.zeros_like(like)
        self.magnitude = np.zeros_like(like)
        self.noisy = noisy

    def add(self, entering: Array, dz: Array) -> None:
        """Add entering^T dz: (1 or 4, B, I) and (4, B, H) give (4, I, H)."""
        self.value += entering.transpose(0, 2, 1) @ dz
        if self.noisy:
            self.magnitude += np.abs(entering).transpose(0, 2, 1) @ np.abs(dz)
