"""A pair's comparisons as events of a run: each other program against the believed one, whatever comes in between.

A program that cannot be called, or returns what cannot be compared, costs its own comparison and is told in a row; so does an
exception of ours (harness.internal).
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

from harness.comparison.checks.base import Finding
from harness.comparison.compare import gathered
from harness.errors import UserError
from harness.frameworks.contract.programs import ProgramError
from harness.internal import failure, noted
from harness.pairs import picture, report, rows
from harness.pairs.case import PairCase
from harness.pairs.compare import PairResult
from harness.pairs.sides import ProgramLost, Side, running
from harness.records import AVAILABLE, RAN, BackendRef, Compared, JobResult, Row, Variant, Verdict


def comparisons(
    variant: Variant, select: Callable[[BackendRef], bool], today: datetime.date, start: Callable[[BackendRef], None]
) -> Iterator[Compared]:
    """Every program of a pair case that is selected against its reference.

    start  told of each before it begins.
    """
    case: PairCase = variant.config
    # A process of its own for each program: what one leaves behind is not the next one's.
    with running(case.first):
        for ref, (other, weights) in zip(variant.backends, case.others, strict=True):
            if not select(ref):
                continue
            start(ref)
            with running(other):
                try:
                    compared = _one(variant, ref, other, weights, today)
                except Exception as error:
                    compared = noted(Compared(variant, ref), [failure(error, "its programs were compared")])
            yield compared


def _one(variant: Variant, ref: BackendRef, other: Side, weights: Any, today: datetime.date) -> Compared:
    case: PairCase = variant.config
    began = time.perf_counter()
    result: PairResult | None = None
    detail = ""
    for one in (case.first, other):
        one.timeout = variant.timeout
        if one.missing():
            told = f"{one.name}: {one.missing()}" if one is case.first else one.missing()
            return gathered(JobResult(variant, ref), [Finding(AVAILABLE, Verdict.ERROR, cause=told)], today)
    try:
        result = case.against(other, weights)
        found = rows.findings(result)
    except ProgramLost as error:
        verdict = Verdict.TIMEOUT if error.late else Verdict.CRASH
        found = [Finding(RAN, verdict, cause=str(error).removeprefix(f"{other.name}: "))]
    except (ProgramError, UserError) as error:
        found = [Finding(RAN, Verdict.ERROR, cause=str(error).removeprefix(f"{other.name}: "))]
        detail = getattr(error, "detail", "")
    job = JobResult(
        variant,
        ref,
        versions=case.first.versions | other.versions,
        device=other.device,
        seconds=time.perf_counter() - began,
        detail=detail,
    )
    compared = gathered(job, found, today)
    if result is None:
        return compared
    told_rows = tuple(_explained(row, result) for row in compared.rows)
    return dataclasses.replace(compared, rows=told_rows, charts={"programs": picture.of(result)})


def _explained(row: Row, result: PairResult) -> Row:
    """A row that differs with the cause, or the place, that the programs' values show."""
    part = result.parting
    if row.verdict is not Verdict.FAIL or part is None:
        return row
    place = report.place(part)
    if not part.cause and not place:
        return row
    proof = place if part.cause else ""
    return dataclasses.replace(row, diagnosis=part.cause or f"the programs part: {place}", proof=proof)
