"""Differences gathered: rows of one implementation that have one cause are one group, told once.

What a diagnosis explains goes by it, in whatever checks it shows; what has no cause stays by what was seen, figures aside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.records import Aim, Row
from harness.reporting.summary import figures, label, plural
from harness.reporting.verdicts import severity

_FIGURE = re.compile(r"[\d.]+")
#: How many checks of a group are named.
NAMED = 6


@dataclass
class Group:
    """One implementation's differences of one cause.

    first  the first of the worst verdict; worst: that with the largest figure over its limit.
    checks, cases  in the order in which they were met.
    """

    first: Row
    worst: Row
    checks: dict[str, None] = field(default_factory=dict)
    cases: dict[str, None] = field(default_factory=dict)
    rows: int = 0

    def add(self, row: Row) -> None:
        """Take a row in."""
        if severity(row.verdict) < severity(self.first.verdict):
            self.first = row
        if excess(row) > excess(self.worst):
            self.worst = row
        self.checks[row.check] = None
        self.cases[row.case] = None
        self.rows += 1

    @property
    def implementation(self) -> str:
        """Whose differences they are."""
        return label(self.first)

    @property
    def cause(self) -> str:
        """The cause that was found; else what its first row saw; "" where there are figures alone."""
        return self.first.diagnosis or self.first.cause

    @property
    def headline(self) -> str:
        """The cause; of figures alone, the checks."""
        return self.cause or self.checked

    @property
    def checked(self) -> str:
        """The checks, the first ones by name."""
        names = list(self.checks)
        if len(names) <= NAMED + 1:
            return ", ".join(names)
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"

    @property
    def where(self) -> str:
        """The one case, or how many, and of which file where they are variants of one."""
        cases = list(self.cases)
        if len(cases) == 1:
            return cases[0]
        files = {case.partition("::")[0] for case in cases}
        if len(files) == 1:
            return f"{plural(len(cases), 'variant')} of {files.pop()}"
        return f"{plural(len(cases), 'case')}, the first {cases[0]}"

    def details(self) -> Iterator[str]:
        """Below the cause: the fix, how sure it is, which checks it shows in, the worst figure, and the place."""
        if self.first.fix:
            yield f"fix: {self.first.fix}"
        if self.first.proof:
            yield self.first.proof
        count = f"{plural(self.rows, 'check')} in " if self.rows > 1 else ""
        yield f"{count}{self.where}" + (f": {self.checked}" if self.cause else "")
        yield from self.seen()
        if self.first.place:
            yield self.first.place

    def seen(self) -> Iterator[str]:
        """The worst row's figures, and what it saw where a diagnosis stands above it."""
        row = self.worst
        of = ""
        if self.rows > 1:
            variant = "" if len(self.cases) == 1 else row.case.partition("::")[2] or row.case
            of = " of ".join(filter(None, (row.check, variant)))
        seed = f" (seed {row.seed})" if row.seed else ""
        told = "; ".join(filter(None, (figures(row), row.cause if self.first.diagnosis else "")))
        if told:
            yield f"{f'worst: {of}: ' if of else ''}{told}{seed}"


def grouped(rows: Iterable[Row]) -> list[Group]:
    """Groups, worst first, then those with the most cases."""
    groups: dict[tuple[str, ...], Group] = {}
    for row in rows:
        named = ("cause", row.diagnosis) if row.diagnosis else (row.verdict, row.cause or row.check)
        key = (label(row), named[0], _FIGURE.sub("#", named[1]))
        groups.setdefault(key, Group(row, row)).add(row)
    return sorted(
        groups.values(), key=lambda group: (severity(group.first.verdict), -len(group.cases), group.implementation)
    )


def excess(row: Row) -> float:
    """How far a row's figure is past its limit, to put rows in order: times the limit, or below it; -1 without figures."""
    if row.measured is None or row.limit is None:
        return -1.0
    if math.isnan(row.measured):
        return math.inf
    if row.aim is Aim.MEET:
        return 0.0
    over, under = (row.measured, row.limit) if row.aim is Aim.MOST else (row.limit, row.measured)
    return abs(over / under) if under else math.inf


def position(place: str) -> tuple[str, int, int]:
    """File, line and column of a row's place, `file:line:column`; 0 where a number is not known."""
    match = re.fullmatch(r"(?P<file>.*?)(:(?P<line>\d+)(:(?P<column>\d+))?)?", place, re.DOTALL)
    assert match
    return match["file"], int(match["line"] or 0), int(match["column"] or 0)
