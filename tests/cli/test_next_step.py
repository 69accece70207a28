"""What a command says to do next is a command that can be given, and does what is said of it."""

import re
import shlex

import pytest

from harness.records import AVAILABLE, Verdict
from harness.reporting.store import read
from tests.reporting import fakes


def steps(text):
    """The commands that are named as what to do next, as words."""
    return [shlex.split(line, comments=True) for line in re.findall(r"^(?:Next|  or): (.*)$", text, re.M)]


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


def test_from_a_green_run_to_an_open_gate(harness, case, execution, tmp_path):
    _, _, err = harness("run", "cases")
    assert steps(err) == [["harness", "baseline", "update"]]
    code, _, err = harness(*steps(err)[0][1:])
    assert code == 0
    assert steps(err) == [["git", "add", "parity-baseline.txt"]]
    assert (tmp_path / "parity-baseline.txt").is_file()
    _, _, err = harness("run", "cases", "--out", "reports/second")
    assert steps(err) == [["harness", "gate", "reports/second"]]
    code, _, err = harness(*steps(err)[0][1:])
    assert (code, steps(err)) == (0, [])
    assert steps(harness("baseline", "update")[2]) == []


def test_after_a_difference_what_differed_is_run_again(harness, case, execution):
    execution.verdicts["torch"] = [("mask.rate", Verdict.FAIL)]
    code, _, err = harness("run", case, "-k", "rate=0.5", "--resume")
    assert code == 1
    assert steps(err) == [["harness", "run", case, "-k", "rate=0.5", "--last-failed"]]
    execution.verdicts.clear()
    assert harness(*steps(err)[0][1:])[0] == 0
    assert [one.id for one in execution.seen["variants"]] == [f"{case}::[rate=0.5]"]


def test_an_interrupted_run_goes_on(harness, case, execution):
    execution.stop_after = 2
    code, _, err = harness("run", "cases", "--out", "mine")
    assert code == 2
    assert steps(err) == [["harness", "run", "cases", "--out", "mine", "--resume"]]
    execution.stop_after = None
    assert harness(*steps(err)[0][1:])[0] == 0
    assert [one.id for one in execution.seen["variants"]] == [f"{case}::[rate=0.5]"]


@pytest.mark.parametrize("option", [["--backend", "torch"], ["--backend=torch"], []])
def test_what_last_failed_chose_goes_on_too(harness, case, execution, option):
    execution.verdicts["torch"] = [("mask.rate", Verdict.FAIL)]
    harness("run", "cases", *option)
    execution.stop_after = 0
    code, _, err = harness("run", "cases", "--last-failed", *option)
    assert code == 2
    (words,) = steps(err)
    assert words == ["harness", "run", "reports/latest", *option, "--resume"]
    execution.stop_after = None
    assert harness(*words[1:])[0] == 1
    assert len(execution.seen["variants"]) == 2
    assert {row.backend for row in read("reports/latest").rows()} == ({"torch"} if option else {"torch", "numpy"})


def test_a_closed_gate(harness, case, execution):
    harness("run", "cases")
    harness("baseline", "update", "--baseline", "kept.txt")
    execution.verdicts["torch"] = [("value.y", Verdict.FAIL)]
    harness("run", "cases", "--out", "after")
    code, _, err = harness("gate", "after", "--baseline", "kept.txt")
    assert code == 1
    explain, update = steps(err)
    assert explain == ["harness", "explain", "after"]
    assert harness(*explain[1:], "--stored")[0] == 0
    assert harness(*update[1:])[0] == 0
    assert harness("gate", "after", "--baseline", "kept.txt")[0] == 0


def test_an_open_gate_with_something_new(harness, case, execution):
    harness("run", "cases")
    harness("baseline", "update")
    execution.verdicts["torch"] = [("value.y", Verdict.PASS), ("mask.rate", Verdict.PASS)]
    harness("run", "cases")
    code, _, err = harness("gate")
    assert code == 0
    assert steps(err) == [["harness", "baseline", "update"]]


def test_parts(harness, case, execution):
    execution.stop_after = 1
    first = harness("run", "cases", "--shard", "1/2", "--out", "a")[2]
    assert steps(first) == [["harness", "run", "cases", "--shard", "1/2", "--out", "a", "--resume"]]
    execution.stop_after = None
    second = harness("run", "cases", "--shard", "2/2", "--out", "b")[2]
    assert steps(second) == [["harness", "merge", "b"]]
    code, _, err = harness("merge", "a", "b", "--out", "m")
    assert (code, steps(err)) == (2, steps(first))
    assert harness(*steps(err)[0][1:])[0] == 0
    code, _, err = harness("merge", "a", "b", "--out", "m")
    assert (code, steps(err)) == (0, [["harness", "baseline", "update", "m"]])


def test_a_missing_backend(harness, case, execution):
    execution.verdicts["torch"] = [(AVAILABLE, Verdict.ERROR)]
    code, _, err = harness("run", "cases")
    assert (code, steps(err)) == (10, [["harness", "doctor"]])


@pytest.mark.parametrize("option", ["--json", "-q"])
def test_programs_and_who_wants_quiet_hear_nothing(harness, case, execution, option):
    assert harness("run", "cases", option)[2] == ""


def test_an_internal_error(harness, case, execution, monkeypatch):
    monkeypatch.setattr(fakes, "compared", _internal(fakes.compared))
    code, _, err = harness("run", "cases")
    assert (code, steps(err)) == (3, [["harness", "explain"]])


def _internal(make):
    import dataclasses

    def made(*arguments, **options):
        event = make(*arguments, **options)
        return dataclasses.replace(event, rows=tuple(dataclasses.replace(row, internal=True) for row in event.rows))

    return made
