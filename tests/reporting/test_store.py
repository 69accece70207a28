import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.commands.report import exported
from harness.errors import UserError
from harness.records import Aim, Verdict
from harness.reporting import files
from harness.reporting.exits import Exit
from harness.reporting.rows import COLUMNS, csv_line, csv_row, dump_row, load_row
from harness.reporting.store import CHARTS, DATA, RUN, read
from harness.reporting.summary import label
from harness.reporting.writer import LARGEST, Writer
from tests.reporting import fakes

GOLDEN = Path(__file__).parent / "golden"


def golden(name, text):
    """Compare with a golden file; HARNESS_UPDATE_GOLDEN=1 writes it."""
    path = GOLDEN / name
    if os.environ.get("HARNESS_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def stored(tmp_path):
    return fakes.store(tmp_path / "run", *fakes.small_run())


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_tables_are_as_they_were(stored, name):
    golden(name, (stored / name).read_text(encoding="utf-8"))


def test_everything_comes_back(stored):
    run = read(stored)
    _, events = fakes.small_run()
    written = [row for event in events for row in event.rows]
    rows = list(run.rows())
    assert sorted(dump_row(row) for row in rows) == sorted(dump_row(row) for row in written)
    assert run.meta["rows"] == len(written) == sum(run.counts.values())
    assert set(run.counts) == set(Verdict)
    assert run.exit_code is Exit.DIFFERENCE
    assert run.sources["cases/lstm/variational.yaml"] == fakes.SOURCE
    assert {"environment": "", "package": "torch", "version": "2.13.0"} in run.meta["frameworks"]


def test_order_is_that_of_the_cases_whoever_finishes_first(stored, tmp_path):
    variants, events = fakes.small_run()
    other = fakes.store(tmp_path / "other", variants, events[::-1])
    for name in ("results.csv", "results.jsonl"):
        assert (other / name).read_bytes() == (stored / name).read_bytes()


def test_masks_come_back(stored):
    entries = [(entry["backend"], entry["name"], mask) for entry, mask in read(stored).masks()]
    assert [entry[:2] for entry in entries] == [("numpy", "input"), (fakes.LSTM[0], "input"), (fakes.LSTM[2], "input")]
    np.testing.assert_array_equal(entries[0][2], fakes.mask(0))


def profiles_of(run):
    return [{one["backend"]: dict(one["entries"]) for one in case["profiles"]} for case in run.cases]


def test_profiles_that_are_the_same_are_stored_once_and_come_back(tmp_path):
    variants, events = fakes.small_run()
    same, other = {"gate order": "i, f, g, o"}, {"gate order": "i, g, f, o"}
    events = [dataclasses.replace(one, profile=other if n == 1 else same) for n, one in enumerate(events)]
    folder = fakes.store(tmp_path / "run", variants, events)
    assert json.loads((folder / "cases.json").read_text())["profiles"] == [same, other]
    found = profiles_of(read(folder))
    assert found[0][events[1].backend.label] == other
    assert [entries for case in found for entries in case.values()].count(same) == len(events) - 1
    # A merge or a resumed run takes them over.
    with Writer.of(tmp_path / "again", variants) as writer:
        writer.adopt(read(folder), {one.id for one in variants})
        writer.finish()
    assert profiles_of(read(tmp_path / "again")) == found


def test_charts_come_back_in_the_order_of_the_cases(tmp_path):
    variants, events = fakes.small_run()
    odd = dataclasses.replace(events[4], charts={"results": {"value.y": {"steps": [math.inf, math.nan]}}})
    folder = fakes.store(tmp_path, variants, [odd, *reversed(events[:3])])
    found = list(read(folder).charts())
    names = ("numpy", fakes.LSTM[0], fakes.LSTM[3])
    assert [(one["case"], one["backend"]) for one in found] == [(variants[0].id, name) for name in names]
    assert found[0]["charts"] == events[0].charts
    assert found[-1]["charts"]["results"]["value.y"]["steps"] == ["inf", "nan"]
    # A merge or a resumed run takes them over, byte for byte.
    with Writer.of(tmp_path / "again", variants) as writer:
        writer.adopt(read(folder), {one.id for one in variants})
        writer.finish()
    assert (tmp_path / "again" / CHARTS).read_bytes() == (folder / CHARTS).read_bytes()


def test_a_run_from_before_there_were_charts_is_read(stored):
    meta = json.loads((stored / RUN).read_text())
    del meta["files"][CHARTS]
    (stored / RUN).write_text(json.dumps(meta))
    (stored / CHARTS).unlink()
    assert list(read(stored).charts()) == []


@pytest.mark.parametrize("line", ["{}", "[]", "{", '{"case": 1, "backend": 2, "order": 3, "charts": 4}'])
def test_charts_that_are_none_are_refused(stored, line):
    (stored / CHARTS).write_text(line + "\n")
    with pytest.raises(UserError, match=r"charts\.jsonl:1: not charts"):
        list(read_without_checks(stored).charts())


def aged(folder):
    """Make a stored run one of format 1, in which `seconds` was that of the whole comparison."""
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    for values in lines:
        values["seconds"] = values.pop("comparison_seconds")
    (folder / "results.jsonl").write_text("".join(json.dumps(values) + "\n" for values in lines))
    names = [column for column in COLUMNS if column != "comparison_seconds"]
    (folder / "results.csv").write_text(csv_line(names))
    meta = json.loads((folder / RUN).read_text())
    for name in ("results.jsonl", "results.csv"):
        meta["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": files.digest(folder / name)}
    (folder / RUN).write_text(json.dumps(meta | {"version": 1}))
    return read(folder)


def test_a_run_in_which_rows_had_the_seconds_of_the_comparison_is_read(stored, tmp_path):
    rows = list(read(stored).rows())
    assert {row.seconds for row in rows} == {0.0625}
    old = aged(stored)
    expected = [dump_row(dataclasses.replace(row, seconds=None)) for row in rows]
    assert list(map(dump_row, old.rows())) == expected
    assert math.isnan(old.frame().seconds.max())
    header, first = exported(old, "csv").decode().splitlines()[:2]
    assert header.split(",") == list(COLUMNS)
    assert first == csv_row(load_row(expected[0])).strip()
    assert exported(old, "jsonl").decode().splitlines() == expected
    assert 'time="0.250"' in exported(old, "junit").decode()
    # A merge or a resumed run takes them over, in the format of today.
    variants, _ = fakes.small_run()
    with Writer.of(tmp_path / "again", variants) as writer:
        writer.adopt(old, {one.id for one in variants})
        writer.finish()
    assert list(map(dump_row, read(tmp_path / "again").rows())) == expected
    assert read(tmp_path / "again").meta["version"] == 2


def read_without_checks(folder):
    from harness.reporting.store import StoredRun

    return StoredRun(folder, json.loads((folder / RUN).read_text()), [], {})


def test_a_profile_that_is_not_there_is_refused(stored):
    cases = json.loads((stored / "cases.json").read_text())
    cases["profiles"] = []
    (stored / "cases.json").write_text(json.dumps(cases))
    meta = json.loads((stored / RUN).read_text())
    path = stored / "cases.json"
    meta["files"]["cases.json"] = {"bytes": path.stat().st_size, "sha256": files.digest(path)}
    (stored / RUN).write_text(json.dumps(meta))
    with pytest.raises(UserError, match="no valid profiles"):
        read(stored)


def test_a_large_mask_is_pooled_and_said_to_be(tmp_path):
    one = fakes.variant(backends=("numpy",))
    large = np.ones((30, LARGEST), bool)
    folder = fakes.store(
        tmp_path, [one], [fakes.compared(one, "numpy", fakes.row(one, "numpy"), masks={"input": large})]
    )
    ((entry, mask),) = read(folder).masks()
    assert entry["shape"] == [30, LARGEST]
    assert entry["stored"] == list(mask.shape)
    assert entry["kept"] == 1
    assert mask.size < LARGEST
    assert (mask == 1).all()


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324])
def test_figures_survive_exactly(value):
    one = fakes.variant()
    row = fakes.row(one, "numpy", measured=value)
    back = load_row(dump_row(row)).measured
    assert back == value or (value is not None and math.isnan(value) and math.isnan(back))
    assert dump_row(load_row(dump_row(row))) == dump_row(row)
    cell = csv_row(row).split(",")[COLUMNS.index("measured")]
    assert cell == "" if value is None else cell == repr(value)


