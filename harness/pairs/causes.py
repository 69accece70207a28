"""What common mistake explains where two programs part; named only where numbers prove it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.frameworks.contract.programs import DECISION, Arrays, Trace
from harness.pairs.divergence import NEAR, Parting, limit_of, proportion, size, trivial
from harness.pairs.pairing import Pairing

#: What a setting is called in sentences.
NAMES = {"eps": "epsilon", "approximate": "gelu's approximation", "dim": "the axis", "p": "the rate"}
#: Settings that say nothing of what is computed.
IDLE = frozenset(
    (
        *(
            "training",
            "train",
            "train_is",
            "cudnn_enabled",
            "benchmark",
            "deterministic",
            "half_to_float",
            "memory_format",
        ),
        *("non_blocking", "self", "other", "size", "output_mask", "transposed", "output_padding", "split_size"),
    )
)


def of_draws(mine: Trace, theirs: Trace, pairing: Pairing, mode: str) -> str:
    """Why draws do not pair."""
    some = [[draw for draw in trace.draws if not draw.idle] for trace in (mine, theirs)]
    if mode == "eval" and some[1] and not some[0]:
        return "the second drops in evaluation, where the first does not: is its dropout always on?"
    if mode == "eval" and some[0] and not some[1]:
        return "the first drops in evaluation, and the second does not"
    hidden = of_hidden_draws(mine, theirs)
    if hidden:
        return hidden
    if some[0] and not some[1]:
        return "the second draws nothing in training: is its dropout off, or the model in evaluation mode?"
    if some[1] and not some[0]:
        return "the first draws nothing in training"
    hints = list(dict.fromkeys(pairing.hints.values()))
    if hints:
        verb = "makes" if hints[0].startswith(("one draw", "a draw")) else "draws with"
        return f"the second {verb} {hints[0]}"
    paired = {(round(theirs.draws[m.theirs].p, 6), theirs.draws[m.theirs].shape) for m in pairing.matches}
    extra = [theirs.draws[n] for n in pairing.only_theirs]
    if extra and not pairing.only_mine and all((round(d.p, 6), d.shape) in paired for d in extra):
        return "the second drops twice where the first drops once"
    if pairing.only_mine and not pairing.only_theirs:
        return "the second leaves out what the first draws at " + _where(mine, pairing.only_mine[0])
    if pairing.only_theirs and not pairing.only_mine:
        return "the first has no draw such as the second's at " + _where(theirs, pairing.only_theirs[0])
    return ""


def of_hidden_draws(mine: Trace, theirs: Trace) -> str:
    """Which program draws from a generator that no framework owns: seen, and not replayed."""
    for word, trace in (("second", theirs), ("first", mine)):
        for note in trace.notes:
            if note.startswith("draws from "):
                return f"the {word} {note}"
    return ""


def of_repetition(before: Trace, again: Trace, word: str, limits: Mapping[str, float]) -> str:
    """Whether a program returned something else when it was called again with the same inputs and draws."""
    for name, array in before.outputs.items():
        other = again.outputs.get(name)
        if other is None or other.shape != array.shape:
            return f"the {word} is not deterministic: called again, it returned another shape of {name!r}"
        if not np.allclose(array, other, rtol=0.0, atol=limits.get(name, 0.0), equal_nan=True):
            return f"the {word} is not deterministic: called again with the same inputs and draws, it returned another {name!r}"
    return ""


def of_gradients(mine: Arrays, theirs: Arrays) -> str:
    """Why gradients alone part: parameters and inputs that only one program cuts off."""
    shared = [name for name in mine if name in theirs]
    for word, cut, other in (("second", theirs, mine), ("first", mine, theirs)):
        names = [name.partition("/")[2] for name in shared if not np.any(cut[name]) and np.any(other[name])]
        if names:
            return f"outputs agree, but the {word} cuts off the gradients of {', '.join(names[:4])}"
    return ""


def _where(trace: Trace, number: int) -> str:
    draw = trace.draws[number]
    return ", ".join(part for part in (draw.scope, draw.place) if part) or f"draw {number}"


def of_values(mine: Trace, theirs: Trace, pairing: Pairing, parting: Parting) -> str:
    """Why values part."""
    flipped = [m for m in pairing.matches if m.flipped and _both_native(mine, theirs, m.mine[0], m.theirs)]
    if flipped:
        p, q = mine.draws[flipped[0].mine[0]].p, theirs.draws[flipped[0].theirs].p
        return KEEP_AS_RATE % (q, p)
    settings = other_settings(mine, theirs, parting)
    if settings:
        return settings
    if parting.first is None or parting.second is None:
        return ""
    ratio = _constant_ratio(mine, theirs, parting)
    if math.isfinite(ratio):
        return _ratio(mine, ratio)
    if parting.relative < NEAR:
        return _near(mine, theirs, parting)
    return ""


def of_upright(mine: Trace, theirs: Trace, pairing: Pairing, parting: Parting) -> str:
    """Whether complementary probabilities mean a keep probability given as a rate: with the decisions handed over as they are,
    all that is left is the other scale.
    """
    if parting.first is None or parting.second is None:
        return ""
    ratio = _constant_ratio(mine, theirs, parting)
    for match in pairing.matches:
        p, q = mine.draws[match.mine[0]].p, theirs.draws[match.theirs].p
        for keep, other in ((p, q), (1.0 - p, 1.0 - q)) if match.flipped else ():
            if math.isclose(ratio, keep / other, rel_tol=1e-4):
                return KEEP_AS_RATE % (other, keep)
    return ""


#: Of (the second's, the first's) keep probability.
KEEP_AS_RATE = (
    "the second keeps with probability %.4g where the first keeps with %.4g: "
    "the keep probability stands where the rate belongs"
)


def _both_native(mine: Trace, theirs: Trace, first: int, second: int) -> bool:
    """Whether both decisions are a framework's own, in which true always means kept."""
    return mine.draws[first].rule == "" and theirs.draws[second].rule == "" and mine.draws[first].kind == DECISION


