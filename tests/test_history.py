"""The history: what a run leaves in it, who may write at the same time, and what it refuses."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness import history
from harness.cli import main
from harness.errors import UserError
from harness.records import Verdict
from harness.reporting.store import StoredRun, read
from tests.reporting import fakes

ROOT = Path(__file__).parents[1]
CASE = """about: Dropout in NumPy.
layer: dropout
config: {rate: "{rate}"}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
matrix: {rate: [0.25, 0.5]}
checks: ["value.y", "mask.sites"]
backends: [numpy]
"""


def stored(folder: Path, measured: float | None = 1e-7, version: str = "2.13.0", **changes: object) -> StoredRun:
    """A run of one case of two variants on one backend, with one figure and one version."""
    cases = [fakes.variant(f"cases/lstm/a.yaml::[rate={rate}]", ("torch",)) for rate in (0.25, 0.5)]
    rows = {"measured": measured, "version": version, **changes}
    events = [fakes.compared(one, "torch", fakes.row(one, "torch", **rows)) for one in cases]
    return read(fakes.store(folder, cases, events))


def test_figures_over_runs_oldest_first(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "history.sqlite"
    for number in range(3):
        run = stored(tmp_path / str(number), 10.0 ** (number - 7), f"2.{number}.0")
        assert history.remember(run, file)
        assert not history.remember(run, file), "the same run is remembered once"
    series = list(history.figures(file))
    assert [one[0].case for one in series] == [f"cases/lstm/a.yaml::[rate={rate}]" for rate in (0.25, 0.5)]
    for one in series:
        assert [(f.run, f.version, f.measured) for f in one] == [
            (1, "2.0.0", 1e-7),
            (2, "2.1.0", 1e-6),
            (3, "2.2.0", 1e-5),
        ]
        assert {(f.implementation, f.check, f.limit, f.verdict) for f in one} == {("torch", "value.y", 4.5e-6, "pass")}
    assert [len(one) for one in history.figures(file, limit=2)] == [2, 2]
    assert [one.counts for one in history.runs(file)] == [{"pass": 2}] * 3
    assert [one.id for one in history.runs(file, 2)] == [2, 3]
    assert history.runs(file)[0].frameworks == {"torch": "2.13.0"}


@pytest.mark.parametrize(
    ("case", "options", "count"),
    [
        ("cases/lstm/a.yaml::[rate=0.5]", {}, 1),
        ("cases/lstm/a.yaml", {}, 2),
        ("cases/lstm/", {}, 2),
        ("cases", {}, 2),
        ("cases/lst", {}, 0),
        ("*0.25*", {}, 1),
        ("cases", {"implementation": "torch"}, 2),
        ("cases", {"implementation": "jax"}, 0),
        ("cases", {"check": "value.*"}, 2),
        ("cases", {"check": "gradient.*"}, 0),
    ],
)
def test_selection(tmp_path: Path, case: str, options: dict[str, str], count: int) -> None:
    history.remember(stored(tmp_path / "run"), tmp_path / "h.sqlite")
    assert len(list(history.figures(tmp_path / "h.sqlite", case, **options))) == count  # type: ignore[arg-type]


@pytest.mark.parametrize("figure", [None, math.nan, math.inf, -math.inf, 0.0, 5e-324])
def test_every_figure_comes_back(tmp_path: Path, figure: float | None) -> None:
    history.remember(stored(tmp_path / "run", figure), tmp_path / "h.sqlite")
    found = next(history.figures(tmp_path / "h.sqlite"))[0].measured
    assert found == figure or (figure is not None and math.isnan(figure) and math.isnan(found or 0.0))


def test_it_is_in_wal_mode_and_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    history.remember(stored(tmp_path / "run"), file)
    with sqlite3.connect(file) as connection:
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "user_version")]
    connection.close()
    assert found == ["wal", history.VERSION]


WRITER = """
import sys
from pathlib import Path
from harness import history
from harness.reporting.store import read
for folder in sys.argv[2:]:
    assert history.remember(read(folder), Path(sys.argv[1]))
