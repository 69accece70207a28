"""A step summary in Markdown: the verdict, what differs, and the matrix of the cases that differ.

GitHub refuses a step's summary above 1 MiB ("Workflow commands", job summaries), so it is cut at a line below that, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.records import Row, Verdict
from harness.reporting.exits import Exit
from harness.reporting.groups import grouped
from harness.reporting.store import StoredRun
from harness.reporting.summary import Summary, clean, figures, headline, label, summarise, verdict_line
from harness.reporting.verdicts import ORDER, SIGNS, severity, words

LIMIT = 1_000_000
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>@-])")


def markdown(run: StoredRun, limit: int = LIMIT) -> str:
    """The summary, of at most `limit` bytes of UTF-8."""
    kept: list[str] = []
    size = 0
    note = "\n*Cut here: the rest is in report.html.*\n"
    for line in _lines(run, summarise(run)):
        size += len(line.encode()) + 1
        if size > limit - len(note.encode()):
            return "\n".join(kept) + "\n" + note
        kept.append(line)
    return "\n".join(kept) + "\n"


def _lines(run: StoredRun, summary: Summary) -> Iterator[str]:
    mark = "✅" if run.exit_code is Exit.OK else "❌"
    yield f"### {mark} {verdict_line(run)}"
    yield ""
    yield escape(headline(run)) + "."
    yield ""
    if summary.differences:
        yield from _table("What differs", summary.differences)
        yield from _matrix(run, {row.case for row in summary.differences})
    if summary.known:
        yield "<details><summary>Known differences</summary>"
        yield ""
        yield from _table("", summary.known)
        yield "</details>"
        yield ""
    if summary.unsupported:
        yield "<details><summary>Not supported or not installed</summary>"
        yield ""
        for (name, cause), count in sorted(summary.unsupported.items()):
            yield f"- {escape(name)}: {escape(cause)} ({count})"
        yield ""
        yield "</details>"
        yield ""
    yield " · ".join(
        f"{escape(one['package'])} {escape(one['version'])}"
        + (f" @{escape(one['environment'])}" if one["environment"] else "")
        for one in run.meta.get("frameworks", [])
    )


def _table(title: str, rows: Iterable[Row]) -> Iterator[str]:
    if title:
        yield f"#### {title}"
        yield ""
    yield "| Verdict | Implementation | Cause | Checks | Cases |"
    yield "|---|---|---|---|---|"
    for group in grouped(rows):
        cases = list(group.cases)
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        fix = f" · fix: {group.first.fix}" if group.first.fix else ""
        cells = (
            f"{SIGNS[group.first.verdict]} {words(group.first.verdict)}",
            group.implementation,
            (group.cause or figures(group.first)) + fix,
            group.checked,
            cases[0] + more,
        )
        yield "| " + " | ".join(escape(cell) for cell in cells) + " |"
    yield ""


def _matrix(run: StoredRun, cases: set[str]) -> Iterator[str]:
    """Cases that differ by implementations, each cell its worst verdict's sign."""
    cells: dict[str, dict[str, Verdict]] = {}
    columns: dict[str, None] = {}
    for row in run.rows():
        if row.case in cases:
            line = cells.setdefault(row.case, {})
            name = label(row)
            columns[name] = None
            if name not in line or severity(row.verdict) < severity(line[name]):
                line[name] = row.verdict
    yield f"<details><summary>Matrix of the {len(cases)} cases that differ</summary>"
    yield ""
    yield "| Case | " + " | ".join(escape(name) for name in columns) + " |"
    yield "|---|" + ":-:|" * len(columns)
    for case, line in sorted(cells.items(), key=lambda item: min(map(severity, item[1].values()))):
        signs = (f"{SIGNS[line[name]]}" if name in line else "" for name in columns)
        yield f"| {escape(case)} | " + " | ".join(signs) + " |"
    yield ""
    yield ", ".join(f"{SIGNS[verdict]} {words(verdict)}" for verdict in ORDER)
    yield ""
    yield "</details>"
    yield ""


def escape(text: str) -> str:
    """Text as Markdown shows it literally, in a table cell too; neither markup, mention nor link comes of it."""
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"(https?|www)(?=[:.])", "\\1\u200b", _SPECIAL.sub(r"\\\1", text))
