"""GitHub: annotations at the lines of the YAML, as workflow commands on stdout.

GitHub shows ten errors and ten warnings of a step, so differences of one cause are one annotation, and the last says
what is left. Source: "Workflow commands for GitHub Actions", sections on error and warning messages; escapes as its
toolkit makes them.
"""

from __future__ import annotations

from harness.records import Verdict
from harness.reporting.groups import Group, grouped, position
from harness.reporting.store import StoredRun
from harness.reporting.summary import clean, figures, plural, summarise
from harness.reporting.verdicts import INTERRUPTED, words

SHOWN = 10
#: GitHub shows no more of a title, and no more of a message is of use beside a line of code; in characters.
LONGEST_TITLE, LONGEST_TEXT = 255, 4000
#: Verdicts that ask for a look rather than a mend.
WARNINGS = frozenset({Verdict.UNEXPECTED_PASS, Verdict.ILL_CONDITIONED})


def workflow_commands(run: StoredRun) -> str:
    """One line for each annotation; "" of a run without differences that came to its end."""
    groups = grouped(summarise(run).differences)
    lines: list[str] = []
    if run.meta["interrupted"]:
        lines.append(f"::error title=Interrupted::{escape(INTERRUPTED)}")
    for level in ("error", "warning"):
        mine = [group for group in groups if (group.first.verdict in WARNINGS) == (level == "warning")]
        room = SHOWN - (len(lines) if level == "error" else 0)
        shown = mine if len(mine) <= room else mine[: room - 1]
        lines += [_annotation(level, group) for group in shown]
        rest = mine[len(shown) :]
        if rest:
            cases = len({case for group in rest for case in group.cases})
            text = f"{plural(len(rest), 'more cause')} in {plural(cases, 'case')}: see the report"
            lines.append(f"::{level} title=More differences::{escape(text)}")
    return "".join(f"{line}\n" for line in lines)


def _annotation(level: str, group: Group) -> str:
    row = group.first
    file, line, column = position(row.place)
    where = {"file": file or row.case.partition("::")[0], "line": line, "col": column}
    title = _cut(f"{words(group.first.verdict)}: {group.implementation}", LONGEST_TITLE)
    properties = ",".join(
        f"{name}={escape(str(value), True)}" for name, value in {**where, "title": title}.items() if value
    )
    text = ": ".join(filter(None, (group.cause, group.checked)))
    if figures(group.worst):
        text += f" ({figures(group.worst)})"
    if len(group.cases) > 1:
        text += f"; in {plural(len(group.cases), 'case')}"
    if row.fix:
        text += f"; fix: {row.fix}"
    return f"::{level} {properties}::{escape(_cut(clean(text), LONGEST_TEXT))}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 2] + " …"


def escape(text: str, inside: bool = False) -> str:
    """Text as a workflow command can hold it; `inside` a property, colons and commas too."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if inside else text
