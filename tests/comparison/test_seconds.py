"""A row's seconds are its own: how long its check took over it, and not what the whole comparison took."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pytest
from simulated import TODAY, right, variant

from harness.comparison.checks.base import Finding, checks
from harness.comparison.context import Context, Evidence
from harness.comparison.retry import second_stage
from harness.execution.plan import passes_of
from harness.records import JobResult, Row, Verdict
from harness.running import conclude

CASE = variant("dropout", {"rate": 0.3}, {"x": (8, 20, 20)}, gradients=False)
TIME = 7.0


def job(seconds: float = 5.0) -> JobResult:
    context = Context(CASE)
    passes = tuple((one, right(context, one)) for one in passes_of(CASE))
    return JobResult(CASE, CASE.backends[0], passes, seconds=seconds)


def judged() -> dict[str, Row]:
    compared = conclude(job(), Context(CASE), TODAY)
    return {row.check: row for row in compared.rows}


class Clock:
    """A clock that stands still unless a check takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("harness.comparison.compare.time.perf_counter", lambda: self.now)
        self.patch = monkeypatch

    def slow(self, name: str, row: str) -> None:
        """Make a check that takes its time over one of its rows."""
        real = checks()[name]

        def answer(evidence: Evidence) -> Iterator[Finding]:
            for finding in real.answer(evidence):
                self.now += TIME if finding.name == row else 0.0
                yield finding

        self.patch.setitem(checks(), name, dataclasses.replace(real, answer=answer))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_rows_have_times_of_their_own_and_the_calls_stand_apart() -> None:
    rows = judged()
    own = [row.seconds for row in rows.values()]
    assert len(rows) > 8
    assert all(one is not None and 0.0 <= one < 5.0 for one in own)
    assert len(set(own)) > len(own) // 2, "one figure repeated is nobody's own"
    assert {row.comparison_seconds for row in rows.values()} == {5.0}


@pytest.mark.parametrize(("check", "row"), [("mask.rate", "mask.rate"), ("value", "value.y")])
def test_what_takes_its_time_is_told_of_its_row_alone(clock: Clock, check: str, row: str) -> None:
    clock.slow(check, row)
    rows = judged()
    assert rows.pop(row).seconds == TIME
    assert {one.seconds for one in rows.values()} == {0.0}


def test_the_sum_of_all_is_no_more_than_the_comparison_took() -> None:
    start = time.perf_counter()
    rows = judged()
    assert sum(row.seconds or 0.0 for row in rows.values()) <= time.perf_counter() - start


def test_what_no_check_judged_has_no_time_of_its_own() -> None:
    crashed = JobResult(CASE, CASE.backends[0], verdict=Verdict.CRASH, message="died", seconds=3.0)
    (row,) = conclude(crashed, Context(CASE), TODAY).rows
    assert (row.seconds, row.comparison_seconds) == (None, 3.0)


def test_a_second_stage_adds_its_own(clock: Clock) -> None:
    clock.slow("mask.rate", "mask.rate")
    first = dataclasses.replace(conclude(job(), Context(CASE), TODAY), again={"mask.rate": 1e-6})
    second = second_stage(first, [job(2.0), job(3.0)], Context(CASE), TODAY)
    assert {row.check: row.seconds for row in second.rows if row.seconds} == {"mask.rate": 2 * TIME}
    assert {row.comparison_seconds for row in second.rows} == {10.0}
