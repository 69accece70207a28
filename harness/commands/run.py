"""`harness run`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.records import BackendRef, Variant
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness run cases
  harness run cases/lstm -k "float32 and not replay" --backend torch
  harness run 'cases/lstm/variational.yaml::[rate=0.5-dtype=float32]'
  harness run cases --json > result.json
"""


@click.command(epilog=_EPILOG)
@options.paths
@click.option(
    "--out", default="reports/latest", show_default=True, metavar="DIR", help="Folder of the stored run and report."
)
@options.expression
@options.backends
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time limit for each call, instead of the cases' own.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Workers that compute at the same time.  [default: one a framework]",
)
@options.as_json
@options.quiet
@options.verbose
def run(
    paths: tuple[str, ...],
    out: str,
    expression: str,
    backends: tuple[str, ...],
    timeout: float | None,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Run cases and write a report.

    PATHS are case files, folders of them, or ids of single cases. The summary on stdout names every difference; the
    folder given by --out holds the table (CSV, JSON lines) and a page to look at (report.html).
    """
    from harness.commands.selection import backend_filter, select_cases
    from harness.reporting.exits import Exit

    keep = backend_filter(backends)
    variants = select_cases(paths, expression)
    if timeout is not None:
        variants = [dataclasses.replace(variant, timeout=timeout) for variant in variants]
    command = ["harness", *sys.argv[1:]]
    stored = execute(variants, keep, Path(out), command, jobs=jobs, quiet=quiet, verbose=verbose) if variants else None
    if stored is None or (not stored.meta["rows"] and not stored.meta["interrupted"]):
        click.echo(f"nothing selected: no case of {', '.join(paths)} matches", err=True)
        return Exit.NOTHING
    show_result(stored, as_json=as_json, verbosity=-1 if quiet else verbose)
    return stored.exit_code


def execute(
    variants: list[Variant],
    keep: Callable[[BackendRef], bool],
    out: Path,
    command: list[str],
    *,
    jobs: int | None,
    quiet: bool,
    verbose: int,
) -> StoredRun | None:
    """Run and store; None where the backend filter left nothing. Ctrl-C stores what is there, marked as interrupted."""
    from harness.commands.progress import Progress
    from harness.execution import plan
    from harness.reporting.store import read
    from harness.reporting.writer import Writer
    from harness.run import run as run_cases

    total = sum(1 for variant in variants for _ in plan.expand(variant, keep))
    if not total:
        return None
    interrupted = False
    with Writer(out, variants, command) as writer, Progress(total, quiet=quiet, verbose=verbose) as progress:
        try:
            for event in run_cases(variants, select=keep, on_start=progress.start, jobs=jobs):
                writer.add(event)
                progress.done(event)
        except KeyboardInterrupt:
            interrupted = True
        writer.finish(interrupted=interrupted)
    return read(out)


def show_result(stored: StoredRun, *, as_json: bool, verbosity: int) -> None:
    """Write the page and print the summary or its JSON."""
    from harness.commands.console import output, print_json
    from harness.reporting import html
    from harness.reporting.summary import print_summary, summarise, summary_json

    page = str(html.write(stored))
    summary = summarise(stored)
    if as_json:
        print_json(summary_json(summary, report=page))
    else:
        print_summary(summary, output(), verbosity=verbosity, report=page)
