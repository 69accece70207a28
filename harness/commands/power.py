"""`harness power`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.power import Power
    from harness.records import Variant
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness power cases/lstm
  harness power 'cases/lstm/states.yaml::[dtype=float32]' -v
  harness power my_case.yaml --json
"""


@click.command(epilog=_EPILOG)
@options.paths
@options.expression
@options.as_json
@options.no_progress
@options.verbose
def power(paths: tuple[str, ...], expression: str, as_json: bool, quiet: bool, verbose: int) -> int:
    """Say which faults a case could not notice.

    Plants every fault that applies (gate orders, lost states, wrong scales and masks …) in the reference on the case's own data,
    and lists those whose effect stays within the case's limits. Runs no framework. -v lists the noticed ones too.
    """
    from harness.commands.console import print_json
    from harness.commands.progress import counted
    from harness.diagnosis.power import power as power_of
    from harness.reporting.exits import Exit
    from harness.selection.choosing import select_cases

    variants = select_cases(paths, expression, programs=False)
    if not variants:
        click.echo("nothing selected", err=True)
        return Exit.NOTHING
    found = [(variant, power_of(variant)) for variant in counted(variants, "case power", quiet=quiet)]
    if as_json:
        print_json({"format": "parity-harness power", "version": 1, "cases": [described(*one) for one in found]})
        return Exit.OK
    for variant, judged in found:
        _print(variant, judged, everything=verbose > 0)
    _together(found)
    return Exit.OK


def described(variant: Variant, judged: list[Power]) -> dict[str, object]:
    """One case for programs. `effect` is the largest effect over a limit, null where there is no number for it."""
    return {
        "case": variant.id,
        "faults": [
            {"fault": one.fault, "cause": one.cause, "noticed": one.noticed, "by": one.by, "effect": finite(one.ratio)}
            for one in judged
        ],
    }


def finite(value: float) -> float | None:
    """The value, or None for an infinity, which JSON does not know."""
    return value if value < float("inf") else None


def measure(stored: StoredRun, variants: Iterable[Variant] | None = None, *, quiet: bool = False) -> None:
    """Write the power of a stored run's cases beside it (harness.reporting.powers); what is known already is kept.

    variants  the run's cases; None: they are loaded again, and those whose files have changed since are left out, with a message.
    """
    from harness.commands.progress import counted
    from harness.diagnosis.fault import FaultError
    from harness.diagnosis.power import power as power_of
    from harness.diagnosis.power_key import key
    from harness.reporting.powers import CasePower, read, text_digest, write

    before = {one.key: one for one in read(stored.folder).values()}
    found = []
    for variant in counted(list(_loaded(stored) if variants is None else variants), "case power", quiet=quiet):
        digest = key(variant)
        known = before.get(digest)
        if known is None:
            try:
                before[digest] = known = CasePower(variant.id, "", digest, tuple(power_of(variant)))
            except FaultError as error:
                click.echo(f"{variant.id}: its power was not measured: internal error: {error}", err=True)
                continue
        found.append(CasePower(variant.id, text_digest(variant.source), digest, known.faults))
    write(stored.folder, found)


def _loaded(stored: StoredRun) -> Iterator[Variant]:
    """The stored run's cases from their files, as long as these are what they were."""
    from pathlib import Path

    from harness.cases import load
    from harness.errors import UserError

    wanted = {case["id"] for case in stored.cases}
    for path, source in stored.sources.items():
        try:
            variants = load([Path(path)])
        except UserError as error:
            click.echo(f"{path}: its power was not measured: {error}", err=True)
            continue
        if any(variant.source != source for variant in variants):
            click.echo(f"{path}: its power was not measured: the file has changed since the run", err=True)
            continue
        yield from (variant for variant in variants if variant.id in wanted)


def _print(variant: Variant, judged: list[Power], *, everything: bool) -> None:
    from rich.text import Text

    from harness.commands.console import output
    from harness.reporting.summary import clean

    console = output()
    missed = [one for one in judged if not one.noticed]
    alone = sum(one.by_gradient_alone for one in judged)
    hidden = f", {alone} of them by gradients alone" if alone else ""
    console.print(Text(clean(variant.id), style="bold"), soft_wrap=True)
    console.print(f"  {len(judged) - len(missed)} of {len(judged)} faults would be noticed{hidden}", soft_wrap=True)
    for one in judged if everything else missed:
        mark = "noticed by " + one.by if one.noticed else "NOT noticed"
        size = f", {one.ratio:.2g} times the limit" if 0.0 < one.ratio < float("inf") else ""
        console.print(Text(f"  {mark}{size}: {clean(one.cause)}  [{one.fault}]"), soft_wrap=True)


def _together(found: list[tuple[Variant, list[Power]]]) -> None:
    """What none of several cases notices, by layer kind."""
    from harness.diagnosis.power import unnoticed

    if len(found) < 2:
        return
    missed = unnoticed((variant.layer, judged) for variant, judged in found)
    if not missed:
        click.echo("Together they notice every fault.")
    for layer, names in missed.items():
        click.echo(f"No case of {layer} notices: {', '.join(names)}")
