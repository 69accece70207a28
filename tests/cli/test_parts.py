"""Runs in parts: shards and their merge, --last-failed, and --resume after an interruption."""

import json

import pytest

from harness import history as histories
from harness.records import Verdict
from harness.reporting.store import read


@pytest.fixture
def many(case, tmp_path):
    text = (tmp_path / case).read_text()
    for name in ("a", "b"):
        (tmp_path / "cases" / f"{name}.yaml").write_text(text)


def tables(folder):
    return [(folder / name).read_text() for name in ("results.csv", "results.jsonl", "cases.json")]


@pytest.mark.parametrize("count", [1, 2, 4, 6, 7])
def test_shards_merge_to_the_same_report(harness, many, execution, tmp_path, count):
    execution.verdicts["torch"] = [("value.y", Verdict.PASS), ("mask.rate", Verdict.FAIL)]
    whole = harness("run", "cases", "--out", "whole")[0]
    folders = []
    for number in range(1, count + 1):
        code, _, _ = harness("run", "cases", "--shard", f"{number}/{count}", "--out", f"part{number}")
        if code != 5:
            folders.append(f"part{number}")
    if count > 6:
        code, _, err = harness("merge", *folders, "--out", "merged")
        assert (code, "all 7 are needed" in err) == (4, True)
        return
    assert harness("merge", *reversed(folders), "--out", "merged")[0] == whole == 1
    assert tables(tmp_path / "merged") == tables(tmp_path / "whole")
    first, second = (read(tmp_path / name).meta for name in ("merged", "whole"))
    masks = [[mask.tolist() for _, mask in read(tmp_path / name).masks()] for name in ("merged", "whole")]
    assert masks[0] == masks[1] != []
    for key in ("cases", "comparisons", "rows", "counts", "exit_code", "frameworks", "interrupted"):
        assert first[key] == second[key]


def test_the_merged_run_is_remembered_and_its_shards_are_not(harness, many, execution, tmp_path, capsys):
    database = tmp_path / "reports" / "history.sqlite"
    harness("run", "cases", "--history", str(database), "--out", "reports/first")
    for number in (1, 2):
        harness("run", "cases", "--shard", f"{number}/2", "--out", f"reports/part{number}")
    assert [(one.shard, one.counts) for one in histories.runs(database)] == [("", {"pass": 12})]
    assert harness("merge", "reports/part1", "reports/part2", "--out", "reports/merged")[0] == 0
    assert [(one.shard, one.counts) for one in histories.runs(database)] == [("", {"pass": 12})] * 2
    parts = [read(tmp_path / "reports" / f"part{number}").meta for number in (1, 2)]
    past = histories.runs(database)[-1]
    assert past.started == min(part["started"] for part in parts)
    assert past.seconds == pytest.approx(sum(part["seconds"] for part in parts), abs=0.002)
    figures = next(histories.figures(database, check="value.y", implementation="torch"))
    assert [figure.run for figure in figures] == [1, 2]
    assert harness("merge", "reports/part1", "reports/part2", "--out", "m", "--history", "new.sqlite")[0] == 0
    assert len(histories.runs(tmp_path / "new.sqlite")) == 1


def test_a_shard_cannot_be_remembered(harness, many, execution, tmp_path):
    code, _, err = harness("run", "cases", "--shard", "1/2", "--history", "h.sqlite")
    assert code == 4
    assert "give it to `harness merge`" in err
    assert not (tmp_path / "h.sqlite").exists()


def test_a_merged_run_is_of_the_machines_that_ran_it(harness, many, execution, tmp_path):
    for number in (1, 2):
        harness("run", "cases", "--shard", f"{number}/2", "--out", f"part{number}")
        meta = json.loads((tmp_path / f"part{number}/run.json").read_text())
        meta["machine"] |= {"cpu": f"Processor {number}", "python": "3.12.1"}
        (tmp_path / f"part{number}/run.json").write_text(json.dumps(meta))
    harness("merge", "part1", "part2", "--out", "merged")
    machine = read(tmp_path / "merged").meta["machine"]
    assert (machine["cpu"], machine["python"]) == ("Processor 1 + Processor 2", "3.12.1")


def test_what_is_not_all_shards_of_one_run_is_refused(harness, many, execution, tmp_path):
    for number in (1, 2):
        harness("run", "cases", "--shard", f"{number}/2", "--out", f"part{number}")
    harness("run", "cases", "--out", "whole")
    for folders, words in (
        (["part1"], "all 2 are needed"),
        (["part1", "part1"], "and so is part1"),
        (["part1", "whole"], "not a shard"),
        (["part1", "nowhere"], "not a stored run"),
    ):
        code, out, err = harness("merge", *folders, "--out", "merged")
        assert (code, out) == (4, "")
        assert words in err
    assert not (tmp_path / "merged").exists()
    meta = json.loads((tmp_path / "part1/run.json").read_text())
    (tmp_path / "part2/run.json").write_text((tmp_path / "part1/run.json").read_text().replace('"1/2"', '"2/2"'))
    for name in meta["files"]:
        (tmp_path / "part2" / name).write_bytes((tmp_path / "part1" / name).read_bytes())
    code, _, err = harness("merge", "part1", "part2", "--out", "merged")
    assert code == 4
    assert "a case is in two shards" in err


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_a_bad_shard(harness, many, execution, text):
    assert harness("run", "cases", f"--shard={text}")[0] == 4


