"""In which gate do the two part? One gate after another is taken to be wrong alone, and the outputs say what it must have been.

With every step's h observed, all that a cell reads is known, so each step can be solved for the one gate: the LSTM's
h = o tanh(c), c = f c' + i g and the GRU's h = z h' + (1 - z) n. A gate outside of its range (0 to 1; -1 to 1 for g and n), or
a c that is not the observed one in the end, rules it out. What is left is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.diagnosis.observed import Observed
from harness.diagnosis.setting import Setting
from harness.layers._lstm_cell import ACTIVATIONS

Array = np.ndarray
#: A solved gate may leave its range by this much, and numbers smaller than it decide nothing: they stand for rounding.
ROOM = 1e-2
#: So many elements must have decided something.
ENOUGH = 8
WORDS = {
    "i": "the input gate i",
    "f": "the forget gate f",
    "g": "the candidate g",
    "o": "the output gate o",
    "z": "the update gate z",
    "r": "the reset gate r",
    "n": "the new value n",
}


@dataclass
class _Told:
    """What one gate's solution says: elements that were decided, and those that it could not have given."""

    decided: int = 0
    impossible: int = 0

    def range(self, values: Array, low: float, high: float, informative: Array) -> None:
        """Count the values outside of [low, high]."""
        with np.errstate(invalid="ignore"):
            outside = ~((values >= low - ROOM) & (values <= high + ROOM)) & informative
        self.decided += int(np.count_nonzero(informative))
        self.impossible += int(np.count_nonzero(outside))


def gate_of(one: Observed) -> str:
    """The gate that can account for y by itself, or the two that each can; "" where more can, none can, or nothing is told."""
    setting = one.setting
    if not _plain(setting) or one.expected is None or one.right("y"):
        return ""
    y, expected = np.asarray(one.actual["y"], dtype=np.float64), one.expected["y"]
    if y.shape != expected.shape or not np.isfinite(y).all():
        return ""
    solve: Callable[[Observed, str], _Told] = _lstm if setting.kind.name == "lstm" else _gru
    with np.errstate(all="ignore"):
        told = {gate: solve(one, gate) for gate in setting.gates}
    possible = [gate for gate, found in told.items() if not found.impossible and found.decided >= ENOUGH]
    others = [found for gate, found in told.items() if gate not in possible]
    if possible == ["r", "n"]:
        # The reset gate acts through n, so what it can do n can.
        possible = ["r"]
    if len(possible) not in (1, 2) or not all(found.impossible >= 2 for found in others):
        return ""
    words = " or ".join(WORDS[gate] for gate in possible)
    return f"{words} alone can give these outputs, no other gate alone can"


def _plain(setting: Setting) -> bool:
    """One layer in one direction whose y is every step's h, without dropout in this pass."""
    config = setting.config
    odd = ("bidirectional", "go_backwards", "peepholes", "cell_clip", "projection")
    return (
        setting.kind.name in ("lstm", "gru")
        and setting.dtype in ("float32", "float64")
        and setting.groups == ("",)
        and "lengths" not in setting.inputs
        and bool(config.return_sequences)
        and not any(getattr(config, name, None) for name in odd)
        and not (setting.train and setting.draws)
    )


def _steps(one: Observed) -> Iterator[tuple[Array, Array, Array]]:
    """For each step x W + b and h' U, (G, B, H), and h' (B, H), the observed h of the step before."""
    setting = one.setting
    gates = len(setting.gates)
    x, y = setting.inputs["x"], np.asarray(one.actual["y"], dtype=np.float64)
    W, U = (_blocks(setting.weights[name], gates) for name in ("kernel", "recurrent_kernel"))
    b = setting.weights["bias"].reshape(gates, 1, -1)
    v = setting.weights.get("recurrent_bias", np.zeros(b.size)).reshape(gates, 1, -1)
    h = setting.inputs.get("h0", np.zeros((x.shape[0], y.shape[2])))
    for t in range(x.shape[1]):
        yield x[:, t] @ W + b, h @ U + v, h
        h = y[:, t]


def _blocks(kernel: Array, gates: int) -> Array:
    """(I, GH) to (G, I, H)."""
    return np.ascontiguousarray(kernel.reshape(kernel.shape[0], gates, -1).transpose(1, 0, 2))


def _lstm(one: Observed, gate: str) -> _Told:
    """Follow the observed h with all gates but one right; c is what that one must have made it."""
    setting, told = one.setting, _Told()
    act = ACTIVATIONS[setting.config.recurrent_activation][0]
    y = np.asarray(one.actual["y"], dtype=np.float64)
    c = setting.inputs.get("c0", np.zeros(y[:, 0].shape))
    known = np.ones(c.shape, dtype=bool)
    shift = float(getattr(setting.config, "forget_bias", 0.0))
    for t, (entering, recurrent, _) in enumerate(_steps(one)):
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
    last = one.actual.get("c")
    if last is not None and last.shape == c.shape:
        told.range(np.asarray(last, dtype=np.float64) - c, 0.0, 0.0, known)
    return told


def _gru(one: Observed, gate: str) -> _Told:
    """Each step by itself: h' is observed."""
    setting, told = one.setting, _Told()
    y = np.asarray(one.actual["y"], dtype=np.float64)
    act = ACTIVATIONS[None][0]
    U = _blocks(setting.weights["recurrent_kernel"], 3)[2]
    for t, (entering, recurrent, before) in enumerate(_steps(one)):
        z, r = act(entering[0] + recurrent[0]), act(entering[1] + recurrent[1])
        after = setting.config.reset_after
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
