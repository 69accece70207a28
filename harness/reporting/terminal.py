"""The summary of a stored run on a terminal: one block for each implementation and cause, then how the run ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from harness.records import Row, Verdict
from harness.reporting.exits import Exit
from harness.reporting.groups import Group, grouped
from harness.reporting.parts import kept_cases, took
from harness.reporting.summary import Summary, clean, figures, headline, label, plural, verdict_line
from harness.reporting.verdicts import SIGNS, reason, severity, told, words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: rich styles; the sign and the word say the same without colour.
STYLES = {
    Verdict.PASS: "green",
    Verdict.KNOWN: "cyan",
    Verdict.UNSUPPORTED: "dim",
    Verdict.UNEXPECTED_PASS: "yellow",
    Verdict.ILL_CONDITIONED: "yellow",
    Verdict.NONDETERMINISTIC: "magenta",
}


def print_summary(summary: Summary, console: Console, *, verbosity: int = 0, report: str = "") -> None:
    """Print it. verbosity -1: the last lines alone; 1: every row, passes too, and the reasons of what is not compared."""
    from rich.text import Text

    run = summary.run
    if verbosity > 0:
        _print(_by_case(run.rows()), console)
    elif not verbosity:
        _print(_by_cause(grouped(summary.differences)), console)
    # A run in which nothing came to be compared has no other answer.
    empty = run.exit_code is Exit.BACKEND and not summary.differences
    if verbosity > 0:
        _print(_by_reason(summary.known), console)
    if verbosity > 0 or (not verbosity and empty):
        _print(_not_supported(summary), console)
    elif not verbosity and (summary.known or summary.unsupported):
        hidden = {"known differences": summary.known, "what is not supported": summary.unsupported}
        said = f"-v tells {' and '.join(words for words, some in hidden.items() if some)}."
        console.print(Text(said, style="dim"))
    if kept_cases(run.meta):
        console.print(Text(f"Took {took(run.meta)}.", style="dim"))
    console.print(Text(headline(run)))
    good = run.exit_code is Exit.OK
    console.print(Text(verdict_line(run), style="bold green" if good else "bold red"))
    if report:
        console.print(Text(f"Report: {report}", style="dim"), soft_wrap=True)


def _print(lines: Iterable[Text], console: Console) -> None:
    for line in lines:
        console.print(*hanging(line, console), sep="\n")


def hanging(text: Text, console: Console) -> Iterator[Text]:
    """A line as wide as the console; where it is broken, the rest stands two columns further in than its beginning."""
    from rich.text import Text

    indent = len(text.plain) - len(text.plain.lstrip(" "))
    if text.cell_len <= console.width:
        yield text
        return
    for number, line in enumerate(text[indent:].wrap(console, max(8, console.width - indent - 2))):
        line.rstrip()
        yield Text(" " * (indent + (2 if number else 0))) + line


def block(group: Group) -> Iterator[Text]:
    """One cause: the verdict, whose it is and the cause; below it what `Group.details` gives."""
    from rich.text import Text

    verdict = group.first.verdict
    yield Text.assemble(
        (f"{SIGNS[verdict]} {words(verdict)}", STYLES.get(verdict, "red")),
        "  ",
        (clean(group.implementation), "bold"),
        f": {clean(group.headline)}",
    )
    for detail in group.details():
        yield Text(f"    {clean(detail)}")


def _by_cause(groups: Iterable[Group]) -> Iterator[Text]:
    from rich.text import Text

    for group in groups:
        yield from block(group)
        yield Text()


def _not_supported(summary: Summary) -> Iterator[Text]:
    """What cannot be expressed, by implementation and reason, with how many rows say so."""
    from rich.text import Text

    if not summary.unsupported:
        return
    yield Text("Not supported", style="bold")
    for (name, cause), count in sorted(summary.unsupported.items()):
        yield Text.assemble(
            f"  {SIGNS[Verdict.UNSUPPORTED]} ", (clean(name), "bold"), f": {clean(cause)}", (f" ({count})", "dim")
        )
    yield Text()


def _by_case(rows: Iterable[Row]) -> Iterator[Text]:
    """Lines for some rows under the heading of each case, worst rows first within a case."""
    from rich.text import Text

    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(row)
    for case, found in cases.items():
        yield Text(clean(case), style="bold")
        for row in sorted(found, key=lambda row: severity(row.verdict)):
            style = STYLES.get(row.verdict, "red")
            seed = f" (seed {row.seed})" if row.seed else ""
            yield Text.assemble(
                (f"  {SIGNS[row.verdict]} {words(row.verdict)}", style),
                f"  {clean(label(row))}  ",
                (clean(row.check), "bold"),
                (clean(seed), "dim"),
            )
            details = [figures(row), told(reason(row)), row.place]
            if row.verdict is Verdict.PASS:
                details = details[:1]
            for detail in filter(None, details):
                yield Text(f"      {clean(detail)}")
        yield Text()


def _by_reason(rows: list[Row]) -> Iterator[Text]:
    """Known differences under their reasons: who, in which checks, in how many cases. One reason often explains many rows."""
    from rich.text import Text

    if not rows:
        return
    yield Text(f"Known differences ({len(rows)})", style="bold")
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        found.setdefault(row.cause, {}).setdefault(label(row), []).append(row)
    for why, labels in found.items():
        yield Text.assemble((f"  {SIGNS[Verdict.KNOWN]} ", STYLES.get(Verdict.KNOWN, "blue")), clean(why))
        for name, some in labels.items():
            checks = list(dict.fromkeys(row.check for row in some))
            more = f" and {len(checks) - 3} more" if len(checks) > 3 else ""
            cases = list(dict.fromkeys(row.case for row in some))
            where = cases[0] if len(cases) == 1 else plural(len(cases), "case")
            yield Text.assemble("      ", (clean(name), "bold"), f": {', '.join(checks[:3])}{more} in {clean(where)}")
    yield Text()
