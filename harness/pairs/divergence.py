"""The first place where two programs part: operations matched by the values of their results, whatever the names and layouts.

Every operation's result has a fingerprint that no order of its elements changes (harness.frameworks.contract.programs). Two
results agree where their fingerprints lie within K times what rounding moves the first's. The place where the programs part is,
on either side, the first operation that leads to an output, agrees with nothing, and from which nothing that agrees can be
reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.tolerance import K
from harness.frameworks.contract.programs import KEPT, Step, Trace
from harness.pairs.judging import U

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Parting:
    """Where two programs part.

    agreed    (operation of the first, of the second) whose results agree and that lead to the place; () where nothing does.
    first, second   the operations at which each goes its own way; None where it has no such place.
    limits    distance of their results in limits, where they have one size; NaN elsewhere.
    relative  the same over the largest value.
    pairs     for every operation of the first the one of the second that agrees with it; -1: none.
    unlike    whether the values agree there, and only shapes do not.
    """

    agreed: tuple[int, int] | None
    first: int | None
    second: int | None
    limits: float
    relative: float
    pairs: NDArray[np.int64]
    unlike: bool = False


def parting(mine: Trace, theirs: Trace) -> Parting:
    """Find the place. Both traces must have been made with `values`."""
    ours = mine.clean_prints if len(mine.clean_prints) else mine.prints
    limits = np.array([limit_of(mine, ours, number) for number in range(len(ours))])
    pairs = matched(mine.steps, ours, limits, theirs.steps, theirs.prints)
    back = np.full(len(theirs.steps), -1, dtype=np.int64)
    for index in range(len(pairs) - 1, -1, -1):
        if pairs[index] >= 0:
            back[pairs[index]] = index
    # Several of the second's operations may have the value of one of the first's.
    back = np.where(back >= 0, back, _reverse(mine.steps, ours, limits, theirs.steps, theirs.prints))
    here, there = frontier(mine, ours, pairs >= 0), frontier(theirs, theirs.prints, back >= 0)
    first, second, gap = _nearest(here, there, mine.steps, ours, theirs.steps, theirs.prints, limits)
    near = _near_miss(here, there, pairs, back, mine.steps, ours, theirs.steps, theirs.prints)
    if near is not None:
        first, second = near
        gap = float(np.max(np.abs(ours[first] - theirs.prints[second]))) / (limits[first] or float("inf"))
    agreed = None
    for index in sorted(_before(mine.steps, first), reverse=True) if first is not None else ():
        if pairs[index] >= 0 and not trivial(ours[index], mine.steps[index]):
            agreed = (index, int(pairs[index]))
            break
    relative = float("nan")
    if first is not None and second is not None and np.isfinite(gap):
        a, b = ours[first], theirs.prints[second]
        relative = float(np.max(np.abs(a - b)) / (np.max(np.abs(a)) or 1.0))
    return Parting(agreed, first, second, gap, relative, pairs)


def limit_of(trace: Trace, prints: Float64, number: int) -> float:
    """What rounding may move an operation's fingerprint by, K times."""
    spread = float(trace.spread[number]) if len(trace.spread) else 0.0
    return K * max(spread, U * float(np.max(np.abs(prints[number]), initial=0.0)))


def size(step: Step) -> int:
    """How many elements an operation's result has."""
    return int(np.prod(step.shape, dtype=np.int64))


def matched(
    steps: list[Step], ours: Float64, limits: Float64, others: list[Step], theirs: Float64
) -> NDArray[np.int64]:
    """For every operation of the first the nearest one of the second within its limit, in order where several are; -1: none."""
    found = np.full(len(steps), -1, dtype=np.int64)
    groups: dict[int, list[int]] = {}
    for number, step in enumerate(others):
        groups.setdefault(size(step), []).append(number)
    for number, step in enumerate(steps):
        candidates = groups.get(size(step), [])
        if not candidates:
            continue
        gaps = np.max(np.abs(theirs[candidates] - ours[number]), axis=1)
        near = [candidate for candidate, gap in zip(candidates, gaps, strict=True) if gap <= limits[number]]
        if near:
            # The same operation, and one not taken yet, before any other that agrees.
            taken = set(found[:number].tolist())
            found[number] = min(near, key=lambda n: (others[n].op != step.op, n in taken, n))
    return found


