"""`harness explain`: from the arrays that a run stored of what differs, or by running it again."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.errors import UserError
from harness.records import AVAILABLE, PROGRAMS, RAN, RECIPE, Row, Variant, Verdict

if TYPE_CHECKING:
    from harness.comparison.context import Context
    from harness.records import Kept
    from harness.reporting.store import StoredRun

_EPILOG = """\b
Examples:
  harness explain reports/latest
  harness explain cases/lstm --backend 'torch*'
  harness explain reports/latest 'cases/lstm/states.yaml::[dtype=float32]'
  harness explain --again reports/latest
  harness explain --stored reports/latest
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", default="reports/latest", metavar="[DIR]", type=options.FILE)
@click.argument("case", default="", metavar="[CASE]", type=options.FILE)
@options.backends
@click.option("--again", is_flag=True, help="Run what differed again, from the case files as they are now.")
@click.option("--stored", is_flag=True, help="Search nothing: give the causes that the run stored.")
@options.as_json
@options.no_progress
def explain(
    folder: str, case: str, backends: tuple[str, ...], again: bool, stored: bool, as_json: bool, quiet: bool
) -> int:
    """Say why the implementations of a stored run differ.

    DIR is what `harness run --out` wrote (default: reports/latest), and may be left out before a CASE: an id, a file, a
    folder, a pattern with * and ?, or another stored run, whose cases are meant.

    The arrays that the run stored of each case and implementation that differs are searched for a known fault; no framework is
    needed. Where they were left out, or with --again, the implementation is run again. What cannot be run here is
    explained by the causes that the run stored.
    """
    from harness.commands.console import print_json
    from harness.commands.next_step import LATEST
    from harness.reporting.exits import Exit
    from harness.reporting.store import read
    from harness.selection.stored import names_cases

    if again and stored:
        raise UserError("--again runs what differed, and --stored nothing: give one of them")
    if not case and names_cases(folder):
        folder, case = LATEST, folder
    way = "again" if again else "stored" if stored else "arrays"
    found = list(explanations(read(folder), case, backends, way, quiet=quiet))
    if as_json:
        print_json(
            {"format": "parity-harness explain", "version": 1, "explanations": [one.described() for one in found]}
        )
        return Exit.OK
    if not found:
        click.echo("nothing to explain: no difference that matches", err=True)
        return Exit.NOTHING if case or backends else Exit.OK
    for one in found:
        _print(one.case, one.name, one.how, one.rows, one.trace)
    return Exit.OK


def _print(case: str, name: str, how: str, rows: tuple[Row, ...], trace: str) -> None:
    from rich.text import Text

    from harness.commands.console import output
    from harness.reporting.groups import grouped
    from harness.reporting.summary import clean
    from harness.reporting.terminal import block

    console = output()
    console.print(Text(f"{clean(case)}  {clean(name)}", style="bold"), soft_wrap=True)
    console.print(Text(f"  {clean(how)}", style="dim"), soft_wrap=True)
    for told in grouped(rows):
        for part in block(told):
            console.print(Text("  ") + part, soft_wrap=True)
    for line in trace.splitlines():
        console.print(Text(f"    {clean(line)}", style="dim"), soft_wrap=True)


#: What is a difference: the rows of a stored run that ask for an explanation.
DIFFERENCES = (Verdict.FAIL, Verdict.NONDETERMINISTIC, Verdict.ERROR, Verdict.KNOWN)


@dataclass(frozen=True)
class Explained:
    """One case and implementation. how: from which numbers, or why not. rows: its differences, with their causes.

    trace  what was said of two programs; the stored tracebacks, where the harness itself failed: a person sends them to us.
    """

    case: str
    name: str
    how: str
    rows: tuple[Row, ...]
    trace: str = ""

    def described(self) -> dict[str, Any]:
        """For programs."""
        return {
            "case": self.case,
            "backend": self.name,
            "how": self.how,
            "traceback": self.trace,
            "rows": [
                {
                    "check": row.check,
                    "verdict": str(row.verdict),
                    "cause": row.cause,
                    "diagnosis": row.diagnosis,
                    "proof": row.proof,
                    "fix": row.fix,
                }
                for row in self.rows
            ],
        }


def explanations(
    stored: StoredRun, case: str, backends: Sequence[str], way: str = "arrays", *, quiet: bool = True
) -> Iterator[Explained]:
    """Every case and implementation of a stored run that differed, in the run's order.

    case   which cases: a word as `harness.selection.stored.meant` reads it; "": all.
    quiet  no progress on stderr.
    way  `arrays`: from the stored arrays, run again where there are none; `again`: run again; `stored`: as it was stored.

    Raises UserError for a case that is not in the run.
    """
    from harness.commands.progress import counted
    from harness.selection.stored import meant

    known = [str(one["id"]) for one in stored.cases]
    wanted = set(meant(case, known) if case else known)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in stored.rows():
        if row.case in wanted and row.verdict in DIFFERENCES and _wanted(row, backends):
            groups.setdefault((row.case, row.name), []).append(row)
    for (name, implementation), rows in counted(list(groups.items()), "causes", quiet=quiet):
        found = _explained(stored, name, implementation, rows, way)
        trace = "\n".join(filter(None, (found.trace, _trace(stored, name, rows))))
        yield dataclasses.replace(found, trace=trace)


def _wanted(row: Row, backends: Sequence[str]) -> bool:
    words = (row.backend, row.implementation, row.name)
    wanted = [name.removesuffix(RECIPE) for name in backends]
    return not wanted or any(fnmatch.fnmatchcase(word, name) for word in words for name in wanted)


