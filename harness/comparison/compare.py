"""From what a job gave to its rows: every planned check answers, known differences are applied, nothing passes on nothing."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from harness.comparison import charts, recorded
from harness.comparison.checks.base import Check, Finding, planned
from harness.comparison.checks.mask import active_sites
from harness.comparison.context import Context, Evidence, MissingDraw
from harness.comparison.kept import kept
from harness.comparison.profile import profile
from harness.layers.base import tape_keys
from harness.records import AVAILABLE, Arrays, Compared, Expectation, JobResult, Row, Variant, Verdict

#: The row of a job that gave nothing: it could not be run to its end.
RAN = "run.completes"
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
    if row.check == AVAILABLE:
        return False
    return row.verdict in DIFFERENCES or (row.verdict is Verdict.ERROR and row.check == RAN)


def compare(result: JobResult, context: Context, today: datetime.date) -> Compared:
    """Compare one job's result with the reference.

    A check that raises is an `error` row that says so: a bug of ours must not look like a difference, nor stop the run.
    """
    variant = result.variant
    row = row_maker(result, variant)
    if result.backend.recorded is not None:
        findings: Iterable[Finding] = recorded.findings(context, result.backend)
        return dataclasses.replace(
            gathered(result, map(row, findings), today), charts=drawn(lambda: recorded.figures(context, result.backend))
        )
    owed = planned(context, chosen(variant), result.backend)
    if result.verdict is not None:
        name = "mask.sites" if result.verdict is Verdict.FAIL else RAN
        if result.missing:
            name = AVAILABLE
        finding = Finding(
            name, result.verdict, cause=result.message, seed=str(result.failed.seed) if result.failed else ""
        )
        return gathered(result, [row(finding)], today)
    if not owed:
        finding = Finding("checks.planned", Verdict.ERROR, cause="no check applies to this case: nothing was compared")
        return gathered(result, [row(finding)], today)
    evidence = Evidence(context, result.passes, result.native, result.native_failure)
    evidence.job = result
    found = answers(evidence, owed)
    rows = [row(finding) for finding in found]
    compared = with_causes(gathered(result, rows, today, masks(evidence)), evidence)
    return dataclasses.replace(
        compared,
        profile=measured_profile(evidence),
        charts=drawn(lambda: charts.charts(evidence)),
        kept=kept(compared.rows, evidence),
        again={finding.name: finding.again for finding in found if finding.again is not None},
    )


def drawn(figures: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What a report draws, or why there is nothing: the rows have said what is wrong, and a run does not end for want of it."""
    try:
        return figures()
    except MissingDraw as error:
        return {"problem": f"nothing was drawn at {error}"}
    except Exception as error:
        return {"problem": f"{type(error).__name__}: {error}"}


def measured_profile(evidence: Evidence) -> Mapping[str, str]:
    """The profile, or why it could not be taken: a run does not end for want of one."""
    try:
        return profile(evidence)
    except Exception as error:
        return {"profile": f"could not be measured: {type(error).__name__}: {error}"}


def with_causes(compared: Compared, evidence: Evidence) -> Compared:
    """The unexplained differences with their causes; nothing is searched, nor imported, where there are none."""
    if all(row.verdict is not Verdict.FAIL and row.verdict is not Verdict.ERROR for row in compared.rows):
        return compared
    from harness.diagnosis.diagnose import explained

    return explained(compared, evidence)


def gathered(result: JobResult, rows: Iterable[Row], today: datetime.date, shown: Arrays | None = None) -> Compared:
    """The rows of a job, in the light of the case's known differences."""
    judged_rows = expected(rows, result.variant, today)
    return Compared(result.variant, result.backend, judged_rows, shown or {}, result.versions, result.detail)


def chosen(variant: Variant) -> Callable[[str], bool]:
    """Whether a case wants a check: its `checks` patterns, or all."""
    patterns = variant.checks
    return lambda name: not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def answers(evidence: Evidence, owed: dict[str, Check]) -> list[Finding]:
    """Every owed row exactly once, in the plan's order."""
    found: dict[str, Finding] = {}
    for one in dict.fromkeys(owed.values()):
        mine = [name for name, owner in owed.items() if owner is one]
        try:
            for finding in one.answer(evidence):
                if finding.name in mine:
                    found[finding.name] = finding
        except MissingDraw as error:
            for name in mine:
                found.setdefault(name, Finding(name, Verdict.FAIL, cause=f"nothing was drawn at {error}"))
        except Exception as error:
            for name in mine:
                cause = f"the check failed: {type(error).__name__}: {error}"
                found.setdefault(name, Finding(name, Verdict.ERROR, cause=cause))
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


def row_maker(result: JobResult, variant: Variant) -> Callable[[Finding], Row]:
    """A function that makes rows of findings, with all that they have in common."""
    backend = result.backend
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
            seconds=result.seconds,
            variant=variant.variant,
            name=backend.label + (" [recipe]" if result.recipe else ""),
            place=str(backend.place or variant.place or ""),
            note=finding.note,
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
    label = row.name.removesuffix(" [recipe]")
    return (
        (expectation.backend == label or fnmatch.fnmatchcase(label, expectation.backend))
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
