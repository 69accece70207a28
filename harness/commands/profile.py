"""`harness profile`: what implementations were measured to do, side by side."""

from __future__ import annotations

import json

import click

from harness.commands import options

_EPILOG = """\b
Examples:
  harness profile cases/dropout/rates.yaml -k rate=0.5 --backend torch.nn.Dropout
  harness profile cases/recurrent/keras.yaml --differing
"""


@click.command(epilog=_EPILOG)
@options.paths
@options.expression
@options.backends
@click.option("--differing", is_flag=True, help="Only the entries in which the implementations of a case differ.")
@options.as_json
def profile(paths: tuple[str, ...], expression: str, backends: tuple[str, ...], differing: bool, as_json: bool) -> int:
    """Run cases and print what each implementation was measured to do.

    Its sites, what each mask is shared over, scale and rounding rule, keep rule, whether evaluation draws, the order of draws,
    which result is h and which c: all from the tap and the outputs.
    """
    from harness.commands.selection import backend_filter, select_cases
    from harness.reporting.exits import Exit
    from harness.running import run

    variants = select_cases(paths, expression)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for event in run(variants, select=backend_filter(backends, variants), profile=True):
        if event.profile:
            found.setdefault(event.variant.id, {})[event.backend.label] = dict(event.profile)
        else:
            words = "; ".join(row.cause for row in event.rows if row.cause)
            click.echo(f"{event.variant.id}  {event.backend.label}: not measured ({words})", err=True)
    if not found:
        click.echo("nothing was measured", err=True)
        return Exit.NOTHING
    if as_json:
        click.echo(json.dumps({"version": 1, "profiles": found}, indent=1, ensure_ascii=False))
        return Exit.OK
    for case, profiles in found.items():
        _print(case, profiles, differing)
    return Exit.OK


def _print(case: str, profiles: dict[str, dict[str, str]], differing: bool) -> None:
    """One case: entries that all share first, then each entry in which they differ, with who has what."""
    click.echo(case)
    names = dict.fromkeys(name for one in profiles.values() for name in one)
    for name in names:
        values: dict[str, list[str]] = {}
        for label, one in profiles.items():
            values.setdefault(one.get(name, "—"), []).append(label)
        if len(values) == 1:
            if not differing:
                click.echo(f"  {name}: {next(iter(values))}")
            continue
        click.echo(f"  {name}:")
        for value, labels in values.items():
            click.echo(f"    {value}")
            for label in labels:
                click.echo(f"      {label}")
    click.echo()
