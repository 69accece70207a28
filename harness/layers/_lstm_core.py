"""One LSTM layer over one sequence in one direction, forward and backward: which state enters which step, and what leaves.

With the step of harness.layers._lstm_cell, masks m (1 where nothing is dropped) and position t in the sequence:

    h_t, c_t = step(m_x[g,:,t] * x_t, m_h[g,:,t] * h', m_c[:,t] * c')       (h', c'): the state that the last step left

Masks on x and h: Gal & Ghahramani, *A Theoretically Grounded Application of Dropout in Recurrent Neural Networks*, 2016
(arXiv 1512.05287), section 4, where they do not depend on t and are one for each gate (untied weights) or the same for
all (tied). Masks on c are discussed by Semeniuta, Severyn & Barth, *Recurrent Dropout without Memory Loss*, 2016 (arXiv
1603.05118). With `leaving` the state's masks act on what leaves a step instead of what enters it (TensorFlow 1's
`DropoutWrapper`): the initial state is whole, the last one is dropped, the emitted output is untouched.

`lengths` makes a sequence end early: after it the state is carried on unchanged, and y is `zeros` (torch's packed
sequences, TensorFlow 1's dynamic_rnn), or it `repeat`s the last valid output (Keras; zeros before the first). With `free`
the steps run on, and only the last state is taken at the end of the sequence (Flax's `nnx.RNN`).
Backward: the chain rule on these lines (backpropagation through time).

Axes: gates 4 (i, f, g, o), B batch, T time, D input features, H units, P outputs (H without a projection).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.layers._arithmetic import Arithmetic, Array
from harness.layers._lstm_cell import Cell, Step
from harness.records import Arrays


@dataclass(frozen=True, slots=True)
class Masks:
    """Multipliers of one layer, each broadcast to its full shape but for the gates; None: nothing happens there.

    x (1 or 4, B, T, D), h (1 or 4, B, T, P), c (B, T, H). `leaving`: h and c act on the state that leaves a step.
    """

    x: Array | None = None
    h: Array | None = None
    c: Array | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """How a layer walks through its sequence. lengths: (B,) valid steps, None: all."""

    backwards: bool = False
    lengths: Array | None = None
    padding: str | None = None


@dataclass(frozen=True, slots=True)
class LayerGradients:
    """Gradients of one layer: x (B, T, D), h0 (B, P), c0 (B, H), and the canonical weights by name."""

    x: Array
    h0: Array
    c0: Array
    weights: Arrays


class LayerRun:
    """One layer's pass over x (B, T, D), kept for its backward pass.

    h (B, T, P), c (B, T, H): what each step computed; gates (4, B, T, H), activated. y (B, T, P): what is emitted at each
    position. last_h (B, P), last_c (B, H): the state at the end.
    """

    def __init__(
        self, x: Array, h0: Array, c0: Array, cell: Cell, masks: Masks, course: Course, arithmetic: Arithmetic
    ) -> None:
        self.x, self.cell, self.masks, self.course, self.arithmetic = x, cell, masks, course, arithmetic
        steps = x.shape[1]
        self.order = range(steps - 1, -1, -1) if course.backwards else range(steps)
        self.steps: dict[int, Step] = {}
        self.valid: Array | None = None
        self.ends: Array | None = None
        if course.lengths is not None and course.padding == "free":
            self.ends = np.arange(steps) == course.lengths[:, None] - 1
        elif course.lengths is not None:
            self.valid = np.arange(steps) < course.lengths[:, None]
        self._forward(h0, c0)

    def _forward(self, h: Array, c: Array) -> None:
        last_h, last_c = h, c
        emitted: dict[int, Array] = {}
        shown = np.zeros_like(h)
        for t in self.order:
            step = self.cell.step(
                self._times(self.x[None, :, t], self.masks.x, t),
                h[None] if self.masks.leaving else self._times(h[None], self.masks.h, t),
                c if self.masks.leaving else self._times(c, self.masks.c, t),
            )
            self.steps[t] = step
            new_h, new_c = step.h, step.c
            if self.masks.leaving:
                new_h = self._times(new_h[None], self.masks.h, t)[0]
                new_c = self._times(new_c, self.masks.c, t)
            if self.valid is None:
                h, c, emitted[t] = new_h, new_c, step.h
            else:
                valid = self.valid[:, t, None]
                h, c = np.where(valid, new_h, h), np.where(valid, new_c, c)
                shown = np.where(valid, step.h, shown if self.course.padding == "repeat" else 0.0)
                emitted[t] = shown
            if self.ends is not None:
                ends = self.ends[:, t, None]
                last_h, last_c = np.where(ends, h, last_h), np.where(ends, c, last_c)
        steps = range(self.x.shape[1])
        self.y = np.stack([emitted[t] for t in steps], axis=1)
        self.h = np.stack([self.steps[t].h for t in steps], axis=1)
        self.c = np.stack([self.steps[t].c for t in steps], axis=1)
        self.gates = np.stack([self.steps[t].gates for t in steps], axis=2)
        self.last_h, self.last_c = (h, c) if self.ends is None else (last_h, last_c)

    def backward(self, dy: Array, dh: Array, dc: Array) -> LayerGradients:
        """Backpropagate dy (B, T, P), the cotangent of y, and dh (B, P), dc (B, H), those of the last state."""
        arithmetic, masks = self.arithmetic, self.masks
        dx = np.zeros_like(self.x)
        dy = self._unpadded(dy)
        end_h, end_c = dh, dc
        if self.ends is not None:
            dh, dc = np.zeros_like(dh), np.zeros_like(dc)
        for t in reversed(self.order):
            if self.ends is not None:
                ends = self.ends[:, t, None]
                dh = np.where(ends, arithmetic.point(dh + end_h), dh)
                dc = np.where(ends, arithmetic.point(dc + end_c), dc)
            carried_h, carried_c = np.zeros_like(dh), np.zeros_like(dc)
            if self.valid is not None:
                valid = self.valid[:, t, None]
                carried_h, carried_c = np.where(valid, 0.0, dh), np.where(valid, 0.0, dc)
                dh, dc = np.where(valid, dh, 0.0), np.where(valid, dc, 0.0)
            if masks.leaving:
                dh, dc = self._times(dh[None], masks.h, t)[0], self._times(dc, masks.c, t)
            dz, dc = self.cell.back(self.steps[t], arithmetic.point(dh + dy[:, t]), dc)
            dx[:, t] = self.cell.through(dz, self.cell.W, None if masks.x is None else masks.x[:, :, t])
            entering = None if masks.h is None or masks.leaving else masks.h[:, :, t]
            dh = self.cell.through(dz, self.cell.U, entering)
            dc = dc if masks.leaving else self._times(dc, masks.c, t)
            if self.valid is not None:
                dh, dc = dh + carried_h, dc + carried_c
        return LayerGradients(dx, dh, dc, self.cell.gradients())

    def _times(self, value: Array, mask: Array | None, t: int) -> Array:
        """The value times its mask at position t."""
        return self.arithmetic.times(value, None if mask is None else mask[..., t, :])

    def _unpadded(self, dy: Array) -> Array:
        """The cotangent of each valid step's h; a repeated output hands its cotangent to the step that it repeats."""
        if self.valid is None:
            return dy
        dy = dy.copy()
        waiting = np.zeros_like(dy[:, 0])
        for t in reversed(self.order):
            valid = self.valid[:, t, None]
            if self.course.padding == "repeat":
                waiting = self.arithmetic.point(waiting + dy[:, t])
                dy[:, t] = np.where(valid, waiting, 0.0)
                waiting = np.where(valid, 0.0, waiting)
            else:
                dy[:, t] = np.where(valid, dy[:, t], 0.0)
        return dy
