"""`harness compare`."""

from __future__ import annotations

import click

from harness.commands import options

_EPILOG = """\b
Examples:
  harness compare reports/before reports/latest
  harness compare reports/before reports/latest --json
"""


@click.command(epilog=_EPILOG)
@click.argument("before", metavar="BEFORE", type=options.FILE)
@click.argument("after", metavar="AFTER", type=options.FILE)
@click.option("--partial", is_flag=True, help="AFTER is a part of the cases: what it lacks is not missing.")
@options.as_json
def compare(before: str, after: str, partial: bool, as_json: bool) -> int:
    """Say what changed between two stored runs.

    The changes and their order are those of `harness gate`, with BEFORE in the place of the baseline. Exit code 1 if
    something got worse.
    """
    import datetime

    from harness.commands.console import output, print_json
    from harness.commands.gate import as_dict, print_changes
    from harness.commands.guard import settle
    from harness.gate import baseline, judge
    from harness.gate.changes import closes
    from harness.reporting.exits import Exit
    from harness.reporting.store import StoredRun, read

    runs = read(before), read(after)
    old, new = map(baseline.from_run, runs)
    changes = judge.judge(old, new, runs[1], datetime.date.today(), partial=partial)
    closed = closes(changes)
    settle(Exit.DIFFERENCE if closed else Exit.OK)

    def frameworks(run: StoredRun) -> dict[str, str]:
        return {
            f"{one['package']}{'@' if one['environment'] else ''}{one['environment']}": one["version"]
            for one in run.meta["frameworks"]
        }

    versions = [frameworks(run) for run in runs]
    upgrades = {
        name: [one.get(name, "") for one in versions]
        for name in sorted({*versions[0], *versions[1]})
        if versions[0].get(name) != versions[1].get(name)
    }
    if as_json:
        print_json(as_dict(changes, closed) | {"format": "parity-harness compare", "versions": upgrades})
    else:
        for name, (was, now) in upgrades.items():
            click.echo(f"{name} {was or 'not there'} -> {now or 'not there'}")
        words = ("Something got worse" if closed else "", "Nothing got worse.")
        print_changes(changes, output(), *words, since=f"since {before}", notice="New, or better")
    return Exit.DIFFERENCE if closed else Exit.OK