def _reverse(
    steps: list[Step], ours: Float64, limits: Float64, others: list[Step], theirs: Float64
) -> NDArray[np.int64]:
    found = np.full(len(others), -1, dtype=np.int64)
    groups: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        groups.setdefault(size(step), []).append(number)
    for number, step in enumerate(others):
        candidates = groups.get(size(step), [])
        if candidates:
            gaps = np.max(np.abs(ours[candidates] - theirs[number]), axis=1)
            near = np.flatnonzero(gaps <= limits[candidates])
            if near.size:
                found[number] = candidates[int(near[0])]
    return found


def trivial(values: Float64, step: Step) -> bool:
    """Whether a result agrees with others by accident: a constant, or zeros and ones."""
    kept = values[: min(size(step), KEPT)]
    return kept.size == 0 or np.unique(kept).size <= 2


def frontier(trace: Trace, prints: Float64, agrees: NDArray[np.bool_]) -> list[int]:
    """The first operations that agree with nothing, reach nothing that agrees, and lead to an output."""
    steps = trace.steps
    children: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for source in step.inputs:
            children[source].append(number)
    alive = [False] * len(steps)
    reaches = [False] * len(steps)
    for step_number in trace.output_steps.values():
        reaches[step_number] = True
    for number in range(len(steps) - 1, -1, -1):
        plain = trivial(prints[number], steps[number])
        alive[number] = (agrees[number] and not plain) or any(alive[child] for child in children[number])
        reaches[number] = reaches[number] or any(reaches[child] for child in children[number])
    dead = {n for n in range(len(steps)) if reaches[n] and not alive[n] and not trivial(prints[n], steps[n])}
    return [number for number in sorted(dead) if not any(source in dead for source in steps[number].inputs)]


def _before(steps: list[Step], last: int | None) -> set[int]:
    """All operations whose results an operation rests on."""
    found: set[int] = set()
    open_ = list(steps[last].inputs) if last is not None else []
    while open_:
        number = open_.pop()
        if number not in found:
            found.add(number)
            open_ += steps[number].inputs
    return found


def _nearest(
    here: list[int],
    there: list[int],
    steps: list[Step],
    ours: Float64,
    others: list[Step],
    theirs: Float64,
    limits: Float64,
) -> tuple[int | None, int | None, float]:
    """The places to name: the earliest of each; of several in the second, the one nearest to the first's by value."""
    if not here or not there:
        return (here[0] if here else None), (there[0] if there else None), float("nan")
    first = here[0]
    alike = [number for number in there if size(others[number]) == size(steps[first])]
    if not alike:
        return first, there[0], float("nan")
    gaps = [float(np.max(np.abs(theirs[number] - ours[first]))) for number in alike]
    best = min(range(len(alike)), key=lambda n: (gaps[n], alike[n]))
    return first, alike[best], gaps[best] / limits[first] if limits[first] else float("inf")


#: Values that only just differ: the same function with another constant or by another formula.
NEAR = 0.02
#: How many operations after the places are searched for such values.
REACH = 16


def _near_miss(
    here: list[int],
    there: list[int],
    pairs: NDArray[np.int64],
    back: NDArray[np.int64],
    steps: list[Step],
    ours: Float64,
    others: list[Step],
    theirs: Float64,
) -> tuple[int, int] | None:
    """The first operations at or just after the places whose results nearly agree.

    What is one operation in one framework is several in another, so the places themselves may be no counterparts.
    """
    if not here or not there:
        return None
    candidates = [
        n
        for n in range(there[0], min(there[0] + REACH, len(others)))
        if back[n] < 0 and not trivial(theirs[n], others[n])
    ]
    for first in range(here[0], min(here[0] + REACH, len(steps))):
        if pairs[first] >= 0 or trivial(ours[first], steps[first]):
            continue
        top = float(np.max(np.abs(ours[first]))) or 1.0
        alike = [n for n in candidates if size(others[n]) == size(steps[first])]
        gaps = [float(np.max(np.abs(theirs[n] - ours[first]))) / top for n in alike]
        if gaps and min(gaps) < NEAR:
            return first, alike[int(np.argmin(gaps))]
    return None


def proportion(first: Float64, second: Float64, limit: float) -> float:
    """The number r with second = r first, within the limit; NaN where there is none."""
    top = int(np.argmax(np.abs(first)))
    if not first[top]:
        return float("nan")
    ratio = float(second[top] / first[top])
    if abs(second[top]) <= 2.0 * limit:
        # Nothing of the second is above the first's rounding: a ratio proves nothing.
        return float("nan")
    gap: Any = np.max(np.abs(second - ratio * first))
    # The ratio itself is known to one limit.
    return ratio if gap <= 2.0 * limit * max(abs(ratio), 1.0) else float("nan")
