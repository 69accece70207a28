"""Which draw of the port is which draw of the original, without any map of names.

Two draws can stand for one another where kind, probability (or its complement) and shape (up to an order of axes) are the same.
They pair in order within each group of such draws; draws on which no output rests stay what they are. A loop's draws, a step at
a time, pair with one draw over all steps. What does not pair is a finding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.frameworks.contract.programs import DECISION, UNIFORM, Drawn

#: How far a probability may be rounded by the dtype that the draw is made in.
COARSE = {"bfloat16": 2.0**-7, "float16": 2.0**-10}
EXACTLY = 1e-6

#: An order of axes; None: as they are (sizes of 1 do not count).
Layout = tuple[int, ...] | None


@dataclass(frozen=True)
class Match:
    """The draw `theirs` of the port takes the draws `mine` of the original: one, or one for each step of a loop (`part`: the
    port's is one step of the original's, at that index of its axis `axis`).

    flipped  true in the one is false in the other.   layouts  the orders of axes that fit, the likeliest first.
    """

    mine: tuple[int, ...]
    theirs: int
    flipped: bool = False
    layouts: tuple[Layout, ...] = (None,)
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pairing:
    """All matches, in the port's order, and what is left over on either side."""

    matches: tuple[Match, ...]
    only_mine: tuple[int, ...] = ()
    only_theirs: tuple[int, ...] = ()
    searched: str = ""
    hints: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left over."""
        return not self.only_mine and not self.only_theirs


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without its axes of 1."""
    return tuple(size for size in shape if size != 1)


def layouts(mine: Sequence[int], theirs: Sequence[int]) -> tuple[Layout, ...]:
    """The orders of axes in which one array fills another shape; the same order first, also where axes are joined or split."""
    first, second = squeezed(mine), squeezed(theirs)
    if math.prod(first) != math.prod(second):
        return ()
    found: list[Layout] = []
    if first == second or _joined(first, second) or _joined(second, first):
        found.append(None)
    if len(first) <= 6:
        for order in itertools.permutations(range(len(first))):
            turned = tuple(first[axis] for axis in order)
            if order != tuple(range(len(first))) and (turned == second or _joined(turned, second)):
                found.append(order)
    return tuple(found)


