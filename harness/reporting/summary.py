"""The summary of a stored run: what its parts are called, the sentences that say how it ended, and all of it as versioned JSON.

`terminal` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.records import RECIPE, Aim, Row, Verdict
from harness.reporting.exits import Exit
from harness.reporting.rows import row_dict
from harness.reporting.store import StoredRun
from harness.reporting.verdicts import DIFFERENCES, FAILURES, ORDER, words, worst

#: 2: a row's `seconds` are its own; those of the whole comparison are `comparison_seconds`.
JSON_FORMAT, JSON_VERSION = "parity-harness summary", 2


@dataclass
class Summary:
    """What a reader needs of a run: its differences and known differences by row, the rest by count."""

    run: StoredRun
    differences: list[Row] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    unsupported: dict[tuple[str, str], int] = field(default_factory=dict)


def headline(run: StoredRun) -> str:
    """One line: how many checks, and how they ended."""
    counts = ", ".join(f"{run.counts[v]:,} {words(v)}" for v in reversed(ORDER) if v in run.counts)
    line = f"{plural(run.meta['rows'], 'check')} in {plural(run.meta['cases'], 'case')}"
    return f"{line}: {counts}" if counts else line


def summarise(run: StoredRun) -> Summary:
    """Read a stored run's rows once."""
    summary = Summary(run)
    for row in run.rows():
        if row.verdict in DIFFERENCES:
            summary.differences.append(row)
        elif row.verdict is Verdict.KNOWN:
            summary.known.append(row)
        elif row.verdict is Verdict.UNSUPPORTED:
            key = (label(row), row.cause or row.check)
            summary.unsupported[key] = summary.unsupported.get(key, 0) + 1
    return summary


def verdict_line(run: StoredRun) -> str:
    """The outcome in a sentence."""
    if run.exit_code == Exit.DIFFERENCE:
        return difference_line({verdict for verdict in DIFFERENCES if run.counts.get(verdict)})
    return {
        Exit.OK: "No unexplained difference.",
        Exit.INTERRUPTED: "Interrupted: not every case was run. The same command with --resume goes on.",
        Exit.NOTHING: "Nothing was run.",
        Exit.BACKEND: "A backend could not be run.",
        Exit.INTERNAL: "An internal error, a bug of the harness: `harness explain` shows the traceback.",
    }.get(run.exit_code, "The run did not end well.")


def difference_line(found: set[Verdict]) -> str:
    """What a person must look at, by the worst verdict of a run: backends differ where a check failed, and nowhere else."""
    if Verdict.FAIL in found or not found:
        return "The backends differ."
    if found & FAILURES:
        return "Something could not be compared."
    return {
        Verdict.NONDETERMINISTIC: "No check failed, but something is not the same twice.",
        Verdict.UNEXPECTED_PASS: "No check failed, but a known difference is no longer there.",
        Verdict.ILL_CONDITIONED: "No check failed, but some say nothing: rounding alone could explain any difference there.",
    }[next(verdict for verdict in ORDER if verdict in found)]


def plural(count: int, word: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def label(row: Row) -> str:
    """What readers see of a row's implementation: its label, and whether it is a recipe."""
    return plain_label(row) + (RECIPE if row.recipe else "")


def plain_label(row: Row) -> str:
    """What a row's implementation is called: as the case file, `--backend` and masks name it."""
    if row.name:
        return row.name
    text = f"{row.backend}: {row.implementation}" if row.implementation else row.backend
    return f"{text} @{row.environment}" if row.environment else text


#: Of each aim, how a figure that meets it stands to its limit, and how one that does not.
RELATIONS = {Aim.MOST: ("≤", ">"), Aim.LEAST: ("≥", "<")}


def figures(row: Row) -> str:
    """Measured against limit, as far as the check has them: `0.031 > 4.5e-06 abs at (0, 3)`."""
    parts = []
    if row.measured is not None:
        parts.append(f"{row.measured:.4g}")
        if row.limit is not None and row.aim is Aim.MEET:
            parts.append(f"(expected {row.limit:.4g})")
        elif row.limit is not None:
            within = row.measured <= row.limit if row.aim is Aim.MOST else row.measured >= row.limit
            parts.append(f"{RELATIONS[row.aim][not within]} {row.limit:.4g}")
    elif row.limit is not None:
        parts.append(f"limit {row.limit:.4g}")
    if parts and row.unit:
        parts.append(row.unit)
    if row.where:
        parts.append(f"at {row.where}")
    return " ".join(parts)


def clean(text: str) -> str:
    """Text from a case or a framework without the characters that could steer a terminal; line breaks become spaces."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\ufffd" for c in text)


def summary_json(summary: Summary, *, report: str = "") -> dict[str, Any]:
    """The same for programs. `version` grows when a field changes its meaning or goes."""
    run = summary.run
    worst_seen = worst(run.counts)
    return {
        "format": JSON_FORMAT,
        "version": JSON_VERSION,
        "harness": run.meta["machine"].get("harness", ""),
        "exit_code": int(run.exit_code),
        "verdict": str(worst_seen) if worst_seen else None,
        "message": verdict_line(run),
        "interrupted": bool(run.meta.get("interrupted")),
        "cases": run.meta["cases"],
        "rows": run.meta["rows"],
        "seconds": float(run.meta.get("seconds", 0.0)),
        "kept": dict(run.meta.get("kept") or {"cases": 0, "comparisons": 0}),
        "counts": {str(verdict): count for verdict, count in run.counts.items()},
        "differences": [row_dict(row) for row in summary.differences],
        "known": [row_dict(row) for row in summary.known],
        "unsupported": [
            {"implementation": name, "cause": cause, "count": count}
            for (name, cause), count in sorted(summary.unsupported.items())
        ],
        "folder": str(run.folder),
        "report": report or None,
    }
