"""What a gate can find to have changed, in the order in which a maintainer needs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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


#: Headings of the kinds that close the gate.
TITLES = {
    Kind.DIFFERENCE: "New differences",
    Kind.MASK: "Masks that changed",
    Kind.MISSING: "Comparisons that are missing",
    Kind.EXPIRED: "Known differences that have expired",
    Kind.UNEXPECTED_PASS: "Known differences that are gone",
    Kind.UNMATCHED: "Known differences that match nothing",
    Kind.WORSE: "Figures that grew past their headroom",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed.

    since  what the baseline was taken with, where that differs from the run.
    cause  why the row is not a pass, as the run has it.
    place  file, line and column of the case: the known difference, or the backend that the row speaks of.
    """

    kind: Kind
    case: str
    implementation: str
    check: str
    message: str
    since: str = ""
    cause: str = ""
    place: str = ""


def closes(changes: list[Change]) -> bool:
    """Whether any change closes the gate."""
    return any(change.kind < Kind.NOTICE for change in changes)
