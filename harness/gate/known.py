"""What has become of a run's known differences: those whose date has passed, and those that match nothing."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.errors import did_you_mean
from harness.frameworks.contract.adapter import implementations
from harness.gate.changes import Change, Kind
from harness.records import AVAILABLE, BackendRef, Verdict
from harness.reporting.store import StoredRun
from harness.reporting.summary import plain_label

#: Rows of a job that gave nothing to compare.
_NOTHING = frozenset({AVAILABLE, "run.completes"})


class _Seen(NamedTuple):
    """What is needed of a row here."""

    label: str
    check: str
    verdict: Verdict


def known_differences(run: StoredRun, today: datetime.date, *, partial: bool = False) -> Iterator[Change]:
    """Changes of the kinds EXPIRED, for each row that a known difference of the past speaks of, and UNMATCHED.

    A known difference may speak of one variant of its file, so it matches nothing only where none of them has a row for it; and
    not even then where its backend could not run, or is one that the versions at hand do not have. With `partial` the rows
    that it speaks of may be in another part.
    """
    rows: dict[str, list[_Seen]] = {}
    for row in run.rows():
        rows.setdefault(row.case, []).append(_Seen(plain_label(row), row.check, row.verdict))
    groups: dict[tuple[str, int, str, str], list[dict[str, Any]]] = {}
    for case in run.cases:
        for index, one in enumerate(case["expect"]):
            if case["id"] in rows and _applies(one.get("variant", {}), case["variant"]):
                groups.setdefault((case["path"], index, one["backend"], one["check"]), []).append(case)
    for (_, index, _, _), cases in groups.items():
        matched = False
        for case in cases:
            one = case["expect"][index]
            hit = [
                row
                for row in rows[case["id"]]
                if _matches(one["backend"], row.label) and fnmatch.fnmatchcase(row.check, one["check"])
            ]
            matched = matched or bool(hit)
            yield from _expired(case, one, hit, today)
        if not matched and not partial:
            first = cases[0]
            names = {row.label: None for case in cases for row in rows[case["id"]]}
            ran = {
                row.check: None
                for case in cases
                for row in rows[case["id"]]
                if _matches(first["expect"][index]["backend"], row.label) and row.check not in _NOTHING
            }
            yield from _unmatched(first, first["expect"][index], names, ran)


def _expired(
    case: Mapping[str, Any], one: Mapping[str, Any], hit: list[_Seen], today: datetime.date
) -> Iterator[Change]:
    until = one.get("until")
    if not until or datetime.date.fromisoformat(until) >= today:
        return
    for row in hit:
        if row.verdict is not Verdict.PASS and row.check != AVAILABLE:
            message = f"expired on {until}: look again ({one['reason']})"
            yield Change(Kind.EXPIRED, case["id"], row.label, row.check, message, place=one.get("place", ""))


def _unmatched(
    case: Mapping[str, Any], one: Mapping[str, Any], labels: Mapping[str, None], checks: Mapping[str, None]
) -> Iterator[Change]:
    """The change, where a known difference that no row matches is to blame for it itself.

    labels  of all rows that it might have spoken of.
    checks  that were made of the implementations that it does speak of.
    """
    if checks:
        message = f"the case expects a difference of {one['check']}, and nothing was compared by that name"
        message += did_you_mean(one["check"], checks)
    elif any(_matches(one["backend"], label) for label in possible_labels(case)):
        return
    else:
        message = "the case expects a difference of it, and has no such backend" + did_you_mean(one["backend"], labels)
    yield Change(Kind.UNMATCHED, case["id"], one["backend"], one["check"], message, place=one.get("place", ""))


def possible_labels(case: Mapping[str, Any]) -> Iterator[str]:
    """What rows of a stored case could be called: each of its backends, and each implementation of a whole one."""
    for label, backend in case["backends"]:
        yield label
        name, _, environment = label.partition(" @")
        if name == backend:
            for owner, layer, implementation in implementations():
                if (owner, layer) == (backend, case["layer"]):
                    yield BackendRef(backend, implementation, environment=environment).label


def _matches(pattern: str, label: str) -> bool:
    return pattern == label or fnmatch.fnmatchcase(label, pattern)


def _applies(limited: Mapping[str, object], variant: Mapping[str, object]) -> bool:
    return all(name in variant and variant[name] == value for name, value in limited.items())
