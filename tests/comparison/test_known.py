"""Known differences: what an expectation may excuse, until when, and what it never hides."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest
from simulated import TODAY, rows, variant

from harness.comparison.compare import expected, judged
from harness.comparison.context import Context
from harness.records import AVAILABLE, RAN, BackendRef, Expectation, JobResult, Row, Verdict
from harness.running import conclude

CASE = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}, backends=(BackendRef("numpy", "simulated"),))
DAY = datetime.timedelta(days=1)
EXCUSED = [Verdict.FAIL, Verdict.NONDETERMINISTIC, Verdict.UNSUPPORTED, Verdict.CRASH, Verdict.ILL_CONDITIONED]


def expectation(**changes: Any) -> Expectation:
    return dataclasses.replace(Expectation("numpy: simulated", "*", "it is so"), **changes)


def row(verdict: Verdict, check: str = "value.y") -> Row:
    values = {field.name: "" for field in dataclasses.fields(Row)}
    return Row(**values | {"check": check, "verdict": verdict, "variant": {}, "cause": "was so"})  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", EXCUSED)
def test_a_difference_becomes_known_with_its_reason_and_keeps_its_cause(verdict: Verdict) -> None:
    found = judged(row(verdict), expectation(), TODAY)
    assert (found.verdict, found.cause, found.note) == (Verdict.KNOWN, "it is so", "was so")


@pytest.mark.parametrize("verdict", EXCUSED)
def test_an_expired_expectation_excuses_nothing(verdict: Verdict) -> None:
    assert judged(row(verdict), expectation(until=TODAY), TODAY).verdict is Verdict.KNOWN
    found = judged(row(verdict), expectation(until=TODAY - DAY), TODAY)
    assert found.verdict is verdict
    assert "look again; it is so" in found.cause


@pytest.mark.parametrize("until", [None, TODAY - DAY])
def test_a_pass_that_was_not_expected_is_told(until: datetime.date | None) -> None:
    assert judged(row(Verdict.PASS), expectation(until=until), TODAY).verdict is Verdict.UNEXPECTED_PASS
    assert judged(row(Verdict.PASS), expectation(until=until, sometimes=True), TODAY).verdict is Verdict.PASS


def test_an_expired_pattern_is_told_once_of_what_passes() -> None:
    old = expectation(backend="*", check="*", until=TODAY - DAY)
    case = dataclasses.replace(CASE, expect=(old, expectation(backend="nobody")))
    given = [
        row(Verdict.PASS, "mask.rate"),
        row(Verdict.PASS),
        row(Verdict.FAIL, "value.h"),
        row(Verdict.PASS, "value.c"),
    ]
    found = expected(given, case, TODAY)
    assert [one.verdict for one in found] == [Verdict.UNEXPECTED_PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert "look again" in found[0].cause
    assert "look again" in found[2].cause


def test_a_pattern_that_has_not_expired_is_told_of_every_pass() -> None:
    case = dataclasses.replace(CASE, expect=(expectation(backend="*", check="*"),))
    found = expected([row(Verdict.PASS, "mask.rate"), row(Verdict.PASS)], case, TODAY)
    assert [one.verdict for one in found] == [Verdict.UNEXPECTED_PASS] * 2


@pytest.mark.parametrize("until", [None, TODAY - DAY])
@pytest.mark.parametrize(
    ("verdict", "check"),
    [
        (Verdict.ERROR, "value.y"),  # a check failed to answer, or compared nothing
        (Verdict.ERROR, AVAILABLE),
        (Verdict.UNSUPPORTED, AVAILABLE),  # not installed
        (Verdict.TIMEOUT, RAN),
    ],
)
def test_what_was_not_compared_is_never_excused(verdict: Verdict, check: str, until: datetime.date | None) -> None:
    assert judged(row(verdict, check), expectation(until=until), TODAY) == row(verdict, check)


def test_what_an_implementation_raises_may_be_known() -> None:
    case = dataclasses.replace(CASE, expect=(expectation(check=RAN),))
    result = JobResult(case, case.backends[0], verdict=Verdict.ERROR, message="RuntimeError: no such seed")
    (found,) = conclude(result, Context(case), TODAY).rows
    assert (found.check, found.verdict) == (RAN, Verdict.KNOWN)


@pytest.mark.parametrize(
    ("changes", "speaks"),
    [
        ({}, True),
        ({"backend": "numpy: *"}, True),
        ({"backend": "torch: *"}, False),
        ({"check": "repeat.*"}, False),
        ({"variant": {"rate": 0.3}}, True),
        ({"variant": {"rate": 0.5}}, False),
    ],
)
def test_an_expectation_speaks_of_its_backend_check_and_variant_alone(changes: dict[str, Any], speaks: bool) -> None:
    case = dataclasses.replace(CASE, expect=(expectation(**changes),), variant={"rate": 0.3})
    assert rows(case)["value.y"].verdict is (Verdict.UNEXPECTED_PASS if speaks else Verdict.PASS)