#: How many operations after the place are searched for one that is a constant times another.
WINDOW = 6


def _constant_ratio(mine: Trace, theirs: Trace, parting: Parting) -> float:
    """The constant by which a result of the second, at or just after the place, is a result of the first; NaN: none is.

    Where a factor is left out the two part one operation before, or after, the results that differ by it alone.
    """
    assert parting.first is not None and parting.second is not None
    ours = mine.clean_prints if len(mine.clean_prints) else mine.prints
    for first in range(parting.first, min(parting.first + WINDOW, len(ours))):
        if parting.pairs[first] >= 0 or trivial(ours[first], mine.steps[first]):
            continue
        for second in range(parting.second, min(parting.second + WINDOW, len(theirs.prints))):
            if size(mine.steps[first]) == size(theirs.steps[second]):
                found = proportion(ours[first], theirs.prints[second], limit_of(mine, ours, first))
                if math.isfinite(found):
                    return found
    return float("nan")


def _ratio(mine: Trace, ratio: float) -> str:
    for draw in mine.draws:
        for keep in {draw.p, 1.0 - draw.p} if draw.kind == DECISION and 0.0 < draw.p < 1.0 else ():
            if math.isclose(ratio, keep, rel_tol=1e-4):
                return f"survivors are not divided by the keep probability {keep:.4g}"
            if math.isclose(ratio, 1.0 / keep, rel_tol=1e-4):
                return f"survivors are divided by the keep probability {keep:.4g} twice, or where the first does not"
    if math.isclose(ratio, -1.0, rel_tol=1e-4):
        return "the second has the other sign"
    return f"the second is {ratio:.6g} times the first"


def _near(mine: Trace, theirs: Trace, parting: Parting) -> str:
    assert parting.first is not None and parting.second is not None
    first, second = mine.steps[parting.first], theirs.steps[parting.second]
    if second.dtype in ("float16", "bfloat16") and first.dtype not in ("float16", "bfloat16"):
        return f"the second computes in {second.dtype} there"
    ours = _ops_before(mine, parting.first, {n for n, other in enumerate(parting.pairs) if other >= 0})
    others = _ops_before(theirs, parting.second, set(parting.pairs.tolist()))
    words = ours | others
    if "gelu" in words or (ours & ERF and "tanh" in others) or (others & ERF and "tanh" in ours):
        return "gelu by erf in one, by its tanh approximation in the other"
    if words & NORMALISING:
        return "a near miss in a normalisation, such as another epsilon makes"
    return "a near miss: the same function with another constant or approximation"


ERF = frozenset(("erf", "erfc"))
NORMALISING = frozenset(("native_layer_norm", "native_batch_norm", "native_group_norm", "rsqrt"))


def _ops_before(trace: Trace, last: int, agreed: set[int]) -> set[str]:
    """An operation and those just before it in the same line whose results agree with nothing."""
    place = trace.steps[last].place
    before = range(max(0, last - WINDOW), last)
    return {trace.steps[last].op} | {
        trace.steps[n].op for n in before if n not in agreed and trace.steps[n].place == place
    }


def other_settings(mine: Trace, theirs: Trace, parting: Parting) -> str:
    """The first operation that both have, on agreeing inputs or with agreeing results, but call with other numbers."""
    candidates: list[tuple[int, int]] = []
    if parting.first is not None and parting.second is not None:
        candidates.append((parting.first, parting.second))
    else:
        candidates += [(first, int(second)) for first, second in enumerate(parting.pairs) if second >= 0]
    for first, second in candidates:
        a, b = mine.steps[first], theirs.steps[second]
        if a.op != b.op or a.shape != b.shape:
            continue
        for name in a.settings:
            if name not in IDLE and name in b.settings and not same(a.settings[name], b.settings[name]):
                where = f" of {a.op}" + (f" at {b.scope}" if b.scope else "")
                return f"{NAMES.get(name, name)}{where} is {a.settings[name]} in the first and {b.settings[name]} in the second"
    return ""


def same(first: Any, second: Any) -> bool:
    """Whether two settings are the same; -1 and the last axis are not told apart by their numbers."""
    if isinstance(first, int | float) and isinstance(second, int | float):
        return bool(np.isclose(first, second, rtol=1e-6, atol=0.0))
    return bool(first == second)
