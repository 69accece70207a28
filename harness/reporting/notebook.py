"""A result in a notebook: cases by implementations, each cell its worst verdict, the reason on hovering; the summary below."""

from __future__ import annotations

import html
from collections.abc import Iterable

from harness.records import Row, Verdict
from harness.reporting.summary import label
from harness.reporting.verdicts import DIFFERENCES, SIGNS, reason, severity, words

#: Rows of the table; the worst come first.
SHOWN = 50


def matrix(rows: Iterable[Row], summary: str) -> str:
    """Markup of its own, without style or script, for a page of any colour."""
    columns: dict[str, None] = {}
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        name = label(row)
        columns[name] = None
        cells = cases.setdefault(row.case, {})
        # What cannot be expressed says nothing of what was compared beside it.
        if name not in cells or _rank(row) < _rank(cells[name]):
            cells[name] = row
    order = sorted(cases, key=lambda case: min(map(_rank, cases[case].values())))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    lines = (
        "".join(
            [
                f"<th style='text-align: left'>{html.escape(case)}</th>",
                *(_cell(cases[case].get(name)) for name in columns),
            ]
        )
        for case in order[:SHOWN]
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    more = f"<p>and {len(order) - SHOWN} more cases</p>" if len(order) > SHOWN else ""
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>{more}" if order else ""
    return f"{table}<pre>{html.escape(summary)}</pre>"


def _rank(row: Row) -> int:
    return severity(row.verdict) if row.verdict is not Verdict.UNSUPPORTED else severity(Verdict.PASS) + 1


def _cell(row: Row | None) -> str:
    if row is None:
        return "<td></td>"
    title = f"{row.check}: {reason(row)}" if row.verdict in DIFFERENCES else reason(row)
    return f'<td title="{html.escape(title)}">{SIGNS[row.verdict]} {words(row.verdict)}</td>'
