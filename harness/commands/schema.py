"""`harness schema`."""

from __future__ import annotations

import click

_EPILOG = """\b
Examples:
  harness schema > case.schema.json
  then begin a case file with
  # yaml-language-server: $schema=case.schema.json
"""


@click.command(epilog=_EPILOG)
@click.option("--output", metavar="FILE", help="Write it there instead of stdout.")
def schema(output: str | None) -> int:
    """Print the JSON Schema of a case file, for editors and other tools."""
    import json
    from pathlib import Path

    from harness.cases import json_schema
    from harness.reporting.files import write_whole

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if output:
        write_whole(Path(output), text + "\n")
    else:
        click.echo(text)
    return 0