def test_numpy_scalars_are_written_as_numbers():
    row = fakes.row(fakes.variant(variant={"rate": np.float32(0.5)}), "numpy", measured=np.float32(0.5))
    assert json.loads(dump_row(row))["measured"] == 0.5
    assert json.loads(dump_row(row))["variant"] == {"rate": 0.5}


HOSTILE = [
    "a\nb",
    "a\r\nb",
    '","',
    "line\u2028break\u0085\x0b\x1c",
    "nul\x00",
    "\u202eright-to-left",
    "lone\udc80surrogate",
    "=1+1",
    "']",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_row(tmp_path, text):
    one = fakes.variant(f"cases/{text}.yaml", ("numpy",), about=text, source=text)
    event = fakes.compared(one, "numpy", fakes.row(one, "numpy", cause=text), fakes.row(one, "numpy"))
    run = read(fakes.store(tmp_path, [one], [event]))
    rows = list(run.rows())
    assert [row.cause for row in rows] == [text, ""]
    assert rows[0].case == one.id
    assert run.cases[0]["about"] == text
    import csv

    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 3


# Reading refuses what is not whole.


@pytest.mark.parametrize("name", [*DATA, RUN])
def test_a_missing_file_is_refused(stored, name):
    (stored / name).unlink()
    with pytest.raises(UserError, match="not a stored run"):
        read(stored)


@pytest.mark.parametrize("name", [*DATA, RUN])
def test_a_torn_file_is_refused(stored, name):
    data = (stored / name).read_bytes()
    (stored / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=name):
        read(stored)


@pytest.mark.parametrize("name", DATA)
def test_a_changed_file_is_refused(stored, name):
    data = bytearray((stored / name).read_bytes())
    data[len(data) // 2] ^= 1
    (stored / name).write_bytes(data)
    with pytest.raises(UserError, match="not the file that the run wrote"):
        read(stored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "newer harness .*upgrade"),
        ({"version": "1"}, "no valid format version"),
        ({"format": "something"}, "its format is 'something'"),
        ({"counts": {"mostly fine": 3}}, "mostly fine"),
        ({"exit_code": 77}, "77"),
        ({"frameworks": [{"backend": "torch"}]}, "no valid 'frameworks'"),
        ({"files": []}, "no valid 'files'"),
        ({"files": {}}, "does not describe"),
    ],
)
def test_a_foreign_or_newer_run_is_refused(stored, change, message):
    meta = json.loads((stored / RUN).read_text()) | change
    (stored / RUN).write_text(json.dumps(meta))
    with pytest.raises(UserError, match=message):
        read(stored)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x00"])
