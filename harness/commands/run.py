"""`harness run`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.records import BackendRef, Variant
    from harness.reporting.store import StoredRun
    from harness.reporting.writer import Writer

_EPILOG = """\b
Examples:
  harness run cases
  harness run cases/lstm -k "float32 and not replay" --backend torch
  harness run 'cases/lstm/variational.yaml::[rate=0.5-dtype=float32]'
  harness run cases --json > result.json
  harness run cases --resume     after an interruption
  harness run cases --shard 1/4 --out part1
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
@click.option(
    "--shard", metavar="I/N", default="", help="Only the I-th of N parts; `harness merge` puts them together."
)
@click.option("--last-failed", is_flag=True, help="Only the cases that differed in the run stored in --out.")
@click.option("--resume", is_flag=True, help="Keep what the run stored in --out has finished, and run the rest.")
@click.option(
    "--history",
    metavar="FILE",
    help="Database to add the run to, made where there is none.  [default: reports/history.sqlite if it exists]",
)
@click.option(
    "--profile", is_flag=True, help="Measure the whole profile: one more call, and what frameworks hold themselves."
)
@click.option("--power", is_flag=True, help="Measure too which faults each case could not notice, for the report.")
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
    shard: str,
    last_failed: bool,
    resume: bool,
    history: str | None,
    profile: bool,
    power: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Run cases and write a report.

    PATHS are case files, folders of them, ids of single cases, or stored runs, which stand for their cases. The summary on
    stdout names every difference; the folder given by --out holds the table (CSV, JSON lines) and a page to look at
    (report.html).
    """
    from harness import history as histories
    from harness import session
    from harness.commands import next_step
    from harness.commands.guard import command_line
    from harness.commands.power import measure
    from harness.errors import UserError
    from harness.execution.plan import expand
    from harness.reporting import merging
    from harness.reporting.exits import Exit
    from harness.reporting.files import undisturbed
    from harness.reporting.writer import Writer
    from harness.selection.choosing import backend_filter, select_cases, strangers

    part = merging.shard_of(shard) if shard else (1, 1)
    if shard and history is not None:
        raise UserError("--history: a shard is no run to remember; give it to `harness merge`, which has the whole one")
    variants = select_cases(paths, expression, thorough=True)
    keep = backend_filter(backends, variants)
    for message in strangers(backends, variants):
        click.echo(message, err=True)
    variants = merging.shard(session.with_backends(variants, keep, timeout), part)
    planned = {variant.id: {ref.label for ref in expand(variant, keep)} for variant in variants}
    before = read_if_there(Path(out)) if last_failed or resume else None
    if last_failed:
        failed = differing(before) if before else set()
        variants = [variant for variant in variants if variant.id in failed]
    if not variants:
        limits = [f"-k {expression!r}" if expression else "", f"--shard {shard}" if shard else ""]
        limits += ["--last-failed" if last_failed else "", *(f"--backend {name!r}" for name in backends)]
        given = " with ".join([", ".join(paths), " ".join(filter(None, limits))]) if any(limits) else ", ".join(paths)
        click.echo(f"nothing selected: no case of {given}", err=True)
        return Exit.NOTHING
    done = merging.finished(before, planned, variants) if before and resume else set()
    if before and resume and not done:
        click.echo(
            "no case is kept: none is finished and as it was, or another version of the harness ran them", err=True
        )
    if done:
        click.echo(f"{len(done)} of {len(variants)} cases are kept", err=True)
    # A shard is no run: `harness merge` remembers the whole one.
    database = None if shard else histories.prepare(out, history)
    writer = Writer.of(out, variants, command_line(), shard)
    with writer:
        if before:
            writer.resume(before, done)
        rest = [variant for variant in variants if variant.id not in done]
        interrupted = execute(rest, keep, writer, jobs=jobs, profile=profile, quiet=quiet, verbose=verbose)
        # What has been computed is kept, also where Ctrl-C comes now.
        with undisturbed():
            writer.finish(interrupted=interrupted)
    stored = session.closed(out, database)
    if power:
        measure(stored, [variant for variant in variants if not variant.programs], quiet=quiet)
    show_result(stored, as_json=as_json, verbosity=-1 if quiet else verbose)
    if not (as_json or quiet):
        next_step.after_run(stored, command_line())
    return stored.exit_code


def read_if_there(folder: Path) -> StoredRun | None:
    """The run stored in a folder, or None where there is none. Raises UserError where what is there cannot be read."""
    from harness.reporting.store import RUN, read

    return read(folder) if (folder / RUN).exists() else None


def differing(run: StoredRun) -> set[str]:
    """Ids of the cases with a difference."""
    from harness.reporting.verdicts import DIFFERENCES

    return {row.case for row in run.rows() if row.verdict in DIFFERENCES}


def execute(
    variants: list[Variant],
    keep: Callable[[BackendRef], bool],
    writer: Writer,
    *,
    jobs: int | None,
    profile: bool,
    quiet: bool,
    verbose: int,
) -> bool:
    """Run and store every comparison; returns whether Ctrl-C ended it. Raises HarnessError if one was lost."""
    from harness import session
    from harness.commands.progress import Progress
    from harness.running import run as run_cases

    total = session.comparisons(variants, keep)
    with Progress(total, quiet=quiet, verbose=verbose) as progress:
        events = run_cases(variants, select=keep, on_start=progress.start, jobs=jobs, profile=profile)
        try:
            session.store(events, total, writer, progress.done)
        except KeyboardInterrupt:
            return True
    return False


def show_result(stored: StoredRun, *, as_json: bool, verbosity: int) -> None:
    """Write the page and print the summary or its JSON."""
    from harness.commands.console import output, print_json
    from harness.commands.guard import settle
    from harness.reporting import html
    from harness.reporting.summary import summarise, summary_json
    from harness.reporting.terminal import print_summary

    settle(stored.exit_code)
    page = str(html.write(stored))
    summary = summarise(stored)
    if as_json:
        print_json(summary_json(summary, report=page))
    else:
        print_summary(summary, output(), verbosity=verbosity, report=page)
