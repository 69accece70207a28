"""An exception of our own while one comparison is made: it becomes an `error` row of that comparison, and the run goes on.

The row is marked `internal`, so that a run with one ends with exit code 3, and the traceback goes into the stored run. What is no
bug, such as an input file that has gone or a machine without memory, becomes a plain `error` row.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterable
from typing import TypeVar

from harness.errors import UserError, by_surroundings
from harness.records import INTERNAL, RAN, BackendRef, Compared, Failure, Row, Variant, Verdict
from harness.traces import placeless

Made = TypeVar("Made")
#: Of so many failures of one comparison the tracebacks are kept, of each so many characters from its end.
MOST, LONGEST = 3, 4000


def failure(error: Exception, phase: str, text: str = "") -> Failure:
    """What is kept of an exception that was raised while, say, `its rows were judged`.

    text  what to say instead of the exception's type and words.
    """
    bug = not isinstance(error, UserError | MemoryError) and not by_surroundings(error)
    if not text:
        text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    return Failure(phase, text, placeless("".join(traceback.format_exception(error))), bug)


def cause(failed: Failure) -> str:
    """The failure as a row's cause."""
    said = f"while {failed.phase}: {failed.text}" if failed.phase else failed.text
    return f"internal error: {said}; this is a bug of the harness" if failed.bug else said


def noted(compared: Compared, failures: Iterable[Failure], check: str = INTERNAL) -> Compared:
    """The same comparison with a row for each failure, named `check`, `check.2` …, and with their tracebacks."""
    failures = list(failures)
    rows = list(compared.rows)
    taken = {row.check for row in rows}
    for failed in failures:
        name = check if failed.bug else RAN
        number = 2
        while name in taken:
            name, number = f"{check if failed.bug else RAN}.{number}", number + 1
        taken.add(name)
        template = rows[0] if rows else _nameless(compared.variant, compared.backend)
        seeds = ",".join(map(str, compared.variant.seeds))
        rows.append(
            dataclasses.replace(
                template,
                check=name,
                seed=seeds,
                verdict=Verdict.ERROR,
                measured=None,
                limit=None,
                unit="",
                where="",
                cause=cause(failed),
                note="",
                seconds=None,
                internal=failed.bug,
            )
        )
    return traced(dataclasses.replace(compared, rows=tuple(rows)), failures)


def traced(compared: Compared, failures: Iterable[Failure]) -> Compared:
    """The same comparison with the tracebacks of failures whose rows it has."""
    traces = list(dict.fromkeys(failed.trace[-LONGEST:] for failed in failures if failed.bug))
    if not traces:
        return compared
    more = [f"and {len(traces) - MOST} more"] if len(traces) > MOST else []
    before = [compared.detail] if compared.detail else []
    return dataclasses.replace(compared, detail="\n".join([*before, *traces[:MOST], *more]))


def _nameless(variant: Variant, ref: BackendRef) -> Row:
    """What is known of a comparison's rows before it gave anything."""
    return Row(
        case=variant.id,
        seed="",
        layer=variant.layer,
        backend=ref.backend,
        implementation=ref.implementation or ref.target or ref.backend,
        environment=ref.environment,
        version="",
        device="",
        dtype=variant.dtype,
        check=INTERNAL,
        verdict=Verdict.ERROR,
        variant=variant.variant,
        name=ref.label,
        place=str(ref.place or variant.place or ""),
    )


class Phases:
    """The phases of one comparison: each is tried, and what fails is collected."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def attempt(self, phase: str, make: Callable[[], Made], otherwise: Made) -> Made:
        """What `make` gives, or `otherwise` where it raises an exception of ours."""
        try:
            return make()
        except Exception as error:
            self.failures.append(failure(error, phase))
            return otherwise
