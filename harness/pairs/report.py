"""A pair of programs in ten lines."""

from __future__ import annotations

import math
from typing import Any

from harness.frameworks.contract.programs import Drawn, Step
from harness.pairs.compare import PairPass, PairResult
from harness.pairs.judging import PairRow
from harness.pairs.pairing import described


def lines(result: PairResult) -> list[str]:
    """The sentence that says it all, then what it rests on."""
    found = [headline(result)]
    for part in result.parts:
        found += ["  " + text for text in _part(part)]
    if result.mapping is not None:
        turned = sum(1 for source in result.mapping.sources.values() if source.axes is not None)
        left = f"; left over of the first: {', '.join(result.mapping.unused[:6])}" if result.mapping.unused else ""
        found.append(f"  weights: {len(result.mapping.sources)} arrays brought over, {turned} of them transposed{left}")
    found += [f"  note: {note}" for note in result.notes]
    return found


def headline(result: PairResult) -> str:
    """`✓ model_b.py:run is model_a.py:run: …` or where the two part."""
    first, second = result.first.name, result.second.name
    parting = result.parting
    if parting is None:
        draws = max((sum(not draw.idle for draw in part.mine.draws) for part in result.parts), default=0)
        what = f"evaluation and training, {draws} draws replayed" if draws else "evaluation and training; neither draws"
        return f"✓ {second} computes what {first} computes: {what}"
    what = "draws otherwise than" if not parting.pairing.complete else "differs from"
    return f"✕ {second} {what} {first} in {_mode(parting)}" + (f": {parting.cause}" if parting.cause else "")


def _mode(part: PairPass) -> str:
    return (
        "evaluation, where nothing is drawn"
        if part.mode == "eval" and all(draw.idle for draw in part.mine.draws + part.theirs.draws)
        else _called(part)
    )


def _called(part: PairPass) -> str:
    return "evaluation" if part.mode == "eval" else f"training (seed {part.seed})"


def _part(part: PairPass) -> list[str]:
    found = []
    pairing = part.pairing
    sign = "✓" if part.passed else "✕"
    if not pairing.complete:
        found.append(f"{sign} {_called(part)}: {len(pairing.matches)} draws pair, and some do not")
        found += [f"  only in the first:  {described(part.mine.draws[number])}" for number in pairing.only_mine]
        for number in pairing.only_theirs:
            hint = f": {pairing.hints[number]}" if number in pairing.hints else ""
            found.append(f"  only in the second: {described(part.theirs.draws[number])}{hint}")
        return found
    drawn = f", {len(pairing.matches)} draws paired" if pairing.matches else ""
    rows = part.compared
    failed = [row for row in rows if not row.passed]
    worst = max(rows, key=lambda row: row.units, default=None)
    if part.passed and worst is not None:
        return [f"{sign} {_called(part)}{drawn}: {len(rows)} arrays, worst {worst.name} at {worst.units:.2g} S of 8"]
    found.append(f"{sign} {_called(part)}{drawn}: {len(failed)} of {len(rows)} arrays differ")
    found += [f"  {text}" for text in map(_row, failed[:2])]
    return found + ["  " + text for text in _parting(part)]


def _parting(part: PairPass) -> list[str]:
    """The last operations that agree, the first that do not."""
    parting = part.parting
    if parting is None or (parting.first is None and parting.second is None):
        return []
    mine, theirs = part.mine.steps, part.theirs.steps
    found = []
    if parting.agreed is not None:
        found.append(f"agree up to  {step(mine[parting.agreed[0]])}  =  {step(theirs[parting.agreed[1]])}")
    off = f"  ({parting.limits:.3g} limits off)" if math.isfinite(parting.limits) else ""
    places = [(mine, parting.first, ""), (theirs, parting.second, off)]
    told = [f"{step(steps[at])}   {steps[at].source}{said}" for steps, at, said in places if at is not None]
    first = "made at      " if parting.unlike else "part at      "
    if len(told) == 1:
        first = first.rstrip() + (", in the second:  " if parting.first is None else ", in the first:  ")
    found += [("      and    " if number else first) + text for number, text in enumerate(told)]
    return found


def place(part: PairPass) -> str:
    """Where the programs part, in one line; "" where nothing shows it."""
    return "; ".join(" ".join(text.split()) for text in _parting(part))


def step(one: Step) -> str:
    """`block.ln0 native_layer_norm (3, 5, 8) model.py:31`."""
    return " ".join(part for part in (one.scope, one.op, str(one.shape), one.place) if part)


def _row(row: PairRow) -> str:
    if row.shapes is not None:
        return f"{row.name}: {row.shapes[0]} in the first, {row.shapes[1]} in the second"
    place = f" at {list(row.where)}" if row.where else ""
    return f"{row.name}: {row.measured:.3g} > {row.limit:.3g}{place}"


def as_json(result: PairResult) -> dict[str, Any]:
    """The result as plain values."""
    return {
        "format": "parity-harness pair",
        "version": 1,
        "first": result.first.name,
        "second": result.second.name,
        "passed": result.passed,
        "headline": headline(result),
        "parts": [_part_json(part) for part in result.parts],
        "weights": {name: str(source) for name, source in result.mapping.sources.items()} if result.mapping else None,
        "notes": result.notes,
    }


def _part_json(part: PairPass) -> dict[str, Any]:
    mine, theirs = part.mine.draws, part.theirs.draws
    return {
        "mode": part.mode,
        "seed": part.seed,
        "passed": part.passed,
        "paired": [[list(match.mine), match.theirs, match.flipped] for match in part.pairing.matches],
        "draws": {"first": [_draw(draw) for draw in mine], "second": [_draw(draw) for draw in theirs]},
        "only_first": list(part.pairing.only_mine),
        "only_second": list(part.pairing.only_theirs),
        "cause": part.cause,
        "parting": _parting(part),
        "rows": [_row_json(row) for row in part.compared],
    }


def _draw(draw: Drawn) -> dict[str, Any]:
    p = None if math.isnan(draw.p) else draw.p
    return {
        "kind": draw.kind,
        "shape": list(draw.shape),
        "p": p,
        "rule": draw.rule,
        "scope": draw.scope,
        "place": draw.place,
    }


def _row_json(row: PairRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ("measured", "limit", "sensitivity", "exact")}
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    shapes = None if row.shapes is None else [list(shape) for shape in row.shapes]
    return {
        "name": row.name,
        "other": row.other,
        "passed": row.passed,
        "where": list(row.where),
        "shapes": shapes,
        **finite,
    }
