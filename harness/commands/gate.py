"""`harness gate`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.commands.next_step import BASELINE

if TYPE_CHECKING:
    from rich.console import Console

    from harness.gate.changes import Change
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness gate                 after `harness run cases`
  harness gate reports/latest --baseline ci/baseline.txt --json
  harness gate --today 2027-07-01    what will have expired by then
"""

baseline_option = click.option(
    "--baseline",
    "file",
    default=BASELINE,
    show_default=True,
    metavar="FILE",
    type=options.FILE,
    help="The committed baseline.",
)
partial_option = click.option(
    "--partial", is_flag=True, help="The run is a part of the cases: what it lacks is not missing."
)


@click.command(epilog=_EPILOG)
@click.argument("folder", default="reports/latest", metavar="[DIR]", type=options.FILE)
@baseline_option
@partial_option
@click.option(
    "--headroom",
    type=click.FloatRange(min=1),
    metavar="FACTOR",
    help="How much a figure may grow on the same machine and versions.  [default: 2]",
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Judge the dates of known differences as on this day.  [default: today]",
)
@options.as_json
def gate(
    folder: str, file: str, partial: bool, headroom: float | None, today: datetime.datetime | None, as_json: bool
) -> int:
    """Compare a stored run with the committed baseline.

    Exit code 1 if there is a new difference, a changed mask, a missing comparison, an expired or unmatched known
    difference, one that is gone, or a figure that grew past its headroom. Differences that the baseline has too do
    not close the gate.
    """
    from pathlib import Path

    from harness.commands import next_step
    from harness.commands.console import output, print_json
    from harness.commands.guard import settle
    from harness.gate import baseline, judge
    from harness.gate.changes import closes
    from harness.reporting.exits import Exit
    from harness.reporting.store import read

    known = baseline.read(Path(file))
    run = read(folder)
    hint_of_part(run, partial)
    day = today.date() if today else datetime.date.today()
    changes = judge.judge(known, baseline.from_run(run), run, day, partial=partial, headroom=headroom or judge.HEADROOM)
    closed = closes(changes)
    settle(Exit.DIFFERENCE if closed else Exit.OK)
    if as_json:
        print_json(as_dict(changes, closed))
    else:
        print_changes(changes, output(), "The gate is closed" if closed else "", "The gate is open: nothing got worse.")
        next_step.after_gate(folder, file, closed=closed, news=bool(changes))
    return Exit.DIFFERENCE if closed else Exit.OK


def hint_of_part(run: StoredRun, partial: bool) -> None:
    """Say on stderr why so much will be missing, where a run is not a whole one."""
    if partial:
        return
    if run.meta["interrupted"]:
        click.echo(f"{run.folder}: the run was interrupted: what it did not come to counts as missing", err=True)
    elif run.meta.get("shard"):
        click.echo(
            f"{run.folder}: is shard {run.meta['shard']}: `harness merge` puts shards together; --partial judges one alone",
            err=True,
        )


def as_dict(changes: list[Change], closed: bool) -> dict[str, Any]:
    """The changes for programs."""
    return {
        "format": "parity-harness gate",
        "version": 1,
        "passed": not closed,
        "changes": [
            {
                "kind": change.kind.name.lower(),
                "case": change.case,
                "implementation": change.implementation,
                "check": change.check,
                "message": change.message,
                "since": change.since,
                "cause": change.cause,
                "place": change.place,
            }
            for change in changes
        ],
    }


def print_changes(
    changes: list[Change],
    console: Console,
    closed: str,
    opened: str,
    *,
    since: str = "since the baseline",
    notice: str = "For the next update of the baseline",
) -> None:
    """The changes for people, by kind; then `closed` with their number, or, where it is empty, `opened`.

    since   how to say what the versions and the machine of before are compared with.
    notice  the title of what does not close the gate.
    """
    from rich.text import Text

    from harness.gate.changes import TITLES, Kind
    from harness.reporting.summary import clean, plural
    from harness.reporting.terminal import hanging
    from harness.reporting.verdicts import told

    titles = TITLES | {Kind.NOTICE: notice}
    for kind in Kind:
        mine = [change for change in changes if change.kind is kind]
        if not mine:
            continue
        style = "bold" if kind is Kind.NOTICE else "bold red"
        console.print(Text(f"{titles[kind]} ({len(mine)})", style=style))
        case = None
        for change in mine:
            if change.case != case:
                case = change.case
                console.print(Text(f"  {clean(case)}"))
            line = Text.assemble(
                f"    {clean(change.implementation)}  ", (clean(change.check), "bold"), f"  {clean(change.message)}"
            )
            console.print(*hanging(line, console), sep="\n")
            details = [
                clean(told(change.cause)),
                f"{since}: {clean(change.since)}" if change.since else "",
                clean(change.place) if kind is not Kind.NOTICE else "",
            ]
            for detail in filter(None, details):
                console.print(*hanging(Text(f"      {detail}", style="dim"), console), sep="\n")
        console.print()
    count = sum(change.kind < Kind.NOTICE for change in changes)
    if closed:
        console.print(Text(f"{closed}: {plural(count, 'change')}.", style="bold red"))
    else:
        console.print(Text(opened, style="bold green"))