def test_run_json_that_is_not_an_object_is_refused(stored, text):
    (stored / RUN).write_text(text)
    with pytest.raises(UserError, match=RUN):
        read(stored)


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="harness run"):
        read(tmp_path / "nowhere")


# Writing leaves the old run or the new one.


def test_a_failed_run_leaves_the_old_one(stored):
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    variants, events = fakes.small_run()
    with pytest.raises(KeyError):
        fakes.store(stored, variants[:1], events)
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


def test_a_row_of_a_foreign_case_is_refused(tmp_path):
    one = fakes.variant("cases/other.yaml")
    with Writer.of(tmp_path, [fakes.variant()]) as writer, pytest.raises(KeyError):
        writer.add(fakes.compared(one, "numpy", fakes.row(one, "numpy")))


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    fakes.store(tmp_path, *fakes.green_run())
    fakes.store(tmp_path, *fakes.green_run())
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert not list(tmp_path.glob(".partial*"))


def test_an_interrupted_run_is_stored_as_such(tmp_path):
    variants, events = fakes.small_run()
    run = read(fakes.store(tmp_path, variants, events[:2], interrupted=True))
    assert run.exit_code is Exit.INTERRUPTED
    assert run.meta["interrupted"]
    assert len(run.cases) == 2


KILLED = """
import sys
from pathlib import Path
from tests.reporting import fakes
variants, events = fakes.small_run()
for turn in range(10**6):
    fakes.store(Path(sys.argv[1]), variants, events)
    if not turn:
        print("ready", flush=True)
"""


def test_killed_at_any_moment_no_file_is_torn(tmp_path):
    """The first run is whole when "ready" comes; what follows is killed at some moment."""
    chance = random.Random(0)
    outcomes = set()
    for turn in range(8):
        folder = tmp_path / str(turn % 2)
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if (folder / "results.jsonl").exists():
            for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
                load_row(line)
        if (folder / RUN).exists():
            outcomes.add("whole")
            assert len(list(read(folder).rows())) == 13
    assert "whole" in outcomes
    for folder in tmp_path.iterdir():
        fakes.store(folder, *fakes.green_run())
        assert read(folder).exit_code is Exit.OK
        assert not list(folder.glob(".partial*"))


def test_write_whole_leaves_the_old_file_when_the_disk_fails(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    files.write_whole(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_in_the_place_of_a_file_is_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="is a folder; name a file to write"):
        files.write_whole(tmp_path, "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot create the folder"):
        files.make_folder(tmp_path / "file" / "below")


def test_memory_stays_flat(tmp_path):
    """Rows and masks are on the disk, not in the writer."""
    import tracemalloc

    one = fakes.variant(backends=("numpy",))
    rows = [dataclasses.replace(fakes.row(one, "numpy"), cause=f"cause {n}") for n in range(200)]
    events = [fakes.compared(one, f"numpy: {n}", *rows, masks={"input": fakes.mask(0, (20, 30))}) for n in range(51)]
    with Writer.of(tmp_path, [one]) as writer:
        writer.add(events[0])
        tracemalloc.start()
        for event in events[1:]:
            writer.add(event)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        writer.finish()
    assert (tmp_path / "results.jsonl").stat().st_size > 2_000_000
    assert grown < 200_000


@pytest.mark.parametrize(
    ("check", "unit", "aim"),
    [
        ("mask.rate", "dropped share", Aim.MEET),
        ("mask.sites", "sites", Aim.MEET),
        ("mask.replayed", "sites", Aim.MOST),
        ("mask.independence", "p-value", Aim.LEAST),
        ("value.y", "absolute", Aim.MOST),
    ],
)
def test_a_row_of_an_older_run_says_what_its_text_said(check, unit, aim):
    """Then the label held that it was a recipe, and the unit what its limit is."""
    (case,), _ = fakes.green_run()
    line = dump_row(fakes.row(case, "numpy", check, unit=unit, name="numpy: numpy.lstm [recipe]"))
    values = {key: value for key, value in json.loads(line).items() if key not in ("internal", "recipe", "aim")}
    row = load_row(json.dumps(values))
    assert (row.name, row.recipe, row.aim, row.internal) == ("numpy: numpy.lstm", True, aim, False)
    assert label(row) == "numpy: numpy.lstm [recipe]"
    assert load_row(dump_row(row)) == row
