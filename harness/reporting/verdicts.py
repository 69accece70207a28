"""What the verdicts mean to a reader: order, sign, words, and the exit code of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.records import AVAILABLE as AVAILABLE
from harness.records import Row, Verdict
from harness.reporting.exits import Exit

#: Worst first: the order of every list, matrix and count in a report.
ORDER: tuple[Verdict, ...] = (
    Verdict.FAIL,
    Verdict.CRASH,
    Verdict.TIMEOUT,
    Verdict.ERROR,
    Verdict.NONDETERMINISTIC,
    Verdict.UNEXPECTED_PASS,
    Verdict.ILL_CONDITIONED,
    Verdict.KNOWN,
    Verdict.UNSUPPORTED,
    Verdict.PASS,
)

#: Verdicts that a person must look at: they make the exit code 1.
DIFFERENCES = frozenset(set(ORDER) - {Verdict.PASS, Verdict.KNOWN, Verdict.UNSUPPORTED})

#: Verdicts of rows in which nothing came to be compared, though it should have.
FAILURES = frozenset({Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT})

#: Verdicts of rows in which numbers were compared and nothing is left to do.
COMPARED = frozenset({Verdict.PASS, Verdict.KNOWN})

#: One character each, told apart without colour and present in common fonts.
SIGNS: Mapping[Verdict, str] = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.KNOWN: "≈",
    Verdict.UNEXPECTED_PASS: "!",
    Verdict.UNSUPPORTED: "–",
    Verdict.NONDETERMINISTIC: "~",
    Verdict.CRASH: "†",
    Verdict.TIMEOUT: "◷",
    Verdict.ILL_CONDITIONED: "∿",
    Verdict.ERROR: "?",
}

#: What a verdict says, in a phrase.
MEANINGS: Mapping[Verdict, str] = {
    Verdict.PASS: "the same computation, within its limit",
    Verdict.FAIL: "a difference",
    Verdict.KNOWN: "a difference that the case expects and explains",
    Verdict.UNEXPECTED_PASS: "a known difference that is no longer there",
    Verdict.UNSUPPORTED: "the implementation cannot express it, or is not installed",
    Verdict.NONDETERMINISTIC: "not the same twice",
    Verdict.CRASH: "the process died",
    Verdict.TIMEOUT: "took longer than its time limit",
    Verdict.ILL_CONDITIONED: "rounding alone could explain any difference",
    Verdict.ERROR: "could not be compared",
}


#: What stands before a cause that was found (harness.diagnosis).
CAUSE = "cause: "


def words(verdict: Verdict | str) -> str:
    """The verdict as people read it: `unexpected pass`."""
    return str(verdict).replace("_", " ")


def reason(row: Row, *, whole: bool = True) -> str:
    """Why a row is not a pass: what was seen, and the cause that was found, with its fix where the `whole` is asked for."""
    cause = f"{CAUSE}{row.diagnosis}" if row.diagnosis else ""
    if whole and row.proof:
        cause += f": {row.proof}"
    return "; ".join(filter(None, (row.cause, cause, f"fix: {row.fix}" if whole and row.fix else "")))


def told(cause: str) -> str:
    """A reason as a line of its own: `cause: …`; what was seen and why: `differs: 3 of 9 elements differ; cause: …`."""
    if not cause or cause.startswith(CAUSE):
        return cause
    return f"differs: {cause}" if f"; {CAUSE}" in cause else f"{CAUSE}{cause}"


def severity(verdict: Verdict | str) -> int:
    """Position in ORDER: 0 is the worst."""
    return ORDER.index(Verdict(verdict))


def worst(verdicts: Iterable[Verdict | str]) -> Verdict | None:
    """The worst of some verdicts, or None of none."""
    return min((Verdict(verdict) for verdict in verdicts), key=severity, default=None)


def missing(row: Row) -> bool:
    """Whether a row says that a backend could not be run; an optional package's implementation may be absent."""
    return row.check == AVAILABLE and row.verdict is Verdict.ERROR


#: What every view says first of a run that did not come to its end: what it did compare may all be well.
INTERRUPTED = "the run was interrupted: not every case was compared"


def exit_code(tally: Mapping[tuple[Verdict, bool], int], *, internal: int = 0, interrupted: bool = False) -> Exit:
    """The exit code for row counts by (verdict, whether the row says that a backend is missing; see `missing`).

    internal  how many rows are errors of the harness itself: with one, a run cannot say whether the others are all that differs.
    A backend that could not be run gives 10, and so does a run in which nothing at all could be compared; any other
    difference outweighs that and gives 1. No rows at all is 5.
    """
    if interrupted:
        return Exit.INTERRUPTED
    if internal:
        return Exit.INTERNAL
    if not sum(tally.values()):
        return Exit.NOTHING
    if any(count for (verdict, absent), count in tally.items() if verdict in DIFFERENCES and not absent):
        return Exit.DIFFERENCE
    if any(count for (_, absent), count in tally.items() if absent):
        return Exit.BACKEND
    if not any(count for (verdict, _), count in tally.items() if verdict in COMPARED):
        return Exit.BACKEND
    return Exit.OK
