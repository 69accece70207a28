"""The second stage of statistical checks: what was suspicious is judged again, by fresh draws alone (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence

import numpy as np

from harness.comparison.checks.base import Finding
from harness.comparison.checks.noise import noisy_site
from harness.comparison.compare import DIGITS, gathered, judge
from harness.comparison.context import Context
from harness.comparison.keep_rules import read
from harness.records import Compared, JobResult, PassResult, Row, Verdict


def sampled(result: JobResult, context: Context) -> JobResult:
    """A copy of what a second stage reads, because the arrays of an answer last only until the next one.

    What code under test decides from its draws shows in its outputs, of which most checks need no copy: it is read here.
    """
    result = read(result, context)
    outputs = noisy_site(context) is not None
    passes = tuple(
        (
            one,
            PassResult(
                {name: np.array(array) for name, array in given.outputs.items()} if outputs else {},
                {},
                {key: draw._replace(values=np.array(draw.values)) for key, draw in given.draws.items()},
                seconds=given.seconds,
            ),
        )
        for one, given in result.passes
    )
    return dataclasses.replace(result, passes=passes, native={})


def second_stage(compared: Compared, results: Sequence[JobResult], context: Context, today: datetime.date) -> Compared:
    """The same rows, the suspicious ones among them as the fresh draws judge them; both stages are named.

    results  of the jobs that drew afresh (`sampled`). Where one of them came to no end, nothing is known: the suspicious rows
             get its verdict.
    """
    passes = tuple(one for result in results for one in result.passes)
    job = JobResult(compared.variant, compared.backend)
    job = dataclasses.replace(results[0] if results else job, passes=passes, verdict=None, detail="")
    broken = next((result for result in results if result.verdict is not None), None)
    if broken is not None or not passes:
        judged = gathered(job, _untried(compared, broken), today)
    else:
        judged = judge(job, context, today, compared.again, stage=2).compared
    found = {row.check: _both(row, compared.again[row.check], len(passes)) for row in judged.rows}
    more = sum(result.seconds for result in results)
    rows = tuple(_timed(row, found.get(row.check), more) for row in compared.rows)
    details = "\n".join(text for text in (compared.detail, judged.detail) if text)
    return dataclasses.replace(compared, rows=rows, again={}, detail=details)


def _untried(compared: Compared, broken: JobResult | None) -> Iterator[Finding]:
    """Of fresh draws that could not be made: what is suspicious gets their verdict."""
    verdict = broken.verdict if broken is not None and broken.verdict is not None else Verdict.ERROR
    why = broken.message if broken is not None else "nothing more could be drawn"
    for name in compared.again:
        yield Finding(name, verdict, cause=f"it could not be tried again on fresh draws: {why}")


def _timed(first: Row, second: Row | None, more: float) -> Row:
    """A row after both stages: its own time is that of both, and the comparison's calls took `more` seconds more."""
    calls = round(first.comparison_seconds + more, DIGITS)
    if second is None:
        return dataclasses.replace(first, comparison_seconds=calls)
    own = [one.seconds for one in (first, second) if one.seconds is not None]
    return dataclasses.replace(second, seconds=round(sum(own), DIGITS) if own else None, comparison_seconds=calls)


def _both(row: Row, first: float, seeds: int) -> Row:
    """A row of the second stage that names the first one's p-value too."""
    again = f"p = {first:.2g} at first; tried again on {seeds} fresh seeds"
    # The cause of what the case expects is the case's own.
    own = row.cause and row.verdict not in (Verdict.KNOWN, Verdict.UNEXPECTED_PASS)
    cause = f"{row.cause} ({again})" if own else row.cause
    return dataclasses.replace(row, cause=cause, note=f"{again}: {row.note}" if row.note else again)


def unsettled(compared: Compared) -> Compared:
    """The same rows where the second stage could not be made: what was suspicious is no pass."""
    why = "suspicious (p = {:.2g}), and it could not be tried again on fresh draws"
    rows = tuple(
        dataclasses.replace(row, verdict=Verdict.ERROR, cause=why.format(compared.again[row.check]))
        if row.check in compared.again
        else row
        for row in compared.rows
    )
    return dataclasses.replace(compared, rows=rows, again={})
