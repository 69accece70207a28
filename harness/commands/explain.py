"""`harness explain`: the implementations that differed are run again, because a stored run keeps no arrays."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.errors import UserError, did_you_mean
from harness.records import AVAILABLE, Row, Variant, Verdict

if TYPE_CHECKING:
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness explain reports/latest
  harness explain reports/latest 'cases/lstm/states.yaml::[dtype=float32]' --backend 'torch*'
  harness explain --stored reports/latest
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", default="reports/latest", metavar="[DIR]")
@click.argument("case", default="", metavar="[CASE]")
@options.backends
@click.option("--stored", is_flag=True, help="Run nothing: give the causes that the run stored.")
@options.as_json
def explain(folder: str, case: str, backends: tuple[str, ...], stored: bool, as_json: bool) -> int:
    """Say why the implementations of a stored run differ.

    DIR is what `harness run --out` wrote. A stored run keeps no arrays, so each case and implementation that differed is
    run again, from the case file as it is now, and its numbers are searched for a known fault. What cannot be run here
    is explained by the causes that the run stored.
    """
    from harness.commands.console import print_json
    from harness.reporting.exits import Exit
    from harness.reporting.store import read

    found = list(explanations(read(folder), case, backends, rerun=not stored))
    if as_json:
        print_json(
            {"format": "parity-harness explain", "version": 1, "explanations": [one.described() for one in found]}
        )
        return Exit.OK
    if not found:
        click.echo("nothing to explain: no difference that matches", err=True)
        return Exit.NOTHING if case or backends else Exit.OK
    for one in found:
        _print(one.case, one.name, one.how, one.rows)
    return Exit.OK


def _print(case: str, name: str, how: str, rows: tuple[Row, ...]) -> None:
    from rich.text import Text

    from harness.commands.console import output
    from harness.reporting.summary import clean

    console = output()
    console.print(Text(f"{clean(case)}  {clean(name)}", style="bold"), soft_wrap=True)
    console.print(Text(f"  {clean(how)}", style="dim"), soft_wrap=True)
    for row in rows:
        console.print(Text(f"  {row.check}  {row.verdict}: {clean(row.cause)}"), soft_wrap=True)


#: What is a difference: the rows of a stored run that ask for an explanation.
DIFFERENCES = (Verdict.FAIL, Verdict.NONDETERMINISTIC, Verdict.ERROR, Verdict.KNOWN)


@dataclass(frozen=True)
class Explained:
    """One case and implementation. how: whether it was run again, or why not. rows: its differences, with their causes."""

    case: str
    name: str
    how: str
    rows: tuple[Row, ...]

    def described(self) -> dict[str, Any]:
        """For programs."""
        return {
            "case": self.case,
            "backend": self.name,
            "how": self.how,
            "rows": [{"check": row.check, "verdict": str(row.verdict), "cause": row.cause} for row in self.rows],
        }


def explanations(stored: StoredRun, case: str, backends: Sequence[str], *, rerun: bool) -> Iterator[Explained]:
    """Every case and implementation of a stored run that differed, in the run's order.

    Raises UserError for a case that is not in the run.
    """
    known = [str(one["id"]) for one in stored.cases]
    if case and case not in known:
        raise UserError(f"{case!r} is no case of this run{did_you_mean(case, known)}")
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in stored.rows():
        chosen = not case or row.case == case
        if chosen and row.verdict in DIFFERENCES and _wanted(row, backends):
            groups.setdefault((row.case, row.name), []).append(row)
    for (name, implementation), rows in groups.items():
        yield _explained(stored, name, implementation, rows, rerun=rerun)


def _wanted(row: Row, backends: Sequence[str]) -> bool:
    words = (row.backend, row.implementation, row.name, row.name.removesuffix(" [recipe]"))
    return not backends or any(fnmatch.fnmatchcase(word, name) for word in words for name in backends)


def _explained(stored: StoredRun, case: str, name: str, rows: list[Row], *, rerun: bool) -> Explained:
    """Run again where that is possible; else the stored causes."""
    if not rerun:
        return Explained(case, name, "as the run stored it", tuple(rows))
    try:
        variant, note = _variant(stored, case)
    except UserError as error:
        return Explained(case, name, f"as the run stored it; it cannot be run again: {error}", tuple(rows))
    again = _run(variant, name)
    if again is None or any(row.check in (AVAILABLE, "run.completes") for row in again):
        why = next(
            (row.cause for row in again or () if row.check in (AVAILABLE, "run.completes")), "the case has it no more"
        )
        return Explained(case, name, f"as the run stored it; it cannot be run here: {why}", tuple(rows))
    known = {row.check: row.cause for row in rows if row.verdict is Verdict.KNOWN}
    bad = tuple(_as_known(row, known) for row in again if row.verdict in DIFFERENCES)
    how = f"run again{note}"
    return Explained(case, name, how if bad else f"{how}: the difference is gone", bad)


def _as_known(row: Row, known: dict[str, str]) -> Row:
    """A row of a known difference, with its reason behind the cause."""
    if row.check not in known:
        return row
    return dataclasses.replace(row, verdict=Verdict.KNOWN, cause=f"{row.cause}; known: {known[row.check]}")


def _variant(stored: StoredRun, case: str) -> tuple[Variant, str]:
    """The case as its file is now, without its known differences; and a note where the file has changed since."""
    from harness.cases import load

    path = case.partition("::")[0]
    source = stored.sources.get(path)
    found = {variant.id: variant for variant in load([Path(path)])}
    if case not in found:
        raise UserError(f"{path} has no case of that id any more")
    changed = source is not None and Path(path).read_text(encoding="utf-8") != source
    # A known difference is explained too: that is what is asked for here.
    return dataclasses.replace(found[case], expect=()), ", from a case file that has changed since" if changed else ""


def _run(variant: Variant, name: str) -> tuple[Row, ...] | None:
    """One implementation's rows; None where the case has no implementation of that label."""
    from harness.running import run

    label = name.removesuffix(" [recipe]")
    return next((one.rows for one in run([variant], select=lambda ref: ref.label == label)), None)
