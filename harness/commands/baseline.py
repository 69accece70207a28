"""`harness baseline`."""

from __future__ import annotations

import os

import click

from harness.commands import options
from harness.commands.gate import baseline_option, partial_option

_EPILOG = """\b
Examples:
  harness baseline update reports/latest
  harness baseline show
"""


@click.group(epilog=_EPILOG)
def baseline() -> None:
    """Write or show the committed baseline of the gate."""


@baseline.command(epilog="\b\nExample:\n  harness run cases; harness baseline update && git diff parity-baseline.txt")
@click.argument("folder", default="reports/latest", metavar="[DIR]", type=options.FILE)
@baseline_option
@partial_option
@click.option("--in-ci", is_flag=True, help="Allow it where CI is set: an update is a person's decision.")
def update(folder: str, file: str, partial: bool, in_ci: bool) -> int:
    """Make a stored run the baseline, and print what changes in the file.

    Entries that were taken on other machines are kept.
    """
    import difflib
    from pathlib import Path

    from harness.commands import next_step
    from harness.errors import UserError
    from harness.gate.baseline import Baseline, dump, from_run, merged, read
    from harness.reporting.files import write_whole
    from harness.reporting.store import read as read_run

    if os.environ.get("CI", "").lower() not in ("", "0", "false") and not in_ci:
        raise UserError("CI is set: a baseline is updated by a person, or with --in-ci")
    run = read_run(folder)
    if run.meta["interrupted"] and not partial:
        raise UserError(
            f"{folder}: the run was interrupted: run it again, or keep the rest of the baseline with --partial"
        )
    path = Path(file)
    old = read(path) if path.exists() else Baseline()
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = dump(merged(old, from_run(run), partial=partial))
    # Written before anything is printed: who reads the output may close it after the first line.
    if before != after:
        write_whole(path, after)
    click.echo(f"{file} {'updated' if before != after else 'is up to date'}", err=True)
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=2):
        click.echo(line)
    if before != after:
        next_step.after_update(file)
    return 0


@baseline.command(epilog="\b\nExample:\n  harness baseline show --json")
@baseline_option
@options.expression
@options.as_json
def show(file: str, expression: str, as_json: bool) -> int:
    """Say what the baseline holds: entries by machine and version, and rows by verdict."""
    from collections import Counter
    from pathlib import Path

    from harness.commands.console import print_json
    from harness.gate.baseline import read
    from harness.reporting.summary import plural
    from harness.reporting.verdicts import ORDER, words
    from harness.selection.expression import compile_expression

    matches = compile_expression(expression)
    known = read(Path(file))
    counts: Counter[str] = Counter()
    places: Counter[tuple[str, str]] = Counter()
    cases = set()
    for (case, implementation), entries in known.entries.items():
        if not matches(f"{case} {implementation}"):
            continue
        cases.add(case)
        for where, entry in entries.items():
            places[where.machine, where.version] += 1
            counts.update(str(figure.verdict) for figure in entry.checks.values())
    verdicts = {str(verdict): counts[verdict] for verdict in ORDER if counts[verdict]}
    if as_json:
        taken = [
            {"machine": known.machines[machine], "version": version, "comparisons": count}
            for (machine, version), count in sorted(places.items())
        ]
        print_json(
            {
                "format": "parity-harness baseline",
                "version": 1,
                "cases": len(cases),
                "verdicts": verdicts,
                "taken": taken,
            }
        )
        return 0
    total = sum(counts.values())
    click.echo(
        f"{plural(total, 'check')} in {plural(len(cases), 'case')}: "
        + ", ".join(f"{n} {words(v)}" for v, n in verdicts.items())
    )
    for (machine, version), count in sorted(places.items()):
        click.echo(f"  {plural(count, 'comparison')} with {version or 'no version'} on {known.machines[machine]}")
    return 0
