"""What a page draws of two programs: their draws side by side, their operations as aligned columns around the place where they
part, the weights that were brought over, and the sentence that says it all. Plain values.
"""

from __future__ import annotations

import bisect
import itertools
from typing import Any

from harness.frameworks.contract.programs import Drawn
from harness.pairs import report
from harness.pairs.compare import PairPass, PairResult
from harness.pairs.divergence import Parting
from harness.pairs.pairing import described

#: Of the operations, so many lines before the place and after it.
BEFORE, AFTER = 14, 6
#: Of draws and weights, so many lines at most.
MOST = 200

#: What a line of operations is: both have the value; the programs part here; after it, or in one program alone.
AGREES, PARTS, ALONE = "agrees", "parts", "alone"


def of(result: PairResult) -> dict[str, Any]:
    """The picture of a comparison."""
    part = result.parting or (result.parts[-1] if result.parts else None)
    mapping = result.mapping.sources if result.mapping is not None else {}
    return {
        "first": result.first.name,
        "second": result.second.name,
        "said": report.lines(result),
        "mode": part.mode if part is not None else "",
        "seed": part.seed if part is not None else 0,
        "draws": _draws(part)[:MOST] if part is not None else [],
        "operations": _operations(part) if part is not None else [],
        "weights": [[name, str(source)] for name, source in mapping.items()][:MOST],
        "left": list(result.mapping.unused)[:MOST] if result.mapping is not None else [],
    }


def _draws(part: PairPass) -> list[list[str]]:
    """[the first's draw or "", the second's or "", what is to say of the two], in the second's order, then what is left over."""
    mine, theirs, pairing = part.mine.draws, part.theirs.draws, part.pairing
    lines = []
    for match in pairing.matches:
        said = "the other way round" if match.flipped else ""
        first = "; ".join(_drawn(mine[number]) for number in match.mine[:1])
        more = f" and {len(match.mine) - 1} more steps" if len(match.mine) > 1 else ""
        second = _drawn(theirs[match.theirs]) if match.theirs < len(theirs) else ""
        lines.append([first + more, second, said])
    lines += [[_drawn(mine[number]), "", "only in the first"] for number in pairing.only_mine]
    return lines + [
        ["", _drawn(theirs[number]), pairing.hints.get(number, "only in the second")] for number in pairing.only_theirs
    ]


def _drawn(draw: Drawn) -> str:
    return described(draw)


def _operations(part: PairPass) -> list[list[str]]:
    """[kind of line, the first's operation or "", the second's, their source lines], aligned by value around the place."""
    parting = part.parting
    if parting is None or (parting.first is None and parting.second is None):
        return []
    mine, theirs = part.mine.steps, part.theirs.steps
    lines = _before(parting) + _after(parting, len(mine), len(theirs))
    window = lines[-(BEFORE + 1 + AFTER) :]
    return [
        [
            kind,
            report.step(mine[first]) if first is not None else "",
            report.step(theirs[second]) if second is not None else "",
            mine[first].source if first is not None and kind == PARTS else "",
            theirs[second].source if second is not None and kind == PARTS else "",
        ]
        for kind, first, second in window
    ]


Line = tuple[str, int | None, int | None]


def _before(parting: Parting) -> list[Line]:
    """All operations of both up to the place where they part and with it, each column in its program's order: a line for two of
    one value, and for each that stands alone.
    """
    first, second = parting.first, parting.second
    anchors = _in_order(parting.pairs.tolist()[:first], second)
    last = max(anchors, default=-1)
    lines: list[Line] = []
    there = 0
    for number in range(last + 1 if first is None else first):
        other = anchors.get(number)
        if other is not None:
            lines += [(ALONE, None, between) for between in range(there, other)]
            there = other + 1
        # What has its value elsewhere agrees too; its counterpart has a line of its own there.
        lines.append((AGREES if parting.pairs[number] >= 0 else ALONE, number, other))
    lines += [(ALONE, None, between) for between in range(there, second if second is not None else there)]
    return [*lines, (PARTS, first, second)]


def _after(parting: Parting, mine: int, theirs: int) -> list[Line]:
    """What each does next, side by side: nothing says what belongs together there."""
    ours = range(parting.first + 1, mine) if parting.first is not None else range(0)
    others = range(parting.second + 1, theirs) if parting.second is not None else range(0)
    return [(ALONE, *both) for both in itertools.zip_longest(ours[:AFTER], others[:AFTER])]


def _in_order(pairs: list[int], end: int | None) -> dict[int, int]:
    """The most pairs of operations, the second's before `end`, that keep the order of both (a longest increasing subsequence)."""
    tails: list[int] = []
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for number, other in enumerate(pairs):
        if other < 0 or (end is not None and other >= end):
            continue
        at = bisect.bisect_left(tails, other)
        before[number] = ends[at - 1] if at else None
        if at == len(tails):
            tails.append(other)
            ends.append(number)
        else:
            tails[at], ends[at] = other, number
    found: dict[int, int] = {}
    last: int | None = ends[-1] if ends else None
    while last is not None:
        found[last] = pairs[last]
        last = before[last]
    return found