"""


def test_runs_that_end_at_the_same_time_are_all_remembered(tmp_path: Path) -> None:
    folders = [str(stored(tmp_path / f"{n}", n * 1e-8).folder) for n in range(12)]
    file = tmp_path / "h.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), *folders[n::4]], cwd=ROOT, stderr=subprocess.PIPE)
        for n in range(4)
    ]
    for writer in writers:
        _, words = writer.communicate(timeout=120)
        assert writer.returncode == 0, words.decode()
    assert len(history.runs(file)) == 12
    for one in history.figures(file):
        assert sorted(f.measured or 0.0 for f in one) == [n * 1e-8 for n in range(12)]


def test_a_run_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """All or nothing: a row that cannot be stored, after some that can, takes its run with it."""
    file = tmp_path / "h.sqlite"
    history.remember(stored(tmp_path / "one"), file)
    broken = stored(tmp_path / "two", 2e-7)
    lines = (broken.folder / "results.jsonl").read_text().splitlines()
    (broken.folder / "results.jsonl").write_text(lines[0] + "\n{}\n")
    with pytest.raises(UserError, match="not a row"):
        history.remember(broken, file)
    assert len(history.runs(file)) == 1
    assert [len(one) for one in history.figures(file)] == [1, 1]


def test_what_is_no_history_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    run = stored(tmp_path / "run")
    text = tmp_path / "text.sqlite"
    text.write_text("no database " * 100)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    newer = tmp_path / "newer.sqlite"
    history.remember(run, newer)
    with sqlite3.connect(newer) as connection:
        connection.execute(f"PRAGMA user_version = {history.VERSION + 1}")
    connection.close()
    for file, message in ((text, "not a database"), (foreign, "not a history"), (newer, "newer harness")):
        before = file.read_bytes()
        with pytest.raises(UserError, match=message):
            history.remember(run, file)
        assert file.read_bytes() == before
    with pytest.raises(UserError, match="no history there"):
        history.runs(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_which_database_a_run_goes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert history.beside("reports/latest") is None
    assert history.beside("elsewhere", "own.sqlite") == Path("own.sqlite")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / history.NAME).touch()
    for folder in ("reports/latest", "reports/ci/one"):
        assert history.beside(folder) == tmp_path / "reports" / history.NAME
    assert history.beside("elsewhere/latest") is None


def test_the_command_line_keeps_a_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.yaml").write_text(CASE)

    def call(*words: str) -> tuple[int, str]:
        code = main(list(words))
        return code, capsys.readouterr().out

    assert call("history")[0] == 4
    assert call("run", "case.yaml")[0] == 0
    assert not (tmp_path / "reports/history.sqlite").exists(), "a history is kept where one is asked for"
    assert call("run", "case.yaml", "--history", "reports/history.sqlite")[0] == 0
    assert call("run", "case.yaml", "--out", "reports/again")[0] == 0
    code, out = call("history")
    assert code == 0
    assert out.count("4 pass") == 2
    assert out.count("numpy ") == 1, "versions are told when they change"
    code, out = call("history", "case.yaml", "--check", "value.y", "--backend", "numpy")
    assert code == 0
    assert out.count("✓ pass") == 4
    assert out.splitlines()[:2] == ["case.yaml::[rate=0.25]", "  numpy: numpy.dropout  value.y"]
    table = read("reports/latest").frame().query("check == 'value.y'")
    series = json.loads(call("history", "case.yaml", "--check", "value.y", "--json")[1])["series"]
    assert [one["figures"][0]["measured"] for one in series] == table["measured"].tolist()
    assert [len(one["figures"]) for one in series] == [2, 2]
    runs = json.loads(call("history", "--json", "--last", "1")[1])["runs"]
    assert [(one["id"], one["counts"]) for one in runs] == [(2, {"pass": 4})]
    assert call("history", "nowhere.yaml")[0] == 5
    assert call("history", "case.yaml", "--html", "page/history.html") == (0, "page/history.html\n")
    assert (tmp_path / "page/history.html").read_text().count('<svg class="figure"') == 4


def test_a_history_that_cannot_be_used_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.yaml").write_text(CASE)
    (tmp_path / "text").write_text("no database " * 100)
    assert main(["run", "case.yaml", "--history", "text"]) == 4
    assert "cannot be used as a history" in capsys.readouterr().err
    assert not (tmp_path / "reports/latest").exists()


def test_an_unfinished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "h.sqlite"
    run = stored(tmp_path / "run", verdict=Verdict.FAIL)
    run.meta.update(interrupted=True, exit_code=2, shard="1/2")
    history.remember(run, file)
    assert main(["history", "--history", str(file)]) == 0
    assert "exit 2  2 fail (shard 1/2) (interrupted)" in capsys.readouterr().out
