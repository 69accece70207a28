import json
import os
import re
import signal
import time

import pytest

from harness.records import AVAILABLE, Verdict
from harness.reporting.store import read


def test_green(harness, case, execution, tmp_path):
    code, out, err = harness("run", "cases")
    assert code == 0
    assert "4 checks in 2 cases: 4 pass" in out
    assert "No unexplained difference." in out
    assert "reports/latest/report.html" in out
    assert re.fullmatch("Next: .*\n", err)
    assert (tmp_path / "reports/latest/report.html").exists()
    assert len(read(tmp_path / "reports/latest").frame()) == 4


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.PASS, Verdict.KNOWN, Verdict.UNSUPPORTED}))
def test_a_difference_gives_1(harness, case, execution, verdict):
    execution.verdicts["torch"] = [("value.y", Verdict.PASS), ("mask.rate", verdict)]
    code, out, _ = harness("run", "cases")
    assert code == 1
    assert re.search(
        rf"\S {verdict.replace('_', ' ')}  torch: torch\.nn\.Dropout: mask\.rate\n    2 checks in 2 variants of ", out
    )
    failed = verdict in (Verdict.ERROR, Verdict.CRASH, Verdict.TIMEOUT)
    line = "The backends differ." if verdict == "fail" else "No check failed, but"
    assert ("Something could not be compared." if failed else line) in out


@pytest.mark.parametrize("verdict", [Verdict.KNOWN, Verdict.UNSUPPORTED])
def test_what_is_explained_gives_0_and_is_shown(harness, case, execution, verdict):
    execution.verdicts["torch"] = [("mask.rate", verdict)]
    code, out, _ = harness("run", "cases")
    assert code == 0
    assert f"2 {verdict}" in out and "\n-v tells " in f"\n{out}"
    code, out, _ = harness("run", "cases", "-v")
    assert code == 0
    assert "torch: torch.nn.Dropout  mask.rate" in out


def test_interrupted_gives_2_and_keeps_what_was_done(harness, case, execution, tmp_path):
    execution.stop_after = 1
    code, out, _ = harness("run", "cases")
    assert code == 2
    assert "Interrupted: not every case was run." in out
    assert len(list(read(tmp_path / "reports/latest").rows())) == 1


def test_an_internal_error_gives_3_and_leaves_the_old_run(harness, case, execution, tmp_path):
    harness("run", "cases")
    before = (tmp_path / "reports/latest/run.json").read_bytes()
    execution.stop_after, execution.error = 1, ZeroDivisionError("planted")
    code, out, err = harness("run", "cases")
    assert code == 3
    assert out == ""
    assert "internal error: ZeroDivisionError: planted" in err
    assert "Traceback" not in err
    (trace,) = tmp_path.glob("harness-*.traceback.txt")
    assert str(trace) in err
    assert "ZeroDivisionError: planted" in trace.read_text()
    assert (tmp_path / "reports/latest/run.json").read_bytes() == before


def test_an_internal_error_is_shown_with_v(harness, case, execution):
    execution.stop_after, execution.error = 0, ZeroDivisionError("planted")
    code, _, err = harness("run", "-v", "cases")
    assert code == 3
    assert "Traceback (most recent call last)" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "nowhere"],
        ["run", "cases", "--jobs", "0"],
        ["run", "cases", "-k", "("],
        ["run", "cases", "--timeout", "-1"],
        ["run", "cases", "--backend", "troch"],
        ["run", "cases/plain.yaml::[rate=0.3]"],
    ],
)
def test_usage_gives_4(harness, case, execution, arguments, tmp_path):
    code, out, err = harness(*arguments)
    assert code == 4
    assert out == ""
    assert err
    assert "Traceback" not in err
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("arguments", [["-k", "nothing"], ["--backend", "jax"]])
def test_nothing_selected_gives_5(harness, case, execution, arguments, tmp_path):
    code, out, err = harness("run", "cases", *arguments)
    assert code == 5
    assert "nothing selected" in err
    assert out == ""
    assert not (tmp_path / "reports").exists()


def test_a_missing_backend_gives_10(harness, case, execution):
    execution.verdicts["torch"] = [(AVAILABLE, Verdict.ERROR)]
    code, out, _ = harness("run", "cases")
    assert code == 10
    assert "A backend could not be run." in out


def test_an_optional_package_may_be_absent(harness, case, execution):
    execution.verdicts["torch"] = [(AVAILABLE, Verdict.UNSUPPORTED)]
    assert harness("run", "cases")[0] == 0


