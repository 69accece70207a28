"""`harness merge`."""

from __future__ import annotations

import click

from harness.commands import options

_EPILOG = """\b
Examples:
  harness merge part1 part2 --out reports/latest
  where these made the parts, on two machines:
  harness run cases --shard 1/2 --out part1
  harness run cases --shard 2/2 --out part2
"""


@click.command(epilog=_EPILOG)
@click.argument("folders", nargs=-1, required=True, metavar="DIRS...", type=options.FILE)
@click.option("--out", default="reports/latest", show_default=True, metavar="DIR", help="Folder of the merged run.")
@click.option(
    "--history",
    metavar="FILE",
    help="Database to add the merged run to, made where there is none.  [default: reports/history.sqlite if it exists]",
)
@options.as_json
@options.quiet
@options.verbose
def merge(folders: tuple[str, ...], out: str, history: str | None, as_json: bool, quiet: bool, verbose: int) -> int:
    """Put the shards of a run together, and report on them as one run.

    DIRS are what `harness run --shard i/n` wrote: all n of them, in any order. The exit code is that of the whole run, and
    the history gets the whole run alone.
    """
    from pathlib import Path

    from harness import history as histories
    from harness.commands import next_step
    from harness.commands.guard import command_line
    from harness.commands.run import show_result
    from harness.reporting import merging, powers
    from harness.reporting.store import read

    runs = [read(folder) for folder in folders]
    database = histories.prepare(out, history)
    merged = read(merging.merge(runs, Path(out), command_line()))
    if database is not None:
        histories.remember(merged, database)
    parts = {name: one for stored in runs for name, one in powers.of_run(stored).items()}
    if parts:
        powers.write(merged.folder, [parts[case["id"]] for case in merged.cases if case["id"] in parts])
    show_result(merged, as_json=as_json, verbosity=-1 if quiet else verbose)
    if not (as_json or quiet):
        next_step.after_merge(merged, runs, command_line())
    return merged.exit_code
