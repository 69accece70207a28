"""Differences gathered: rows of one implementation whose causes are the same but for their figures are one group."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.records import Row, Verdict
from harness.reporting.summary import figures, label
from harness.reporting.verdicts import severity

_FIGURE = re.compile(r"[\d.]+")


@dataclass
class Group:
    """One implementation's differences of one cause. Cases and checks are in the order in which they were met."""

    verdict: Verdict
    implementation: str
    first: Row
    checks: dict[str, None] = field(default_factory=dict)
    cases: dict[str, None] = field(default_factory=dict)
    rows: int = 0

    @property
    def cause(self) -> str:
        """The cause of its first row, or that row's figures."""
        return self.first.cause or figures(self.first)


def grouped(rows: Iterable[Row]) -> list[Group]:
    """Groups, worst first, then those with the most cases."""
    groups: dict[tuple[Verdict, str, str], Group] = {}
    for row in rows:
        key = (row.verdict, label(row), _FIGURE.sub("#", row.cause) or row.check)
        group = groups.setdefault(key, Group(row.verdict, label(row), row))
        group.checks[row.check] = None
        group.cases[row.case] = None
        group.rows += 1
    return sorted(groups.values(), key=lambda group: (severity(group.verdict), -len(group.cases), group.implementation))


def position(place: str) -> tuple[str, int, int]:
    """File, line and column of a row's place, `file:line:column`; 0 where a number is not known."""
    match = re.fullmatch(r"(?P<file>.*?)(:(?P<line>\d+)(:(?P<column>\d+))?)?", place, re.DOTALL)
    assert match
    return match["file"], int(match["line"] or 0), int(match["column"] or 0)
