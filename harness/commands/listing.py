"""`harness list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.records import Variant

#: Below so many columns a table's cells would be cut to a few letters.
NARROW = 90
_EPILOG = """\b
Examples:
  harness list cases
  harness list cases -k lstm --json
  harness list cases | cut -f1
"""


@click.command("list", epilog=_EPILOG)
@options.paths
@options.expression
@options.as_json
def list_cases(paths: tuple[str, ...], expression: str, as_json: bool) -> int:
    """List cases with their layers, sites and backends. Runs nothing.

    Into a pipe: id, layer, dtype, sites and backends, separated by tabs.
    """
    from rich.text import Text

    from harness.commands.console import output, print_json
    from harness.reporting.exits import Exit
    from harness.reporting.summary import clean, plural
    from harness.reporting.terminal import hanging
    from harness.selection.choosing import select_cases

    variants = select_cases(paths, expression)
    if as_json:
        print_json({"format": "parity-harness list", "version": 1, "cases": [described(v) for v in variants]})
    else:
        console = output()
        rows = [[clean(cell) for cell in cells(variant)] for variant in variants]
        if console.is_terminal and console.width < NARROW:
            for name, *rest in rows:
                console.print(name, style="bold", soft_wrap=True)
                console.print(*hanging(Text("  " + "  ".join(filter(None, rest))), console), sep="\n")
        elif console.is_terminal:
            from rich import box
            from rich.table import Table

            table = Table("case", "layer", "dtype", "sites", "backends", box=box.SIMPLE_HEAD, pad_edge=False)
            for row in rows:
                table.add_row(*row)
            console.print(table)
        elif rows:
            click.echo("\n".join("\t".join(row) for row in rows))
    if not variants:
        click.echo("nothing selected", err=True)
        return Exit.NOTHING
    if not as_json:
        click.echo(plural(len(variants), "case"), err=True)
    return Exit.OK


def cells(variant: Variant) -> list[str]:
    """One line of the list."""
    sites = " ".join(f"{site.at}={site.rate:g}" if site.noise != "additive" else site.at for site in variant.sites)
    return [variant.id, variant.layer, variant.dtype, sites, ", ".join(ref.label for ref in variant.backends)]


def described(variant: Variant) -> dict[str, object]:
    """The same for programs."""
    from harness.reporting.described import describe

    result = describe(variant)
    result["backends"] = [ref.label for ref in variant.backends]
    return result
