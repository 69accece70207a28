"""One step of an LSTM cell, forward and backward, float64, vectorised over the batch.

    z_g = x_g W_g + h_g U_g + b_g                      for the gates g = i, f, g, o; x_g and h_g may be masked for each gate
    c   = sigmoid(z_f + forget_bias) c' + sigmoid(z_i) tanh(z_g)
    h   = sigmoid(z_o) tanh(c)

Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural Computation 9 (1997), with the forget gate of Gers,
Schmidhuber & Cummins, *Learning to Forget*, Neural Computation 12 (2000). Options, in the order in which they act:

    peepholes        z_i += w_i c', z_f += w_f c', and z_o += w_o c with the new, clipped c (Gers, Schraudolph &
                     Schmidhuber, *Learning Precise Timing with LSTM Recurrent Networks*, JMLR 3 (2002))
    cell_clip        c = clip(c, -cell_clip, cell_clip) before the output gate and its activation
    projection       h = (sigmoid(z_o) tanh(c)) V, V (H, P) (Sak, Senior & Beaufays, 2014, arXiv 1402.1128)
    projection_clip  h = clip(h, -projection_clip, projection_clip)

as in TensorFlow 1's `LSTMCell` (tensorflow.org/api_docs/python/tf/compat/v1/nn/rnn_cell/LSTMCell). Backward: the chain
rule on these lines; a clipped element has slope 0.

Axes: gates 4 (i, f, g, o), B batch, D input features, H units, P outputs (H without a projection).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array, float64, sigmoid
from harness.layers._declared import Gate
from harness.records import Arrays

GATES = (
    Gate("i", "the input gate i"),
    Gate("f", "the forget gate f", forgets=True),
    Gate("g", "the candidate g"),
    Gate("o", "the output gate o"),
)
STATES = ("h", "c")
PEEPHOLES = ("peephole_i", "peephole_f", "peephole_o")


@dataclass(frozen=True, slots=True)
class CellOptions:
    """What makes one cell differ from the plain one. None and False: the plain cell."""

    units: int
    forget_bias: float = 0.0
    peepholes: bool = False
    cell_clip: float | None = None
    projection: int | None = None
    projection_clip: float | None = None
    recurrent_activation: str | None = None
    #: of the candidate g, and of the cell state on its way out: names in SQUASHES. None: tanh, as every published cell has it.
    candidate: str | None = None
    emitted: str | None = None

    @property
    def outputs(self) -> int:
        """The width of h: P, or H without a projection."""
        return self.projection or self.units


def hard_sigmoid(z: Array) -> Array:
    """clip(z / 6 + 1/2, 0, 1): Keras 3, torch and JAX."""
    return np.asarray(np.clip(z / 6.0 + 0.5, 0.0, 1.0))


def hard_sigmoid_keras2(z: Array) -> Array:
    """clip(z / 5 + 1/2, 0, 1): Keras up to version 2."""
    return np.asarray(np.clip(0.2 * z + 0.5, 0.0, 1.0))


#: The recurrent activations by name, each with its slope as a function of its value. No right layer has the last one; the
#: search for causes does.
ACTIVATIONS: dict[str | None, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    None: (sigmoid, lambda y: y * (1.0 - y)),
    "hard_sigmoid": (hard_sigmoid, lambda y: np.where((y > 0.0) & (y < 1.0), 1.0 / 6.0, 0.0)),
    "hard_sigmoid_keras2": (hard_sigmoid_keras2, lambda y: np.where((y > 0.0) & (y < 1.0), 0.2, 0.0)),
    "tanh": (lambda z: np.asarray(np.tanh(z)), lambda y: 1.0 - y**2),
}

#: The ends of the clipped ones. A gate that saturates there is exactly 0 or 1 in every format, and its slope exactly 0: noise on
#: it would cross a kink that no rounding crosses.
SATURATED: dict[str | None, tuple[float, ...]] = {"hard_sigmoid": (0.0, 1.0), "hard_sigmoid_keras2": (0.0, 1.0)}

#: What may stand in tanh's place, likewise; no right layer does it, the search for causes does.
SQUASHES: dict[str | None, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    None: (lambda z: np.asarray(np.tanh(z)), lambda y: 1.0 - y**2),
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0.0), lambda y: np.where(y > 0.0, 1.0, 0.0)),
    "sigmoid": (sigmoid, lambda y: y * (1.0 - y)),
}


def gate_major(kernel: Array) -> Array:
    """(I, 4H) to (4, I, H)."""
    rows = kernel.shape[0]
    return np.ascontiguousarray(kernel.reshape(rows, len(GATES), -1).transpose(1, 0, 2))


def gates_last(stacked: Array) -> Array:
    """(4, I, H) back to (I, 4H)."""
    return np.ascontiguousarray(stacked.transpose(1, 0, 2).reshape(stacked.shape[1], -1))


@dataclass(frozen=True, slots=True)
class Step:
    """What one step computed, for its backward pass. x (1 or 4, B, D), h_in (1 or 4, B, P), the others (B, H) or (B, P)."""

    x: Array
    h_in: Array
    c_in: Array
    gates: Array
    raw_c: Array
    c: Array
    squashed: Array
    raw_h: Array
    h: Array


class Accumulator:
    """A weight gradient summed over the steps, with the sum of its absolute terms (the size of its rounding error)."""

    def __init__(self, like: Array, arithmetic: Arithmetic) -> None:
        self.value = np.zeros_like(like)
        self.magnitude = np.zeros_like(like)
        self.arithmetic = arithmetic

    def product(self, left: Array, right: Array) -> None:
        """Add left^T right over the last two axes: (..., B, I) and (..., B, J) give (..., I, J)."""
        self.value += np.swapaxes(left, -1, -2) @ right
        if self.arithmetic.rounding is not None:
            self.magnitude += np.swapaxes(np.abs(left), -1, -2) @ np.abs(right)

    def rows(self, terms: Array) -> None:
        """Add the sum over the batch, axis -2, which stays where the sum has it."""
        keep = self.value.ndim == terms.ndim
        self.value += terms.sum(axis=-2, keepdims=keep)
        if self.arithmetic.rounding is not None:
            self.magnitude += np.abs(terms).sum(axis=-2, keepdims=keep)

    @property
    def total(self) -> Array:
        """The sum, rounded as one."""
        return self.arithmetic.total(self.value, self.magnitude)


class Cell:
    """A cell with its weights: kernel (D, 4H), recurrent_kernel (P, 4H), bias (4H,), peepholes (H,), projection (H, P).

    recurrent_mask: what multiplies the recurrent kernel, (4, P, H) or sizes 1 (a dropped weight); None: nothing.
    """

    def __init__(
        self, options: CellOptions, weights: Arrays, arithmetic: Arithmetic, recurrent_mask: Array | None = None
    ) -> None:
        self.options, self.arithmetic, self.recurrent_mask = options, arithmetic, recurrent_mask
        self.W = gate_major(float64(weights["kernel"]))
        self.U = arithmetic.times(gate_major(float64(weights["recurrent_kernel"])), recurrent_mask)
        self.b = float64(weights["bias"]).reshape(len(GATES), 1, -1)
        self.peepholes = [float64(weights[name]) for name in PEEPHOLES] if options.peepholes else []
        self.projection = float64(weights["projection"]) if options.projection else None
        self.activation, self.slope = ACTIVATIONS[options.recurrent_activation]
        self.ends = SATURATED.get(options.recurrent_activation, ())
        self.squash_g, self.slope_g = SQUASHES[options.candidate]
        self.squash_c, self.slope_c = SQUASHES[options.emitted]
        self._sums: dict[str, Accumulator] = {}

    def step(self, x: Array, h: Array, c: Array) -> Step:
        """One step from x (1 or 4, B, D) and the state h (1 or 4, B, P), c (B, H), all masked already."""
        point, total = self.arithmetic.point, self.arithmetic.total
        addends = [self.b]
        if self.options.forget_bias:
            addends.append(self.options.forget_bias * np.eye(len(GATES))[1].reshape(-1, 1, 1))
        if self.peepholes:
            nothing = np.zeros_like(c)
            addends.append(np.stack([self.peepholes[0] * c, self.peepholes[1] * c, nothing, nothing]))
        z = self.arithmetic.affine([(x, self.W), (h, self.U)], *addends)
        i, f = point(self.activation(z[0]), self.ends), point(self.activation(z[1]), self.ends)
        g = point(self.squash_g(z[2]))
        raw_c = point(point(f * c) + point(i * g))
        new_c = clip(raw_c, self.options.cell_clip)
        z_o = z[3]
        if self.peepholes:
            seen = self.peepholes[2] * new_c
            z_o = total(z_o + seen, np.abs(z_o) + np.abs(seen))
        o = point(self.activation(z_o), self.ends)
        squashed = point(self.squash_c(new_c))
        raw_h = point(o * squashed)
        if self.projection is not None:
            raw_h = self.arithmetic.affine([(raw_h, self.projection)])
        gates = np.stack([i, f, g, o])
        return Step(x, h, c, gates, raw_c, new_c, squashed, raw_h, clip(raw_h, self.options.projection_clip))

    def back(self, step: Step, dh: Array, dc: Array) -> tuple[Array, Array]:
        """Gradients through one step: from dh (B, P) and dc (B, H) to dz (4, B, H) and the c that entered, (B, H).

        Adds this step's part to the weights' gradients.
        """
        point = self.arithmetic.point
        i, f, g, o = step.gates
        dh = unclip(dh, step.raw_h, self.options.projection_clip)
        if self.projection is not None:
            self._sum("projection", self.projection).product(point(o * step.squashed), dh)
            dh = self.arithmetic.affine([(dh, self.projection.T)])
        dz_o = point(point(dh * step.squashed) * point(self.slope(o)))
        dc = point(dc + point(point(dh * o) * point(self.slope_c(step.squashed))))
        if self.peepholes:
            self._sum("peephole_o", self.peepholes[2]).rows(point(dz_o * step.c))
            dc = point(dc + point(dz_o * self.peepholes[2]))
        dc = unclip(dc, step.raw_c, self.options.cell_clip)
        dz_i = point(point(dc * g) * point(self.slope(i)))
        dz_f = point(point(dc * step.c_in) * point(self.slope(f)))
        dz_g = point(point(dc * i) * point(self.slope_g(g)))
        dc_in = point(dc * f)
        if self.peepholes:
            self._sum("peephole_i", self.peepholes[0]).rows(point(dz_i * step.c_in))
            self._sum("peephole_f", self.peepholes[1]).rows(point(dz_f * step.c_in))
            dc_in = point(dc_in + point(dz_i * self.peepholes[0]) + point(dz_f * self.peepholes[1]))
        dz = np.stack([dz_i, dz_f, dz_g, dz_o])
        self._sum("kernel", self.W).product(step.x, dz)
        self._sum("recurrent_kernel", self.U).product(step.h_in, dz)
        self._sum("bias", self.b).rows(dz)
        return dz, dc_in

    def through(self, dz: Array, weight: Array, mask: Array | None) -> Array:
        """Return sum over g of mask[g] * (dz_g weight_g^T), one rounded sum: dz (4, B, H) to (B, I)."""
        transposed = weight.transpose(0, 2, 1)
        factor = np.ones((1, 1, 1)) if mask is None else mask
        value = (factor * (dz @ transposed)).sum(axis=0)
        if self.arithmetic.rounding is None:
            return np.asarray(value)
        magnitude = (np.abs(factor) * (np.abs(dz) @ np.abs(transposed))).sum(axis=0)
        return self.arithmetic.total(value, magnitude)

    def gradients(self) -> Arrays:
        """The weights' gradients over all steps so far, canonical; a dropped weight's reaches the raw weight."""
        found = {name: total.total for name, total in self._sums.items()}
        found["kernel"] = gates_last(found["kernel"])
        found["recurrent_kernel"] = gates_last(self.arithmetic.times(found["recurrent_kernel"], self.recurrent_mask))
        found["bias"] = found["bias"].reshape(-1)
        return found

    def _sum(self, name: str, like: Array) -> Accumulator:
        if name not in self._sums:
            self._sums[name] = Accumulator(like, self.arithmetic)
        return self._sums[name]


def clip(value: Array, limit: float | None) -> Array:
    """The value within [-limit, limit]."""
    return value if limit is None else np.asarray(np.clip(value, -limit, limit))


def unclip(gradient: Array, value: Array, limit: float | None) -> Array:
    """The gradient before a clip of `value`: 0 where it was cut."""
    return gradient if limit is None else np.where(np.abs(value) <= limit, gradient, 0.0)
