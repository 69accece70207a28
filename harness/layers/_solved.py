"""What observed outputs say of one gate: solved for step by step, all other gates being right.

With every step's h observed, all that a cell reads is known, so each step can be solved for the one gate: the LSTM's
h = o tanh(c), c = f c' + i g and the GRU's h = z h' + (1 - z) n. A gate outside of its range (0 to 1; -1 to 1 for g and n), or
a c that is not the observed one in the end, rules it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.layers._lstm_cell import ACTIVATIONS
from harness.records import Arrays

Array = np.ndarray
#: A solved gate may leave its range by this much, and numbers smaller than it decide nothing: they stand for rounding.
ROOM = 1e-2


@dataclass
class Told:
    """What one gate's solution says: elements that were decided, and those that it could not have given."""

    decided: int = 0
    impossible: int = 0

    def range(self, values: Array, low: float, high: float, informative: Array) -> None:
        """Count the values outside of [low, high]."""
        with np.errstate(invalid="ignore"):
            outside = ~((values >= low - ROOM) & (values <= high + ROOM)) & informative
        self.decided += int(np.count_nonzero(informative))
        self.impossible += int(np.count_nonzero(outside))


@dataclass(frozen=True)
class Seen:
    """One layer in one direction without dropout. y (B, T, H): every step's h as it was observed; c: the last one, or None."""

    inputs: Arrays
    weights: Arrays
    y: Array
    c: Array | None
    gates: int

    def steps(self) -> Iterator[tuple[Array, Array, Array]]:
        """For each step x W + b and h' U, (G, B, H), and h' (B, H), the observed h of the step before."""
        x = self.inputs["x"]
        W, U = (self.blocks(self.weights[name]) for name in ("kernel", "recurrent_kernel"))
        b = self.weights["bias"].reshape(self.gates, 1, -1)
        v = self.weights.get("recurrent_bias", np.zeros(b.size)).reshape(self.gates, 1, -1)
        h = self.inputs.get("h0", np.zeros((x.shape[0], self.y.shape[2])))
        for t in range(x.shape[1]):
            yield x[:, t] @ W + b, h @ U + v, h
            h = self.y[:, t]

    def blocks(self, kernel: Array) -> Array:
        """(I, GH) to (G, I, H)."""
        return np.ascontiguousarray(kernel.reshape(kernel.shape[0], self.gates, -1).transpose(1, 0, 2))


def lstm(seen: Seen, gate: str, activation: str | None, shift: float) -> Told:
    """Follow the observed h with all gates but one right; c is what that one must have made it.

    activation of the gates, a name in ACTIVATIONS; shift is added to the forget gate's bias.
    """
    told, y = Told(), seen.y
    act = ACTIVATIONS[activation][0]
    c = seen.inputs.get("c0", np.zeros(y[:, 0].shape))
    known = np.ones(c.shape, dtype=bool)
    for t, (entering, recurrent, _) in enumerate(seen.steps()):
        a = entering + recurrent
        i, f, g, o = act(a[0]), act(a[1] + shift), np.tanh(a[2]), act(a[3])
        if gate == "o":
            c = f * c + i * g
            told.range(y[:, t] / np.tanh(c), 0.0, 1.0, np.abs(np.tanh(c)) > ROOM)
            continue
        squashed = y[:, t] / o
        told.range(squashed, -1.0, 1.0, o > ROOM)
        new = np.arctanh(np.clip(squashed, -1.0 + 1e-12, 1.0 - 1e-12))
        # Where the output gate is shut or tanh is flat, c is not told.
        clear = (o > ROOM) & (np.abs(squashed) < 0.99)
        made, by, low = {
            "i": ((new - f * c) / g, g, 0.0),
            "f": ((new - i * g) / c, c, 0.0),
            "g": ((new - f * c) / i, i, -1.0),
        }[gate]
        told.range(made, low, 1.0, known & clear & (np.abs(by) > ROOM))
        # What the gate does shows nowhere where its factor vanishes: there the step must be right.
        told.range(new - (f * c + i * g), 0.0, 0.0, known & clear & (np.abs(by) < ROOM / 100.0))
        c, known = np.where(clear, new, c), clear
    if seen.c is not None and seen.c.shape == c.shape:
        told.range(seen.c - c, 0.0, 0.0, known)
    return told


def gru(seen: Seen, gate: str, after: bool) -> Told:
    """Each step by itself: h' is observed. after: the reset gate acts after the recurrent product."""
    told, y = Told(), seen.y
    act = ACTIVATIONS[None][0]
    U = seen.blocks(seen.weights["recurrent_kernel"])[2]
    for t, (entering, recurrent, before) in enumerate(seen.steps()):
        z, r = act(entering[0] + recurrent[0]), act(entering[1] + recurrent[1])
        n = np.tanh(entering[2] + (r * recurrent[2] if after else (r * before) @ U))
        h = y[:, t]
        if gate == "z":
            told.range((h - n) / (before - n), 0.0, 1.0, np.abs(before - n) > ROOM)
            told.range(h - n, 0.0, 0.0, np.abs(before - n) < ROOM / 100.0)
            continue
        new = (h - z * before) / (1.0 - z)
        told.range(new, -1.0, 1.0, z < 1.0 - ROOM)
        if gate == "r" and after:
            a = np.arctanh(np.clip(new, -1.0 + 1e-12, 1.0 - 1e-12))
            clear = (z < 1.0 - ROOM) & (np.abs(new) < 0.99)
            told.range((a - entering[2]) / recurrent[2], 0.0, 1.0, clear & (np.abs(recurrent[2]) > ROOM))
            told.range(a - entering[2], 0.0, 0.0, clear & (np.abs(recurrent[2]) < ROOM / 100.0))
    return told
