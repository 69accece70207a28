"""From what a job gave to its rows: every planned check answers, known differences are applied, nothing passes on nothing."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparison import charts, recorded
from harness.comparison.checks.base import Check, Finding, planned
from harness.comparison.checks.mask import active_sites
from harness.comparison.context import Context, Evidence, MissingDraw, Stage
from harness.comparison.keep_rules import read
from harness.comparison.kept import kept
from harness.comparison.profile import profile
from harness.internal import Phases, cause, failure, noted, traced
from harness.layers.base import tape_keys
from harness.records import AVAILABLE, RAN, Arrays, Compared, Expectation, JobResult, Row, Variant, Verdict

#: Times are kept to a microsecond.
DIGITS = 6
#: Verdicts that an expectation may turn into `known`: something was compared, or refused by the implementation in its own words.
DIFFERENCES = (
    Verdict.FAIL,
    Verdict.NONDETERMINISTIC,
    Verdict.UNSUPPORTED,
    Verdict.CRASH,
    Verdict.ILL_CONDITIONED,
)


def excusable(row: Row) -> bool:
    """Whether a row is a difference that a case may expect.

    What an implementation raises is one (`run.completes`). A check that failed to answer or compared nothing is an error
    of the run, and a backend that is not installed was never asked: no expectation hides those.
    """
    if row.check == AVAILABLE or row.internal:
        return False
    return row.verdict in DIFFERENCES or (row.verdict is Verdict.ERROR and row.check == RAN)


@dataclass(frozen=True)
class Judged:
    """Rows, and what they were judged by: None where no check was asked."""

    compared: Compared
    evidence: Evidence | None = None


def judge(
    job: JobResult, context: Context, today: datetime.date, wanted: Collection[str] | None = None, stage: Stage = 1
) -> Judged:
    """Judge the passes of a job by every check that is owed: of a run, of fresh draws, or of stored arrays.

    wanted  only the rows of these names, as far as they are owed.
    stage   2 where the passes were made because a first result was suspicious.
    """
    owed = planned(context, chosen(job.variant), job.backend)
    if not owed:
        nothing = Finding("checks.planned", Verdict.ERROR, cause="no check applies to this case: nothing was compared")
        return Judged(gathered(job, [nothing], today))
    owed = {name: check for name, check in owed.items() if wanted is None or name in wanted}
    job = read(job, context)
    evidence = Evidence(context, job.passes, job=job, stage=stage)
    findings = answers(evidence, owed)
    compared = gathered(job, findings, today)
    again = {finding.name: finding.again for finding in findings if finding.again is not None}
    failures = [finding.failure for finding in findings if finding.failure is not None]
    return Judged(traced(dataclasses.replace(compared, again=again), failures), evidence)


def compare(job: JobResult, context: Context, today: datetime.date) -> Judged:
    """Compare one job's result with the reference: its rows, and all that a report shows beside them. No cause is looked for.

    Whatever of ours raises, a check or the comparison itself, becomes an `error` row marked internal: a bug of ours must not look
    like a difference, nor stop the run.
    """
    try:
        if job.backend.recorded is not None:
            return Judged(_recorded(job, context, today))
        if job.verdict is not None:
            return Judged(gathered(job, [_without_passes(job, job.verdict)], today))
        judged = judge(job, context, today)
        return judged if judged.evidence is None else _presented(judged, judged.evidence)
    except Exception as error:
        return Judged(noted(gathered(job, (), today), [failure(error, "it was compared")]))


def _recorded(job: JobResult, context: Context, today: datetime.date) -> Compared:
    """The comparison of outputs that stand in the case."""
    phases = Phases()
    findings: list[Finding] = phases.attempt(
        "recorded outputs were judged", lambda: recorded.findings(context, job.backend), []
    )
    figures: Mapping[str, Any] = phases.attempt(
        "its charts were made", lambda: recorded.figures(context, job.backend), {}
    )
    return noted(dataclasses.replace(gathered(job, findings, today), charts=figures), phases.failures)


def _without_passes(job: JobResult, verdict: Verdict) -> Finding:
    """The one finding of a job that has no passes to judge."""
    name = AVAILABLE if job.missing else job.check or RAN
    return Finding(name, verdict, cause=job.message, seed=str(job.failed.seed) if job.failed else "")


def _presented(judged: Judged, evidence: Evidence) -> Judged:
    """The same with what a report shows: masks, profile, charts, and the arrays where they differ."""
    compared = judged.compared
    phases = Phases()
    compared = dataclasses.replace(
        compared,
        masks=phases.attempt("its masks were read", lambda: masks(evidence), {}),
        profile=phases.attempt("its profile was measured", lambda: profile(evidence), {}),
        charts=phases.attempt("its charts were made", lambda: drawn_of(evidence), {}),
        kept=phases.attempt("its arrays were kept", lambda: kept(compared.rows, evidence), None),
    )
    return Judged(noted(compared, phases.failures), evidence)


def drawn_of(evidence: Evidence) -> Mapping[str, Any]:
    """What a report draws, or why there is nothing: where a site drew nothing, the rows have said so."""
    try:
        return charts.charts(evidence)
    except MissingDraw as error:
        return {"problem": f"nothing was drawn at {error}"}


def gathered(job: JobResult, findings: Iterable[Finding], today: datetime.date) -> Compared:
    """The rows of a job, in the light of the case's known differences."""
    rows = expected(map(row_maker(job), findings), job.variant, today)
    return Compared(job.variant, job.backend, rows, versions=job.versions, detail=job.detail)


