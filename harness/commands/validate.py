"""`harness validate`."""

from __future__ import annotations

import click

from harness.commands import options

_EPILOG = """\b
Examples:
  harness validate cases
  harness validate my-case.yaml && harness run my-case.yaml
"""


@click.command(epilog=_EPILOG)
@options.paths
@options.as_json
def validate(paths: tuple[str, ...], as_json: bool) -> int:
    """Check case files without running anything.

    Every problem of every file is shown, with its line and column. Exit code 4 if there is one.
    """
    from harness.commands.console import print_json
    from harness.errors import UserError
    from harness.reporting.exits import Exit
    from harness.reporting.summary import plural
    from harness.selection.choosing import select_cases

    try:
        variants = select_cases(paths, thorough=True)
    except UserError as error:
        if not as_json:
            raise
        problems = [
            {
                "message": problem.message,
                "path": problem.path,
                "file": problem.place.file if problem.place else "",
                "line": problem.place.line if problem.place else 0,
                "column": problem.place.column if problem.place else 0,
            }
            for problem in error.problems
        ]
        print_json(
            {"format": "parity-harness validate", "version": 1, "valid": False, "cases": 0, "problems": problems}
        )
        return Exit.USAGE
    files = len({variant.path for variant in variants})
    if as_json:
        print_json(
            {"format": "parity-harness validate", "version": 1, "valid": True, "cases": len(variants), "problems": []}
        )
    elif variants:
        click.echo(f"{plural(files, 'file')}, {plural(len(variants), 'case')}: valid")
    if not variants:
        click.echo("nothing selected: no case files", err=True)
        return Exit.NOTHING
    return Exit.OK
