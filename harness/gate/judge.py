"""What has changed since the baseline, in the order in which a maintainer needs it.

A baseline of the same versions on the same machine must be met bit for bit where that can be asked (the digests of normal draws);
one of another machine or version is compared by figures and by decisions, which do not depend on a machine, and the
change says so.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator

from harness.gate.baseline import Baseline, Entry, Figure, Fingerprint, Key
from harness.gate.changes import Change, Kind
from harness.gate.known import known_differences
from harness.records import Aim, Row, Verdict
from harness.reporting.store import StoredRun
from harness.reporting.summary import plain_label, plural
from harness.reporting.verdicts import DIFFERENCES, reason, severity, words

#: A figure may grow by so much before the gate closes: rounding varies with the libraries below a framework.
HEADROOM = 2.0
#: The same, where baseline and run were taken on different machines or versions.
HEADROOM_ELSEWHERE = 8.0
#: Kinds whose message does not say why.
_TOLD = frozenset({Kind.DIFFERENCE, Kind.MISSING, Kind.WORSE})


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
    changes = list(known_differences(run, today, partial=partial))
    excused = {(change.case, change.implementation, change.check) for change in changes if change.kind is Kind.EXPIRED}
    for key in dict.fromkeys([*baseline.entries, *now.entries]):
        changes += _compare(key, baseline, now, partial, headroom)
    # An expired difference is told once, as what it is.
    kept = [c for c in changes if c.kind is not Kind.DIFFERENCE or (c.case, c.implementation, c.check) not in excused]
    return list(_with_rows(sorted(kept, key=lambda change: change.kind), run.rows()))


def _with_rows(changes: list[Change], rows: Iterable[Row]) -> Iterator[Change]:
    """The changes with the cause and the place that the run's rows give: what to look at, and where to write."""
    wanted = {(change.case, change.implementation) for change in changes}
    worst: dict[tuple[str, str, str], Row] = {}
    places: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (row.case, plain_label(row))
        if key in wanted:
            places.setdefault(key, row.place)
            known = worst.get((*key, row.check))
            if known is None or severity(row.verdict) < severity(known.verdict):
                worst[*key, row.check] = row
    told: set[tuple[str, str]] = set()
    for change in changes:
        found = worst.get((change.case, change.implementation, change.check))
        place = found.place if found else places.get((change.case, change.implementation), "")
        cause = ""
        if found and change.kind in _TOLD:
            # One cause shows in many checks: its proof and fix are told in the first.
            key = (plain_label(found), found.diagnosis)
            cause = reason(found, whole=key not in told)
            told.add(key)
        yield dataclasses.replace(change, cause=change.cause or cause, place=change.place or place)


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
            yield Change(Kind.NOTICE, case, implementation, "", f"new, with {plural(len(entry.checks), 'check')}")
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
    broken = any(figure.verdict in DIFFERENCES for name, figure in now.checks.items() if name not in before.checks)
    if before.checks and not before.checks.keys() & now.checks.keys():
        # One thing happened, not one to each check: it crashed, or is not there or not supported any more.
        for check, only in now.checks.items():
            kind = Kind.DIFFERENCE if only.verdict in DIFFERENCES else Kind.MISSING
            yield kind, check, f"{_said(only)}, and none of its {len(before.checks)} checks was made"
        return
    for check, old in before.checks.items():
        new = now.checks.get(check)
        if new is None:
            if not broken:
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
    """Whether an error grew past its headroom. Errors far below their limit are rounding, and may vary freely.

    What is no error, a p-value or a figure that meets a value, is not worse for being more or less: its verdict says all, and
    with the same seed it changes with the mask, which has a digest.
    """
    if new.aim is not Aim.MOST:
        return False
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
