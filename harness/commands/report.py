"""`harness report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness report reports/latest
  harness report reports/latest --format csv > table.csv
  harness report --format parquet --output table.parquet
  harness report --format junit --output junit.xml
  harness report --format github && harness report --format markdown >> "$GITHUB_STEP_SUMMARY"
  harness report reports/latest --json
  harness report reports/latest --power
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", default="reports/latest", metavar="[DIR]", type=options.FILE)
@click.option(
    "--format",
    "kind",
    type=options.Choice(["html", "summary", "csv", "jsonl", "parquet", "junit", "github", "gitlab", "markdown"]),
    default="html",
    show_default=True,
    help="html writes DIR/report.html and prints its path; the others print.",
)
@click.option("--output", metavar="FILE", help="Write to this file instead.")
@click.option("--power", is_flag=True, help="First measure which faults each case could not notice.")
@options.as_json
@options.quiet
@options.verbose
def report(folder: str, kind: str, output: str | None, power: bool, as_json: bool, quiet: bool, verbose: int) -> int:
    """Make the views of a stored run again. Runs no case.

    DIR is what `harness run --out` wrote (default: reports/latest). The exit code says whether the view could be
    made, not how the run ended.
    """
    from harness.commands.console import output as stdout
    from harness.commands.console import print_json
    from harness.commands.power import measure
    from harness.reporting import html
    from harness.reporting.files import write_whole
    from harness.reporting.store import read
    from harness.reporting.summary import summarise, summary_json
    from harness.reporting.terminal import print_summary

    stored = read(folder)
    if power:
        measure(stored, quiet=quiet)
    if as_json:
        print_json(summary_json(summarise(stored)))
    elif kind == "html":
        click.echo(html.write(stored, Path(output) if output else None))
    elif kind == "summary":
        print_summary(summarise(stored), stdout(), verbosity=-1 if quiet else verbose)
    else:
        data = exported(stored, kind)
        if output:
            write_whole(Path(output), data)
        else:
            click.echo(data, nl=False)
    return 0


def exported(stored: StoredRun, kind: str) -> bytes:
    """A stored run in one of the formats for other programs."""
    from harness.reporting import github, gitlab, junit, markdown
    from harness.reporting.files import open_text
    from harness.reporting.rows import COLUMNS, csv_line, csv_row, dump_row
    from harness.reporting.store import CSV, ROWS, VERSION

    if kind in ("csv", "jsonl") and stored.meta["version"] < VERSION:
        # The columns of an older run mean other things: its rows are told as those of today are.
        rows = (csv_row(row) if kind == "csv" else dump_row(row) + "\n" for row in stored.rows())
        return "".join([csv_line(COLUMNS) if kind == "csv" else "", *rows]).encode(errors="backslashreplace")
    if kind in ("csv", "jsonl"):
        with open_text(stored.folder / (CSV if kind == "csv" else ROWS)) as text:
            return text.read().encode()
    if kind == "parquet":
        from harness.reporting.frame import parquet

        return parquet(stored.rows())
    views: dict[str, Callable[[StoredRun], str]] = {
        "junit": junit.junit,
        "github": github.workflow_commands,
        "gitlab": gitlab.code_quality,
        "markdown": markdown.markdown,
    }
    return views[kind](stored).encode(errors="backslashreplace")