def _joined(split: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether `whole` is `split` with neighbouring axes joined."""
    position = 0
    for size in whole:
        product = 1
        while position < len(split) and product < size:
            product *= split[position]
            position += 1
        if product != size:
            return False
    return position == len(split)


def flips(mine: Drawn, theirs: Drawn) -> bool | None:
    """False where two draws are of one kind and probability, True where of complementary ones, None where they cannot pair."""
    kinds = {mine.kind, theirs.kind}
    if kinds != {DECISION}:
        return False if len(kinds) == 1 else None
    coarse = max([EXACTLY, *(COARSE[name] for name in COARSE if name in (mine.dtype, theirs.dtype))])
    if math.isnan(mine.p) or math.isnan(theirs.p):
        return False if math.isnan(mine.p) and math.isnan(theirs.p) else None
    if abs(mine.p - theirs.p) <= coarse:
        return False
    return True if abs(mine.p - (1.0 - theirs.p)) <= coarse else None


def pair(mine: Sequence[Drawn], theirs: Sequence[Drawn]) -> Pairing:
    """Pair two programs' draws."""
    left = {number: draw for number, draw in enumerate(mine) if not draw.idle}
    matches: dict[int, Match] = {}
    for number, draw in enumerate(theirs):
        if draw.idle:
            continue
        for index, other in left.items():
            flipped = flips(other, draw)
            ways = () if flipped is None else layouts(other.shape, draw.shape)
            if flipped is not None and ways:
                matches[number] = Match((index,), number, flipped, ways)
                del left[index]
                break
    _loops(left, theirs, matches)
    over = tuple(number for number, draw in enumerate(theirs) if number not in matches and not draw.idle)
    ordered = tuple(matches[number] for number in sorted(matches))
    return Pairing(ordered, tuple(left), over, hints=_hints(left, theirs, over))


def _loops(left: dict[int, Drawn], theirs: Sequence[Drawn], matches: dict[int, Match]) -> None:
    """Draws of one step each against one draw of all steps, in both directions."""
    for number, draw in enumerate(theirs):
        if number in matches or draw.idle:
            continue
        for first in list(left.values()):
            alike = [n for n, d in left.items() if (d.kind, d.shape, d.p) == (first.kind, first.shape, first.p)]
            flipped = flips(first, draw)
            steps = draw.values.size // (first.values.size or 1)
            if flipped is None or steps < 2 or len(alike) < steps:
                continue
            ways = layouts((steps, *first.shape), draw.shape)
            if ways:
                matches[number] = Match(tuple(alike[:steps]), number, flipped, ways)
                for used in alike[:steps]:
                    del left[used]
                break
    for index, whole in list(left.items()):
        open_ = [n for n in range(len(theirs)) if n not in matches and not theirs[n].idle]
        free = [n for n in open_ if flips(whole, theirs[n]) is not None]
        if not free:
            continue
        one = theirs[free[0]]
        alike = [n for n in free if theirs[n].shape == one.shape]
        steps = whole.values.size // (one.values.size or 1)
        if steps < 2 or len(alike) < steps:
            continue
        for axis, size in enumerate(whole.shape):
            rest = whole.shape[:axis] + whole.shape[axis + 1 :]
            ways = layouts(rest, one.shape)
            if size == steps and ways:
                for step, number in enumerate(alike[:steps]):
                    flipped = bool(flips(whole, theirs[number]))
                    matches[number] = Match((index,), number, flipped, ways, (axis, step))
                del left[index]
                break


def _hints(left: dict[int, Drawn], theirs: Sequence[Drawn], over: Sequence[int]) -> dict[int, str]:
    """What sets a draw of the port that is left over apart from the one of the original that it may have been meant for."""
    found: dict[int, str] = {}
    for number in over:
        draw = theirs[number]
        for other in left.values():
            if other.kind != draw.kind:
                continue
            same = flips(other, draw) is not None
            shared, fine = _dropped(other.shape, draw.shape), _dropped(draw.shape, other.shape)
            if same and shared:
                found[number] = _shared(shared, len(other.shape))
            elif same and fine:
                found[number] = (
                    "a draw for each element of " + _axes(fine, len(draw.shape)) + ", where the first shares one"
                )
            elif not same and layouts(other.shape, draw.shape) and other.kind == DECISION:
                found[number] = f"p = {draw.p:.4g} where the first has {other.p:.4g}"
            if number in found:
                break
    return found


def _dropped(whole: Sequence[int], part: Sequence[int]) -> list[int]:
    """The axes of a shape, larger than 1, that another one lacks; [] where the other is no part of it."""
    left = list(squeezed(part))
    lost = []
    for axis, length in enumerate(whole):
        if left and left[0] == length:
            left.pop(0)
        elif length > 1:
            lost.append(axis)
    return [] if left else lost


def _axes(axes: list[int], rank: int) -> str:
    names = {0: "the batch", rank - 1: "the last axis"}
    return " and ".join(names.get(axis, f"axis {axis}") for axis in axes)


def _shared(axes: list[int], rank: int) -> str:
    return "one draw for the whole batch" if axes == [0] else "one draw for all of " + _axes(axes, rank)


def tape(pairing: Pairing, mine: Sequence[Drawn], theirs: Sequence[Drawn], upright: bool = False) -> list[Drawn]:
    """The original's draws as the port draws them: its order, layout, sense and rule. The pairing must be complete.

    upright: complementary decisions are handed over as they are, to see whether true means kept in both after all.
    """
    given = {number: draw for number, draw in enumerate(theirs) if draw.idle}
    for match in pairing.matches:
        draw = theirs[match.theirs]
        values = _values(match, mine)
        turned = arranged(values, match.layouts[0], draw.shape)
        if match.flipped and not upright:
            turned = ~turned.astype(bool)
        kind = DECISION if mine[match.mine[0]].kind == DECISION else draw.kind
        given[match.theirs] = draw._replace(values=turned, kind=kind)
    return [given[number] for number in sorted(given)]


def _values(match: Match, mine: Sequence[Drawn]) -> NDArray[Any]:
    first: NDArray[Any] = mine[match.mine[0]].values
    if len(match.mine) > 1:
        return np.stack([mine[index].values for index in match.mine])
    if match.part is not None:
        taken: NDArray[Any] = np.take(first, match.part[1], axis=match.part[0])
        return taken
    return first


def arranged(values: NDArray[Any], layout: Layout, shape: Sequence[int]) -> NDArray[Any]:
    """An array in another order of axes and the shape wanted."""
    plain = np.squeeze(values)
    if layout is not None:
        plain = np.transpose(plain, layout)
    return np.ascontiguousarray(plain).reshape(tuple(shape))


def described(draw: Drawn) -> str:
    """`decision (5, 1, 1) p=0.7 at block.droppath, model.py:31`."""
    p = "" if draw.kind != DECISION or math.isnan(draw.p) else f" p={draw.p:.4g}"
    kind = {DECISION: "decision", UNIFORM: "uniform numbers"}.get(draw.kind, draw.kind)
    where = ", ".join(part for part in (draw.scope, draw.place) if part)
    return f"{kind} {draw.shape}{p}" + (f" at {where}" if where else "")
