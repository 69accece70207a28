"""What a pair of programs says, as the rows of a run: one for the draws, one for every output, gradient and state.

    draws.paired       training's draws pair up.
    value.NAME         an output in training, on the first program's draws.
    gradient.NAME      of an input or parameter.    state.NAME    batch statistics and the like after the call.
    eval.value.NAME    the same in evaluation, where nothing is drawn; eval.gradient.NAME, eval.state.NAME.

What is not compared, because something before it differs, has a row that says so.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable, Iterator

from harness.comparison.checks.base import Finding
from harness.comparison.tolerance import K
from harness.pairs.compare import PairPass, PairResult
from harness.pairs.judging import KINDS, PairRow
from harness.pairs.pairing import described
from harness.records import RAN, Verdict

DRAWS = "draws.paired"
#: So many draws without a counterpart are written out in a row; a page shows all.
TOLD = 2
EVAL = "eval."
#: What a row's name begins with, by the kind of what is compared.
FAMILY = {"output": "value.", "gradient": "gradient.", "state": "state."}
LISTED = ", ".join([DRAWS, *(f"{mode}{family}*" for mode in ("", EVAL) for family in FAMILY.values()), RAN])


def possible(pattern: str) -> bool:
    """Whether a known difference's pattern could match a row of some programs: what they return is not known before they run."""
    if any(fnmatch.fnmatchcase(name, pattern) for name in (DRAWS, RAN)):
        return True
    fixed = re.split(r"[*?\[]", pattern)[0]
    families = [f"{mode}{family}" for mode in ("", EVAL) for family in FAMILY.values()]
    return any(fixed.startswith(family) or (fixed != pattern and family.startswith(fixed)) for family in families)


def findings(result: PairResult) -> list[Finding]:
    """Every row of a comparison; the same one of several seeds once, with the worst."""
    found: dict[str, list[Finding]] = {}
    for part in result.parts:
        for finding in _part(part):
            found.setdefault(finding.name, []).append(finding)
    merged = [_worst(same) for same in found.values()]
    asked = {part.mode for part in result.parts}
    if result.parting is not None and "train" not in asked and "train" in result.modes:
        first = result.parting
        merged += [
            _unasked(name, "evaluation differs, and training contains it")
            for name in [DRAWS, *(FAMILY["output"] + output for output in first.mine.outputs)]
        ]
    return merged


def _part(part: PairPass) -> Iterator[Finding]:
    prefix, seed = (EVAL, "") if part.mode == "eval" else ("", str(part.seed))
    if part.mode == "train":
        yield _draws(part, seed)
    if not part.pairing.complete:
        name = prefix + FAMILY["output"]
        yield from (_unasked(name + output, "the draws do not pair") for output in part.mine.outputs)
        return
    for kind, rows in (("output", part.rows), ("gradient", part.gradients), ("state", part.states)):
        strip = KINDS[kind][2]
        for row in rows:
            yield _compared(prefix + FAMILY[kind] + row.name.removeprefix(strip), row, seed, kind)


def _draws(part: PairPass, seed: str) -> Finding:
    """Whether every draw of the one has its counterpart in the other."""
    pairing = part.pairing
    lost = len(pairing.only_mine) + len(pairing.only_theirs)
    count = len(pairing.matches)
    note = f"{count} pair" if count or lost else "neither program draws"
    left = [f"only in the first: {described(part.mine.draws[number])}" for number in pairing.only_mine]
    left += [f"only in the second: {described(part.theirs.draws[number])}" for number in pairing.only_theirs]
    cause = "; ".join([*left[:TOLD], *([f"and {len(left) - TOLD} more"] if len(left) > TOLD else [])])
    verdict = Verdict.PASS if pairing.complete else Verdict.FAIL
    return Finding(DRAWS, verdict, float(lost), 0.0, "draws without a counterpart", cause=cause, note=note, seed=seed)


def _compared(name: str, row: PairRow, seed: str, kind: str) -> Finding:
    if row.shapes is not None:
        cause = f"{row.shapes[0]} in the first, {row.shapes[1]} in the second"
        return Finding(name, Verdict.FAIL, cause=cause, seed=seed)
    where = str(list(row.where)) if row.where else ""
    notes = [f"{row.units:.2g} S"] if row.sensitivity else []
    verdict = Verdict.PASS if row.passed else Verdict.FAIL
    if row.ill_conditioned and row.passed:
        notes.append("ill-conditioned: rounding alone moves it by much of its size")
        # A gradient that is zero but for rounding is an ordinary thing; an output says nothing then.
        verdict = Verdict.ILL_CONDITIONED if kind == "output" else verdict
    if row.source == "second":
        notes.append("limit from the second's rounding")
    elif row.source == "fixed":
        notes.append(f"limit from {K:g} roundings of the largest element: neither could be run in float64")
    limit = row.limit if row.source != "exact" else 0.0
    return Finding(name, verdict, row.measured, limit, "absolute", where, note="; ".join(notes), seed=seed)


def _unasked(name: str, why: str) -> Finding:
    return Finding(name, Verdict.UNSUPPORTED, cause=f"not asked, since {why}")


def _worst(same: Iterable[Finding]) -> Finding:
    """Of one row in several seeds the one that fails, else the one nearest to its limit; a pass has all their seeds."""
    same = list(same)
    bad = next((finding for finding in same if finding.verdict is not Verdict.PASS), None)
    if bad is not None:
        return bad
    worst = max(same, key=lambda finding: (finding.measured or 0.0) / finding.limit if finding.limit else 0.0)
    return dataclasses.replace(worst, seed=",".join(finding.seed for finding in same if finding.seed))
