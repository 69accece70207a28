"""In which gate do the two part? One gate after another is taken to be wrong alone, and the outputs say what it must have been.

Kinds whose steps can be solved for a gate say how (`LayerKind.solved`). A gate that cannot have given the outputs is ruled out,
and what is left is named.
"""

from __future__ import annotations

import numpy as np

from harness.diagnosis.observed import Observed
from harness.diagnosis.setting import Setting
from harness.layers._solved import Seen, Told

#: So many elements must have decided something.
ENOUGH = 8


def gate_of(one: Observed) -> str:
    """The gate that can account for y by itself, or the two that each can; "" where more can, none can, or nothing is told."""
    setting = one.setting
    if not _plain(setting) or one.expected is None or one.right("y"):
        return ""
    y, expected = np.asarray(one.actual["y"], dtype=np.float64), one.expected["y"]
    if y.shape != expected.shape or not np.isfinite(y).all():
        return ""
    c = one.actual.get("c")
    seen = Seen(
        setting.inputs, setting.weights, y, None if c is None else np.asarray(c, dtype=np.float64), len(setting.gates)
    )
    told: dict[str, Told] = {}
    for gate in setting.gates:
        with np.errstate(all="ignore"):
            solution = setting.kind.solved(setting.config, seen, gate)
        if solution is None:
            return ""
        told[gate] = solution
    possible = [gate for gate, solution in told.items() if not solution.impossible and solution.decided >= ENOUGH]
    others = [solution for gate, solution in told.items() if gate not in possible]
    gates = [gate for gate in setting.kind.gates if gate.letter in possible]
    if len(gates) == 2 and gates[0].through == gates[1].letter:
        gates = gates[:1]
    if len(gates) not in (1, 2) or not all(solution.impossible >= 2 for solution in others):
        return ""
    words = " or ".join(gate.words for gate in gates)
    return f"{words} alone can give these outputs, no other gate alone can"


def _plain(setting: Setting) -> bool:
    """One layer in one direction whose y is every step's h, without dropout in this pass."""
    return (
        len(setting.gates) > 1
        and setting.kind.forward(setting.config)
        and setting.dtype in ("float32", "float64")
        and setting.groups == ("",)
        and "lengths" not in setting.inputs
        and bool(setting.config.return_sequences)
        and not (setting.train and setting.draws)
    )
