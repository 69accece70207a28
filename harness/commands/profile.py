"""`harness profile`: what implementations were measured to do, side by side."""

from __future__ import annotations

import fnmatch
import itertools
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.records import BackendRef

_EPILOG = """\b
Examples:
  harness profile cases/dropout/rates.yaml -k rate=0.5 --backend torch.nn.Dropout
  harness profile cases/recurrent/four-masks.yaml --differing
  harness profile cases/recurrent --between 'tensorflow: keras.layers.LSTM' '*: tf_keras.layers.LSTM'
"""

#: Case to implementation to entry to what was measured.
Profiles = dict[str, dict[str, dict[str, str]]]
#: Between two labels of a case: entry to what the first and the second do.
Between = dict[str, dict[tuple[str, str], dict[str, tuple[str, str]]]]


@click.command(epilog=_EPILOG)
@options.paths
@options.expression
@options.backends
@click.option("--differing", is_flag=True, help="Only the entries in which the implementations of a case differ.")
@click.option(
    "--between",
    nargs=2,
    metavar="FIRST SECOND",
    help="Only what differs between two: labels as in the report, implementations, or patterns of them.",
)
@options.as_json
@options.no_progress
@options.verbose
def profile(
    paths: tuple[str, ...],
    expression: str,
    backends: tuple[str, ...],
    differing: bool,
    between: tuple[str, str] | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Run cases and print what each implementation was measured to do.

    Its sites, what each mask is shared over, scale and rounding rule, keep rule, whether evaluation draws, the order of draws,
    what a second call draws, gate order, orientation and biases of its own arrays, the order of its states: all from the tap,
    the outputs and the framework's own arrays.
    """
    from harness.commands.console import print_json
    from harness.commands.progress import Progress
    from harness.execution.plan import expand
    from harness.reporting.exits import Exit
    from harness.running import run
    from harness.selection.choosing import backend_filter, select_cases, strangers

    variants = select_cases(paths, expression, programs=False)
    keep = backend_filter(backends, variants)
    for message in strangers(backends, variants):
        click.echo(message, err=True)
    chosen = backend_filter(between or ())
    found: Profiles = {}
    implementations: dict[str, str] = {}

    def both(ref: BackendRef) -> bool:
        return keep(ref) and chosen(ref)

    total = sum(1 for variant in variants for _ in expand(variant, both))
    with Progress(total, quiet=quiet, verbose=verbose) as progress:
        for event in run(variants, select=both, on_start=progress.start, profile=True):
            progress.done(event)
            if event.profile:
                found.setdefault(event.variant.id, {})[event.backend.label] = dict(event.profile)
                implementations[event.backend.label] = event.backend.implementation or ""
            else:
                words = "; ".join(row.cause for row in event.rows if row.cause)
                click.echo(f"{event.variant.id}  {event.backend.label}: not measured ({words})", err=True)
    if not found:
        click.echo("nothing was measured", err=True)
        return Exit.NOTHING
    if between is not None:
        return _between(differences(found, implementations, between), as_json)
    if as_json:
        print_json({"format": "parity-harness profile", "version": 1, "profiles": found})
        return Exit.OK
    for case, profiles in found.items():
        _print(case, profiles, differing)
    return Exit.OK


def differences(found: Profiles, implementations: dict[str, str], between: tuple[str, str]) -> Between:
    """What differs between every implementation that the first pattern names and every other that the second does."""
    from harness.comparison.profile import differing
    from harness.records import RECIPE

    def named(label: str, pattern: str) -> bool:
        wanted = pattern.removesuffix(RECIPE)
        words = (label, implementations[label], label.partition(":")[0])
        return any(word == wanted or fnmatch.fnmatchcase(word, wanted) for word in words)

    result: Between = {}
    for case, profiles in found.items():
        first, second = ([label for label in profiles if named(label, pattern)] for pattern in between)
        for one, other in itertools.product(first, second):
            if one != other and (other, one) not in result.get(case, {}):
                result.setdefault(case, {})[one, other] = differing(profiles[one], profiles[other])
    return result


def _between(result: Between, as_json: bool) -> int:
    from harness.commands.console import print_json
    from harness.reporting.exits import Exit

    if not result:
        click.echo("no case has two implementations of these names that could be measured", err=True)
        return Exit.NOTHING
    if as_json:
        listed = [
            {"case": case, "first": one, "second": other, "differing": entries}
            for case, pairs in result.items()
            for (one, other), entries in pairs.items()
        ]
        print_json({"format": "parity-harness profile", "version": 1, "between": listed})
        return Exit.OK
    for case, pairs in result.items():
        click.echo(case)
        for (one, other), entries in pairs.items():
            click.echo(f"  {one}  |  {other}")
            for name, (mine, theirs) in entries.items():
                click.echo(f"    {name}:")
                click.echo(f"      {mine or '—'}")
                click.echo(f"      {theirs or '—'}")
            if not entries:
                click.echo("    the same in every entry")
        click.echo()
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