def test_a_difference_outweighs_a_missing_backend(harness, case, execution):
    execution.verdicts["torch"] = [(AVAILABLE, Verdict.ERROR)]
    execution.verdicts["numpy"] = [("value.y", Verdict.FAIL)]
    assert harness("run", "cases")[0] == 1


def test_passing_on_nothing_is_no_pass(harness, case, execution):
    execution.verdicts = {"torch": [("value.y", Verdict.UNSUPPORTED)], "numpy": [("value.y", Verdict.UNSUPPORTED)]}
    assert harness("run", "cases")[0] == 10


def test_json(harness, case, execution):
    execution.verdicts["torch"] = [("mask.rate", Verdict.FAIL)]
    code, out, _ = harness("run", "cases", "--json")
    value = json.loads(out)
    assert value["version"] == 2
    assert value["exit_code"] == code == 1
    assert value["verdict"] == "fail"
    assert [row["check"] for row in value["differences"]] == ["mask.rate"] * 2
    assert value["report"] == "reports/latest/report.html"


def test_options_reach_the_run(harness, case, execution, tmp_path):
    code, _, _ = harness(
        "run", "cases", "-k", "0.25", "--backend", "torch.nn.*", "--timeout", "3", "--jobs", "2", "--out", "elsewhere"
    )
    assert code == 0
    assert [variant.id for variant in execution.seen["variants"]] == ["cases/plain.yaml::[rate=0.25]"]
    assert execution.seen["variants"][0].timeout == 3
    assert execution.seen["jobs"] == 2
    assert {row.name for row in read(tmp_path / "elsewhere").rows()} == {"torch: torch.nn.Dropout"}


def test_one_variant_by_its_id(harness, case, execution, tmp_path):
    code, _, _ = harness("run", "cases/plain.yaml::[rate=0.5]")
    assert code == 0
    assert {row.case for row in read(tmp_path / "reports/latest").rows()} == {"cases/plain.yaml::[rate=0.5]"}


def test_the_command_in_the_page_finds_the_case_again(harness, case, execution, tmp_path):
    import shlex

    from harness.selection.choosing import reproduce

    words = shlex.split(reproduce("cases/plain.yaml::[rate=0.5]", "torch: torch.nn.Dropout"))
    assert harness(*words[1:])[0] == 0
    assert {row.name for row in read(tmp_path / "reports/latest").rows()} == {"torch: torch.nn.Dropout"}


def test_quiet_and_verbose(harness, case, execution):
    execution.verdicts["torch"] = [("mask.rate", Verdict.FAIL)]
    assert "mask.rate" not in harness("run", "cases", "-q")[1]
    _, out, err = harness("run", "cases", "-v")
    assert "value.y" in out
    assert "fail             cases/plain.yaml::[rate=0.25]  torch: torch.nn.Dropout" in err


def test_report_makes_the_page_again(harness, case, execution, tmp_path):
    harness("run", "cases")
    page = tmp_path / "reports/latest/report.html"
    before = page.read_text()
    page.unlink()
    assert harness("report", "reports/latest")[:2] == (0, "reports/latest/report.html\n")
    assert page.read_text() == before
    assert harness("report", "--format", "csv")[1] == (tmp_path / "reports/latest/results.csv").read_text()
    assert harness("report", "--format", "jsonl", "--output", "copy.jsonl")[0] == 0
    assert (tmp_path / "copy.jsonl").read_text() == (tmp_path / "reports/latest/results.jsonl").read_text()
    assert "4 checks in 2 cases" in harness("report", "--format", "summary")[1]
    assert json.loads(harness("report", "--json")[1])["rows"] == 4


def test_report_of_no_run_gives_4(harness, tmp_path):
    code, out, err = harness("report", "nowhere")
    assert (code, out) == (4, "")
    assert "not a stored run" in err


def test_sigterm_is_an_interruption(harness, case, execution, monkeypatch, tmp_path):
    """CI cancels a job with SIGTERM; what was done is stored, and the handler of before is back afterwards."""
    real = execution.run
    before = signal.getsignal(signal.SIGTERM)

    def cancelled(*arguments, **options):
        events = real(*arguments, **options)
        yield next(events)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        yield from events

    monkeypatch.setattr(execution, "run", cancelled)
    assert harness("run", "cases")[0] == 2
    assert len(list(read(tmp_path / "reports/latest").rows())) == 1
    assert signal.getsignal(signal.SIGTERM) is before
