"""What has changed since the baseline, in the order in which a maintainer needs it.

A baseline of the same versions on the same machine must be met bit for bit where that can be asked (the digests of normal draws);
one of another machine or version is compared by figures and by decisions, which do not depend on a machine, and the
change says so.
"""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from harness.gate.baseline import Baseline, Entry, Figure, Fingerprint, Key
from harness.records import Verdict
from harness.reporting.store import StoredRun
from harness.reporting.summary import plain_label
from harness.reporting.verdicts import DIFFERENCES, words

#: A figure may grow by so much before the gate closes: rounding varies with the libraries below a framework.
HEADROOM = 2.0
#: The same, where baseline and run were taken on different machines or versions.
HEADROOM_ELSEWHERE = 8.0


class Kind(IntEnum):
    """Kinds of change, worst first. Those below NOTICE close the gate."""

    DIFFERENCE = 0
    MASK = 1
    MISSING = 2
    EXPIRED = 3
    UNEXPECTED_PASS = 4
    UNMATCHED = 5
    WORSE = 6
    NOTICE = 7


TITLES = {
    Kind.DIFFERENCE: "New differences",
    Kind.MASK: "Masks that changed",
    Kind.MISSING: "Comparisons that are missing",
    Kind.EXPIRED: "Known differences that have expired",
    Kind.UNEXPECTED_PASS: "Known differences that are gone",
    Kind.UNMATCHED: "Known differences that match nothing",
    Kind.WORSE: "Figures that grew past their headroom",
    Kind.NOTICE: "For the next update of the baseline",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. `since` says what the baseline was taken with, where that differs from the run."""

    kind: Kind
    case: str
    implementation: str
    check: str
    message: str
    since: str = ""


def judge(
    baseline: Baseline,
    now: Baseline,
    run: StoredRun,
    today: datetime.date,
    *,
    partial: bool = False,
    headroom: float = HEADROOM,
) -> list[Change]:
    """Every change between a baseline and a run (`now`: the run as a baseline), worst kinds first.

    partial  the run is a part of the cases: what it lacks is not missing.
    """
    changes = list(_known(run, today))
    excused = {(change.case, change.implementation, change.check) for change in changes if change.kind is Kind.EXPIRED}
    for key in dict.fromkeys([*baseline.entries, *now.entries]):
        changes += _compare(key, baseline, now, partial, headroom)
    # An expired difference is told once, as what it is.
    kept = (c for c in changes if c.kind is not Kind.DIFFERENCE or (c.case, c.implementation, c.check) not in excused)
    return sorted(kept, key=lambda change: change.kind)


def closes(changes: list[Change]) -> bool:
    """Whether any change closes the gate."""
    return any(change.kind < Kind.NOTICE for change in changes)


def _compare(key: Key, baseline: Baseline, now: Baseline, partial: bool, headroom: float) -> Iterator[Change]:
    case, implementation = key
    before = baseline.entries.get(key)
    current = now.entries.get(key)
    if current is None:
        if not partial:
            yield Change(Kind.MISSING, case, implementation, "", "was compared, and was not this time")
        return
    (where, entry), *_ = current.items()
    if before is None:
        different = [check for check, figure in entry.checks.items() if figure.verdict in DIFFERENCES]
        for check in different:
            yield Change(Kind.DIFFERENCE, case, implementation, check, f"new, and {_said(entry.checks[check])}")
        if not different:
            yield Change(
                Kind.NOTICE, case, implementation, "", f"new: {len(entry.checks)} checks are not in the baseline"
            )
        return
    then = nearest(where, before)
    since = _since(then, where, baseline)
    for change in _entry(before[then], entry, exact=not since, headroom=headroom):
        yield Change(change[0], case, implementation, change[1], change[2], since)


def nearest(where: Fingerprint, entries: dict[Fingerprint, Entry]) -> Fingerprint:
    """The entry to compare with: of the same fingerprint, else of the same machine, else of the same version, else any."""
    return min(
        entries,
        key=lambda one: (
            one != where,
            one.machine != where.machine,
            one.version != where.version,
            one.version,
            one.machine,
        ),
    )


def _since(then: Fingerprint, where: Fingerprint, baseline: Baseline) -> str:
    parts = []
    if then.version != where.version:
        parts.append(f"{then.version or 'no version'} -> {where.version or 'no version'}")
    if then.device != where.device:
        parts.append(f"{then.device} -> {where.device}")
    if then.machine != where.machine:
        parts.append(f"taken on {baseline.machines.get(then.machine, then.machine)}")
    return "; ".join(parts)


def _entry(before: Entry, now: Entry, *, exact: bool, headroom: float) -> Iterator[tuple[Kind, str, str]]:
    for check, old in before.checks.items():
        new = now.checks.get(check)
        if new is None:
            if not any(
                figure.verdict in DIFFERENCES for name, figure in now.checks.items() if name not in before.checks
            ):
                yield Kind.MISSING, check, f"was {words(old.verdict)}, and was not compared this time"
        elif new.verdict != old.verdict:
            yield _verdict(new), check, f"was {_said(old)}, now {_said(new)}"
        elif new.verdict is Verdict.UNEXPECTED_PASS:
            yield Kind.UNEXPECTED_PASS, check, "passes: take it out of the case's `expect`"
        else:
            allowed = headroom if exact else max(headroom, HEADROOM_ELSEWHERE)
            if worse(old, new, allowed):
                yield Kind.WORSE, check, f"was {_said(old)}, now {_said(new)}: more than {allowed:g} times"
    for check, new in now.checks.items():
        if check not in before.checks:
            different = new.verdict in DIFFERENCES
            yield (Kind.DIFFERENCE if different else Kind.NOTICE), check, f"new, and {_said(new)}"
    for name, mask in before.masks.items():
        other = now.masks.get(name)
        decisions = mask.startswith("bool ")
        if other is None:
            yield Kind.MISSING, f"mask {name}", "was drawn, and was not this time"
        elif other != mask and (exact or decisions):
            yield Kind.MASK, f"mask {name}", _mask(mask, other)


def _verdict(new: Figure) -> Kind:
    if new.verdict is Verdict.UNEXPECTED_PASS:
        return Kind.UNEXPECTED_PASS
    if new.verdict in DIFFERENCES:
        return Kind.DIFFERENCE
    if new.verdict is Verdict.UNSUPPORTED:
        return Kind.MISSING
    return Kind.NOTICE


def _mask(old: str, new: str) -> str:
    (dtype, shape, _), (other_dtype, other_shape, _) = old.split(" "), new.split(" ")
    if shape != other_shape:
        return f"another shape from the same seed: {shape} -> {other_shape}"
    if dtype != other_dtype:
        return f"another type from the same seed: {dtype} -> {other_dtype}"
    return "another mask from the same seed: the random stream changed"


def worse(old: Figure, new: Figure, headroom: float) -> bool:
    """Whether a figure grew past its headroom. Figures far below their limit are rounding, and may vary freely."""
    if old.measured is None or new.measured is None or new.limit is None or new.limit <= 0 or old.limit is None:
        return False
    floor = new.limit / 16
    return not new.measured <= max(old.measured, floor) * headroom


def _said(figure: Figure) -> str:
    text = words(figure.verdict)
    if figure.measured is not None:
        text += f" at {figure.measured:g}"
        if figure.limit is not None:
            text += f" of {figure.limit:g}"
    return text


def _known(run: StoredRun, today: datetime.date) -> Iterator[Change]:
    """Known differences that have expired, or that match no row of the run."""
    rows: dict[str, list[tuple[str, str, Verdict]]] = {}
    for row in run.rows():
        rows.setdefault(row.case, []).append((plain_label(row), row.check, row.verdict))
    for case in run.cases:
        found = rows.get(case["id"])
        if not found:
            continue
        for one in case["expect"]:
            if not _applies(one.get("variant", {}), case["variant"]):
                continue
            hit = [
                row
                for row in found
                if fnmatch.fnmatchcase(row[0], one["backend"]) and fnmatch.fnmatchcase(row[1], one["check"])
            ]
            if not hit:
                message = f"the case expects a difference of {one['check']}, and nothing was compared by that name"
                yield Change(Kind.UNMATCHED, case["id"], one["backend"], one["check"], message)
            until = one.get("until")
            if until and datetime.date.fromisoformat(until) < today:
                for name, check, verdict in hit:
                    if verdict is not Verdict.PASS:
                        message = f"expired on {until}: look again ({one['reason']})"
                        yield Change(Kind.EXPIRED, case["id"], name, check, message)


def _applies(limited: dict[str, object], variant: dict[str, object]) -> bool:
    return all(name in variant and variant[name] == value for name, value in limited.items())
