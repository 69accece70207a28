"""The second stage of statistical checks: what was suspicious is judged again, by fresh draws alone (docs/statistics.md)."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

import numpy as np

from harness.comparison.checks.base import Finding, planned
from harness.comparison.checks.noise import noisy_site
from harness.comparison.compare import answers, chosen, expected, row_maker
from harness.comparison.context import Context, Evidence
from harness.records import Compared, JobResult, PassResult, Verdict


def sampled(result: JobResult, context: Context) -> JobResult:
    """A copy of what a second stage reads, because the arrays of an answer last only until the next one."""
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
    variant = compared.variant
    passes = tuple(one for result in results for one in result.passes)
    job = dataclasses.replace(results[0], passes=passes) if results else JobResult(variant, compared.backend)
    row = row_maker(job, variant)
    owed = planned(context, chosen(variant), compared.backend)
    broken = next((result for result in results if result.verdict is not None), None)
    if broken is not None or not passes:
        verdict = broken.verdict if broken is not None and broken.verdict is not None else Verdict.ERROR
        why = broken.message if broken is not None else "nothing more could be drawn"
        found = [
            Finding(name, verdict, cause=f"it could not be tried again on fresh draws: {why}")
            for name in compared.again
        ]
    else:
        evidence = Evidence(context, passes)
        evidence.job, evidence.stage = job, 2
        found = answers(evidence, {name: owed[name] for name in compared.again})
    seeds = f"{len(passes)} fresh seeds"
    rows = {}
    for finding in found:
        first = f"p = {compared.again[finding.name]:.2g} at first"
        again = f"{first}; tried again on {seeds}"
        cause = f"{finding.cause} ({again})" if finding.cause else ""
        rows[finding.name] = row(
            dataclasses.replace(finding, cause=cause, note=f"{again}: {finding.note}" if finding.note else again)
        )
    judged = {one.check: one for one in expected(rows.values(), variant, today)}
    kept = tuple(
        dataclasses.replace(judged[one.check], seconds=one.seconds) if one.check in judged else one
        for one in compared.rows
    )
    return dataclasses.replace(compared, rows=kept, again={})