def test_an_interrupted_run_resumes_to_the_same_report(harness, many, execution, tmp_path):
    execution.verdicts["torch"] = [("value.y", Verdict.PASS), ("mask.rate", Verdict.FAIL)]
    harness("run", "cases", "--out", "whole")
    for stop in range(0, 12, 3):
        execution.stop_after = stop
        assert harness("run", "cases", "--out", "resumed")[0] == 2
        execution.stop_after = None
        code, _, err = harness("run", "cases", "--out", "resumed", "--resume")
        assert code == 1
        assert len(execution.seen["variants"]) == 6 - stop // 2
        assert (f"{stop // 2} of 6 cases are kept" in err) == (stop > 1)
        assert tables(tmp_path / "resumed") == tables(tmp_path / "whole")


def test_a_resumed_run_says_so_and_has_the_time_of_all_its_parts(harness, many, execution, tmp_path):
    execution.stop_after = 5
    words = ["run", "cases", "--out", "mine"]
    _, out, _ = harness(*words)
    assert "Took" not in out
    first = read("mine").meta
    assert (first["command"], first["kept"]) == (["harness", *words], {"cases": 0, "comparisons": 0})
    assert "parts" not in first
    path = tmp_path / "mine" / "run.json"
    path.write_text(json.dumps(first | {"seconds": 100.0, "started": "2020-01-01T00:00:00+00:00"}))
    execution.stop_after = 2
    harness(*words, "--resume", "--jobs", "2")
    path.write_text(path.read_text().replace('"cpu": "', '"cpu": "Another '))
    execution.stop_after = None
    code, out, _ = harness(*words, "--resume")
    assert code == 0
    meta = read("mine").meta
    parts = meta["parts"]
    assert [one["command"][4:] for one in parts] == [
        ["mine"],
        ["mine", "--resume", "--jobs", "2"],
        ["mine", "--resume"],
    ]
    assert [one["comparisons"] for one in parts] == [5, 2, 6]
    assert meta["kept"] == {"cases": 3, "comparisons": 6}
    assert meta["seconds"] == pytest.approx(sum(one["seconds"] for one in parts), abs=1e-3)
    assert 100.0 < meta["seconds"] < 150.0
    assert meta["started"] == parts[0]["started"] == "2020-01-01T00:00:00+00:00"
    assert meta["command"] == parts[-1]["command"]
    assert [one["machine"]["cpu"].startswith("Another ") for one in parts] == [True, True, False]
    assert " + " in meta["machine"]["cpu"]
    said = rf"Took {meta['seconds']:.1f} s, the sum of 3 parts; 3 of 6 cases kept by --resume"
    assert f"{said}." in out
    assert f"<dd>{said.removeprefix('Took ')}</dd>" in (tmp_path / "mine/report.html").read_text()
    summary = json.loads(harness("report", "mine", "--json")[1])
    assert (summary["seconds"], summary["kept"]) == (meta["seconds"], meta["kept"])


def test_what_another_version_compared_is_not_kept(harness, many, execution, tmp_path):
    harness("run", "cases")
    path = tmp_path / "reports/latest/run.json"
    meta = json.loads(path.read_text())
    meta["machine"]["harness"] = "0.0.1"
    path.write_text(json.dumps(meta))
    _, out, err = harness("run", "cases", "--resume")
    assert len(execution.seen["variants"]) == 6
    assert "no case is kept: " in err
    assert read("reports/latest").meta["kept"]["cases"] == 0
    assert "parts" not in read("reports/latest").meta
    assert "Took" not in out


def test_a_merged_run_has_the_parts_of_its_shards(harness, many, execution):
    for number in (1, 2):
        harness("run", "cases", "--shard", f"{number}/2", "--out", f"part{number}")
    harness("merge", "part2", "part1", "--out", "merged")
    meta = read("merged").meta
    assert meta["command"] == ["harness", "merge", "part2", "part1", "--out", "merged"]
    assert [one["shard"] for one in meta["parts"]] == ["2/2", "1/2"]
    assert meta["seconds"] == pytest.approx(sum(read(f"part{n}").meta["seconds"] for n in (1, 2)), abs=1e-3)
    assert meta["kept"]["cases"] == 0


def test_a_case_that_changed_is_not_kept(harness, many, execution, tmp_path):
    harness("run", "cases")
    path = tmp_path / "cases" / "a.yaml"
    path.write_text(path.read_text() + "# changed\n")
    code, _, err = harness("run", "cases", "--resume")
    assert code == 0
    assert "4 of 6 cases are kept" in err
    assert {variant.path for variant in execution.seen["variants"]} == {"cases/a.yaml"}


def test_a_case_with_more_backends_is_not_kept(harness, many, execution):
    harness("run", "cases", "--backend", "numpy")
    harness("run", "cases", "--resume")
    assert len(execution.seen["variants"]) == 6


def test_resume_without_a_run_runs_everything(harness, many, execution):
    assert harness("run", "cases", "--resume")[0] == 0
    assert len(execution.seen["variants"]) == 6


def test_last_failed(harness, many, execution, tmp_path):
    execution.verdicts["torch"] = [("mask.rate", Verdict.FAIL)]
    assert harness("run", "cases/a.yaml")[0] == 1
    execution.verdicts.clear()
    assert harness("run", "cases", "--last-failed")[0] == 0
    assert {variant.path for variant in execution.seen["variants"]} == {"cases/a.yaml"}
    assert harness("run", "cases", "--last-failed")[0] == 5


def test_a_lost_comparison_is_our_bug(harness, many, execution, monkeypatch, tmp_path):
    real = execution.run

    def losing(*arguments, **options):
        events = real(*arguments, **options)
        next(events)
        yield from events

    monkeypatch.setattr(execution, "run", losing)
    code, _, err = harness("run", "cases")
    assert code == 3
    assert "12 comparisons were planned, and 11 were made" in err
    assert not (tmp_path / "reports/latest/run.json").exists()