def chosen(variant: Variant) -> Callable[[str], bool]:
    """Whether a case wants a check: its `checks` patterns, or all."""
    patterns = variant.checks
    return lambda name: not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def answers(evidence: Evidence, owed: dict[str, Check]) -> list[Finding]:
    """Every owed row exactly once, in the plan's order, and how long each took; what several need is computed for the first."""
    found: dict[str, Finding] = {}
    for one in dict.fromkeys(owed.values()):
        mine = [name for name, owner in owed.items() if owner is one]
        start = time.perf_counter()
        try:
            for finding in one.answer(evidence):
                if finding.name in mine:
                    seconds = round(time.perf_counter() - start, DIGITS)
                    found[finding.name] = dataclasses.replace(finding, seconds=seconds)
                    start = time.perf_counter()
        except MissingDraw as error:
            for name in mine:
                found.setdefault(name, Finding(name, Verdict.FAIL, cause=f"nothing was drawn at {error}"))
        except Exception as error:
            failed = failure(error, "the check answered")
            for name in mine:
                found.setdefault(name, Finding(name, Verdict.ERROR, cause=cause(failed), failure=failed))
        for name in mine:
            found.setdefault(name, Finding(name, Verdict.ERROR, cause="planned, but it gave no answer"))
    return [found[name] for name in owed]


def masks(evidence: Evidence) -> Arrays:
    """The first seed's masks, as a report shows them."""
    if not evidence.main:
        return {}
    one, result = evidence.main[0]
    drawn = evidence.drawn(one, result)
    shown = {}
    for site in active_sites(evidence.context):
        for key, kind in tape_keys(site):
            if key in drawn:
                shown[key] = drawn[key] if kind == "bernoulli" else drawn[key].astype(np.float32)
    return shown


def row_maker(result: JobResult) -> Callable[[Finding], Row]:
    """A function that makes rows of findings, with all that they have in common."""
    variant, backend = result.variant, result.backend
    package = (backend.implementation or backend.backend).split(".")[0]
    versions = result.versions
    known = {name: versions[name] for name in dict.fromkeys((package, backend.backend)) if name in versions}
    version = " ".join(f"{name} {number}" for name, number in known.items())

    def make(finding: Finding) -> Row:
        return Row(
            case=variant.id,
            seed=finding.seed or ",".join(map(str, variant.seeds)),
            layer=variant.layer,
            backend=backend.backend,
            implementation=backend.implementation or backend.target or backend.backend,
            environment=backend.environment,
            version=version,
            device=result.device,
            dtype=variant.dtype,
            check=finding.name,
            verdict=finding.verdict,
            measured=None if finding.measured is None else float(finding.measured),
            limit=None if finding.limit is None else float(finding.limit),
            unit=finding.unit,
            where=finding.where,
            cause=finding.cause,
            seconds=finding.seconds,
            comparison_seconds=round(result.seconds, DIGITS),
            variant=variant.variant,
            name=backend.label,
            recipe=result.recipe,
            aim=finding.aim,
            place=str(backend.place or variant.place or ""),
            note=finding.note,
            internal=finding.failure is not None and finding.failure.bug,
        )

    return make


def expected(rows: Iterable[Row], variant: Variant, today: datetime.date) -> tuple[Row, ...]:
    """Apply the case's known differences: a difference becomes `known`, a pass where one is expected `unexpected_pass`.

    An expectation that has expired no longer excuses anything, and says so: on every difference, and of the passes on one,
    because a pattern such as `*` matches them all.
    """
    found: list[Row] = []
    told: set[int] = set()
    for row in rows:
        match = next((number for number, one in enumerate(variant.expect) if matches(one, row, variant)), None)
        if match is None:
            found.append(row)
            continue
        until = variant.expect[match].until
        new = judged(row, variant.expect[match], today)
        if new.verdict is Verdict.UNEXPECTED_PASS and until is not None and until < today:
            new = row if match in told else new
            told.add(match)
        found.append(new)
    return tuple(found)


def matches(expectation: Expectation, row: Row, variant: Variant) -> bool:
    """Whether an expectation speaks of a row: by its backend's label, its check and its matrix values."""
    return (
        (expectation.backend == row.name or fnmatch.fnmatchcase(row.name, expectation.backend))
        and fnmatch.fnmatchcase(row.check, expectation.check)
        and all(variant.variant.get(key) == value for key, value in expectation.variant.items())
    )


def judged(row: Row, expectation: Expectation, today: datetime.date) -> Row:
    """One row in the light of the expectation that speaks of it."""
    place = str(expectation.place or row.place)
    passes = row.verdict is Verdict.PASS and not expectation.sometimes
    if not passes and not excusable(row):
        return row
    if expectation.until is not None and expectation.until < today:
        why = f"known until {expectation.until}: look again; {expectation.reason}"
        verdict = Verdict.UNEXPECTED_PASS if passes else row.verdict
        return dataclasses.replace(
            row, verdict=verdict, cause=f"{row.cause or 'expected to differ'} ({why})", place=place
        )
    if passes:
        cause = f"expected to differ ({expectation.reason}), but it passes"
        return dataclasses.replace(row, verdict=Verdict.UNEXPECTED_PASS, cause=cause, place=place)
    note = "; ".join(part for part in (row.cause, row.note) if part)
    return dataclasses.replace(row, verdict=Verdict.KNOWN, cause=expectation.reason, note=note, place=place)
