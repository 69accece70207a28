"""`harness history`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness import history as histories

_EPILOG = """\b
Examples:
  harness history
  harness history cases/lstm/stack.yaml --check value.y --backend torch
  harness history cases --html reports/history.html
  harness history 'cases/dropout/rates.yaml::[*rate=0.5*]' --json
"""


@click.command(epilog=_EPILOG)
@click.argument("case", default="", metavar="[CASE]")
@click.option(
    "--history",
    "file",
    default="reports/history.sqlite",
    show_default=True,
    metavar="FILE",
    help="What `harness run --history FILE` keeps.",
)
@click.option("--backend", default="*", metavar="NAME", help="Only this backend, implementation or pattern.")
@click.option("--check", default="*", metavar="NAME", help="Only this check or pattern, e.g. 'value.*'.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N runs.")
@click.option(
    "--html", "page", metavar="FILE", help="Write a page with every figure over the runs, and print its path."
)
@options.as_json
def history(case: str, file: str, backend: str, check: str, last: int | None, page: str | None, as_json: bool) -> int:
    """List past runs, or a case's figures over runs and versions.

    CASE is an id, a file, a folder, a pattern with * and ?, or a stored run, whose cases are meant. Without it
    the runs are listed, with the versions that changed from one to the next.
    """
    from harness import history as histories
    from harness.commands.console import print_json
    from harness.reporting.exits import Exit

    narrowed = (backend, check) != ("*", "*")
    limit = last or 0
    if not case and not narrowed and not page:
        past = histories.runs(Path(file), limit)
        if as_json:
            runs = [dataclasses.asdict(one) for one in past]
            print_json({"format": "parity-harness history", "version": 1, "runs": runs})
        else:
            _print_runs(past)
        return Exit.OK if past else Exit.NOTHING
    wanted = _wanted(case) if case else ["*"]
    series = [
        one
        for name in wanted
        for one in histories.figures(Path(file), name, implementation=backend, check=check, limit=limit)
    ]
    if not series:
        click.echo(f"{file} has no figures of {case or 'these'}", err=True)
        return Exit.NOTHING
    if page:
        from harness.history import page as history_page
        from harness.reporting.files import write_whole

        write_whole(Path(page), history_page.page(series))
        click.echo(page)
    elif as_json:
        print_json({"format": "parity-harness history", "version": 1, "series": [_as_dict(one) for one in series]})
    else:
        _print_figures(series)
    return Exit.OK


def _wanted(case: str) -> list[str]:
    """What to ask the history for. Raises UserError for Python, which is no case."""
    from harness.cases.loading import display_name, is_python, python_problem
    from harness.errors import UserError
    from harness.selection.stored import cases_of, is_run

    if is_run(case):
        return cases_of(case)
    path, sign, variant = case.partition("::")
    if is_python(Path(path)):
        raise UserError(python_problem(Path(path)))
    name = display_name(Path(path))
    return ["*" if name == "." else f"{name}{sign}{variant}"]


def _print_runs(past: list[histories.Past]) -> None:
    from harness.reporting.verdicts import ORDER, words

    before: dict[str, str] = {}
    for one in past:
        counts = ", ".join(f"{one.counts[v]:,} {words(v)}" for v in reversed(ORDER) if v in one.counts)
        marks = [f"shard {one.shard}" if one.shard else "", "interrupted" if one.interrupted else ""]
        notes = "".join(f" ({mark})" for mark in marks if mark)
        click.echo(f"{one.id:>5}  {one.started}  exit {one.exit_code}  {counts}{notes}")
        for name, version in one.frameworks.items():
            if before.get(name) != version:
                click.echo(f"       {name} {before[name] + ' -> ' if name in before else ''}{version}")
        before |= one.frameworks


def _print_figures(series: list[list[histories.Figure]]) -> None:
    from harness.reporting.summary import clean
    from harness.reporting.verdicts import SIGNS, words

    heading = ""
    for one in series:
        first = one[0]
        if first.case != heading:
            heading = first.case
            click.echo(clean(heading))
        click.echo(f"  {clean(first.implementation)}  {clean(first.check)}")
        for figure in one:
            numbers = ""
            if figure.measured is not None:
                of = f" of {figure.limit:.4g}" if figure.limit is not None else ""
                numbers = f"{figure.measured:.4g}{of} {figure.unit}".rstrip()
            verdict = next(v for v in SIGNS if v == figure.verdict)
            parts = [figure.started, clean(figure.version), f"{SIGNS[verdict]} {words(verdict)}", numbers]
            click.echo("    " + "  ".join(part for part in parts if part))


def _as_dict(series: list[histories.Figure]) -> dict[str, object]:
    from harness.reporting.rows import to_json

    first = series[0]
    own = ("run", "started", "version", "device", "verdict", "measured", "limit", "unit", "cause")
    return {
        "case": first.case,
        "implementation": first.implementation,
        "check": first.check,
        "figures": [{name: to_json(getattr(one, name)) for name in own} for one in series],
    }