def _said(stored: StoredRun, case: str, name: str) -> str:
    """What a run said of two programs, as `harness pair` does; "" of known layers."""
    for one in stored.charts():
        if (one["case"], one["backend"]) == (case, name):
            return "\n".join(one["charts"].get("programs", {}).get("said", ()))
    return ""


def _trace(stored: StoredRun, case: str, rows: Sequence[Row]) -> str:
    """The stored tracebacks of a comparison with internal errors."""
    if not any(row.internal for row in rows):
        return ""
    details = next((one["details"] for one in stored.cases if one["id"] == case), ())
    return "\n".join(one["text"] for one in details if one["backend"] == rows[0].name)


def _explained(stored: StoredRun, case: str, name: str, rows: list[Row], way: str) -> Explained:
    """From the stored arrays, or run again where that is possible; else the stored causes."""
    if way == "stored" or (way == "arrays" and rows[0].layer == PROGRAMS):
        return Explained(case, name, "as the run stored it", tuple(rows), _said(stored, case, name))
    note = ""
    if way == "arrays":
        from harness.comparison.kept import FAMILIES

        if not any(row.check.startswith(FAMILIES) for row in rows):
            return Explained(case, name, "as the run stored it: its values do not differ", tuple(rows))
        found, why = from_arrays(stored, case, name, rows)
        if found is not None:
            return found
        note = f", as {why}"
    try:
        variant, changed = _variant(stored, case)
        note += changed
    except UserError as error:
        return Explained(case, name, f"as the run stored it; it cannot be run again: {error}", tuple(rows))
    again = _run(variant, name)
    if again is None or any(row.check in (AVAILABLE, RAN) for row in again):
        why = next((row.cause for row in again or () if row.check in (AVAILABLE, RAN)), "the case has it no more")
        return Explained(case, name, f"as the run stored it; it cannot be run here: {why}", tuple(rows))
    known = {row.check: row.cause for row in rows if row.verdict is Verdict.KNOWN}
    bad = tuple(_as_known(row, known) for row in again if row.verdict in DIFFERENCES)
    how = f"run again{note}"
    return Explained(case, name, how if bad else f"{how}: the difference is gone", bad)


def from_arrays(stored: StoredRun, case: str, name: str, rows: list[Row]) -> tuple[Explained | None, str]:
    """What the stored arrays of a comparison say, or why they say nothing. The case is the one that the run stored, too."""
    from harness.cases import from_text
    from harness.comparison.context import Context
    from harness.comparison.kept import given

    kept = stored.kept(case, name)
    if kept is None or kept.left_out:
        return None, f"its arrays were not stored{': ' + kept.left_out if kept and kept.left_out else ''}"
    path = case.partition("::")[0]
    try:
        variants = {one.id: one for one in from_text(stored.sources[path], path)}
        # A known difference is explained too: that is what is asked for here.
        context = Context(dataclasses.replace(variants[case], expect=()))
        same = given(context) == kept.given
    except (UserError, LookupError, OSError) as error:
        return None, f"the stored case cannot be read here: {error}"
    if not same:
        return None, "the case's arrays are other ones now"
    known = {row.check: row.cause for row in rows if row.verdict is Verdict.KNOWN}
    found = tuple(_as_known(row, known) for row in searched(context, rows, kept))
    return Explained(case, name, "from the arrays that the run stored", found), ""


def searched(context: Context, rows: Sequence[Row], kept: Kept) -> Iterator[Row]:
    """Stored rows, those of values judged and searched anew; others as they are."""
    import datetime

    from harness.comparison.compare import judge
    from harness.comparison.kept import FAMILIES
    from harness.diagnosis.diagnose import explained
    from harness.records import BackendRef, JobResult

    first = rows[0]
    ref = BackendRef(first.backend, first.implementation or None, name=first.name)
    names = {row.check for row in rows if row.check.startswith(FAMILIES)}
    again = judge(
        JobResult(context.variant, ref, kept.passes, recipe=first.recipe), context, datetime.date.today(), names
    )
    assert again.evidence is not None
    judged = {row.check: row for row in again.compared.rows}
    # What needs other passes than those that were stored cannot be judged anew.
    new = [judged[row.check] if _differs(judged.get(row.check)) else row for row in rows]
    anew = tuple(row for row in new if row is judged.get(row.check))
    texts = {row.check: row for row in explained(dataclasses.replace(again.compared, rows=anew), again.evidence).rows}
    yield from (texts.get(row.check, row) for row in new)


def _differs(row: Row | None) -> bool:
    return row is not None and row.verdict is Verdict.FAIL


def _as_known(row: Row, known: dict[str, str]) -> Row:
    """A row of a known difference, with its reason behind the cause."""
    if row.check not in known:
        return row
    return dataclasses.replace(row, verdict=Verdict.KNOWN, cause=f"{row.cause}; known: {known[row.check]}")


def _variant(stored: StoredRun, case: str) -> tuple[Variant, str]:
    """The case as its file is now, without its known differences; and a note where the file has changed since."""
    from harness.selection.choosing import loaded

    path = case.partition("::")[0]
    source = stored.sources.get(path)
    found = {variant.id: variant for variant in loaded(path)}
    if case not in found:
        raise UserError(f"{path} has no case of that id any more")
    changed = source is not None and Path(path).read_text(encoding="utf-8") != source
    # A known difference is explained too: that is what is asked for here.
    return dataclasses.replace(found[case], expect=()), ", from a case file that has changed since" if changed else ""


def _run(variant: Variant, name: str) -> tuple[Row, ...] | None:
    """One implementation's rows; None where the case has no implementation of that label."""
    from harness.running import run

    return next((one.rows for one in run([variant], select=lambda ref: ref.label == name)), None)
