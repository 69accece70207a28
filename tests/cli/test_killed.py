"""Killed at random moments, a run leaves no torn file and no worker, and resumes to the report that it would have given."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from harness.reporting import store

SEED = 20261120
CHAINS, KILLS = 2, 3
MARK = "HARNESS_TEST_MARK"
#: Columns of results.csv that two runs of the same cases need not share: how long it took, and nothing else.
OF_TIME = {"seconds", "comparison_seconds"}

CASE = """about: Cheap, and of several kinds, so that a moment is seldom like another.
layer: {layer}
config: {config}
inputs: {{x: {{shape: [3, 4, 5], fill: normal, seed: 1}}}}
seeds: [3, 4]
matrix: {{rate: [0.0, 0.25, 0.5], dtype: [float32, float64]}}
dtype: "{{dtype}}"
backends:
  - numpy
  - {{name: a port, framework: numpy, target: "port.py:run"}}
"""
PORT = """def run(case):
    x = case.inputs["x"]
    if case.mode == "eval" or not case.config["rate"]:
        return {"y": x}
    kept = case.rng.bernoulli(1.0 - case.config["rate"], x.shape)
    return {"y": x * kept.astype(x.dtype) / x.dtype.type(1.0 - case.config["rate"])}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three dozen comparisons of milliseconds: dropout and noise, in NumPy and in a port."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for number in range(3):
        text = CASE.format(layer="dropout", config='{rate: "{rate}"}') + "gradients: false\n"
        (folder / f"case{number}.yaml").write_text(text, encoding="utf-8")
    (folder / "port.py").write_text(PORT, encoding="utf-8")
    return tmp_path


class Run:
    """`harness run` in a process of its own, whose workers can be told by a variable that they inherit."""

    def __init__(self, folder: Path, out: str, *options: str) -> None:
        self.mark = uuid.uuid4().hex
        root = Path(__file__).parents[2]
        variables = {**os.environ, "PYTHONPATH": str(root), MARK: self.mark, "PYTHONFAULTHANDLER": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", "cases", "--out", out, "--history", "history.sqlite", *options],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str, str]:
        """Wait for it: (exit code, stdout, stderr)."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def left(self) -> dict[int, list[str]]:
        """Processes of this run that live, the host too: their command lines by number."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
        return found


def tables(folder: Path) -> tuple[list[dict[str, str]], bytes, bytes, bytes]:
    """What a report says, but for its times: the rows of results.csv, cases.json and what is drawn."""
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: text for name, text in row.items() if name not in OF_TIME} for row in csv.DictReader(file)]
    return rows, *((folder / name).read_bytes() for name in (store.CASES, store.CHARTS, store.MASKS))


def whole(folder: Path) -> None:
    """Every file in an output folder is whole, by its own format; what is unfinished lies in a hidden folder."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".jsonl":
            text = path.read_text(encoding="utf-8")
            assert text.endswith("\n") or not text
            assert all(json.loads(line)["case"] for line in text.splitlines())
        elif path.suffix == ".csv":
            assert path.read_text(encoding="utf-8").endswith("\n")
            with path.open(encoding="utf-8", newline="") as file:
                assert len({len(row) for row in csv.reader(file)}) == 1
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype == bool for name in arrays.files)
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        else:
            raise AssertionError(f"what is {path.name}?")
    if (folder / store.RUN).exists():
        stored = store.read(folder)
        assert len(list(stored.rows())) == stored.meta["rows"] == sum(stored.counts.values())
        assert len(list(stored.masks())) == sum(len(case["masks"]) for case in stored.cases)


def gone(run: Run, folders: set[Path]) -> None:
    """Nothing of a run is left: no process, and no folder of a worker that was seen."""
    end = time.monotonic() + 15
    while (left := run.left()) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == {}
    assert [path for path in folders if path.exists()] == []


def worker_folders(run: Run) -> set[Path]:
    """The folders of the workers that a run has now."""
    return {
        Path(word).parent
        for words in run.left().values()
        for word in words
        if Path(word).name == "socket" and "/" in word
    }


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_killed_at_random_moments(project: Path) -> None:
    began = time.monotonic()
    assert Run(project, "whole").end()[0] == 0
    took = time.monotonic() - began
    wanted = tables(project / "whole")
    assert len(wanted[0]) > 250
    assert len({(row["case"], row["name"]) for row in wanted[0]}) == 36
    chance = random.Random(SEED)
    for chain in range(CHAINS):
        out = project / f"out{chain}"
        for kill in range(KILLS):
            # The start of Python and of the worker is a third of such a short run; later moments are more telling.
            delay = chance.uniform(0.05 if chain == 0 else 0.3 * took, took)
            number = chance.choice((signal.SIGKILL, signal.SIGINT))
            run = Run(project, out.name, *(["--resume"] if kill else []))
            time.sleep(delay)
            folders = worker_folders(run)
            run.process.send_signal(number)
            code, said, err = run.end()
            told = f"chain {chain}, kill {kill}: {signal.Signals(number).name} after {delay:.2f} of {took:.2f} s: {err}"
            if number == signal.SIGKILL:
                assert code in (-signal.SIGKILL, 0), told
            else:
                # Before our first line, and after the last, Python ends in its own way.
                assert code in (0, 2) or (code == -signal.SIGINT and ("Report: " in said or not out.exists())), told
                assert "Traceback" not in err or not out.exists(), told
                assert code != 2 or "interrupted" in (said + err).lower(), told
            gone(run, folders)
            whole(out)
        code, _, err = Run(project, out.name, "--resume").end()
        assert code == 0, err
        assert tables(out) == wanted
        assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
        assert json.loads((out / store.RUN).read_text())["interrupted"] is False
    with contextlib.closing(sqlite3.connect(project / "history.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM runs WHERE exit_code = 0").fetchone()[0] >= 1 + CHAINS


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_interrupted_after_some_cases_those_are_kept(project: Path) -> None:
    """Random moments may all be too early or too late for this on a slow machine, so the port waits for the moment."""
    port, hold, begun = (project / "cases" / "port.py", project / "hold", project / "begun")
    waits = PORT.replace("run(case):", "answer(case):") + (
        "\n\ndef run(case):\n"
        "    import os, time\n\n"
        "    if case.seed == 4 and case.inputs['x'].dtype == 'float64' and os.path.exists('hold'):\n"
        "        open('begun', 'w').close()\n"
        "        time.sleep(600)\n"
        "    return answer(case)\n"
    )
    port.write_text(waits, encoding="utf-8")
    code, _, err = Run(project, "whole", "--jobs", "1").end()
    assert code == 0, err
    hold.touch()
    run = Run(project, "out", "--jobs", "1")
    end = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < end:
        time.sleep(0.05)
    folders = worker_folders(run)
    run.process.send_signal(signal.SIGINT)
    code, said, err = run.end()
    assert code == 2, err
    assert "interrupted" in (said + err).lower()
    gone(run, folders)
    whole(project / "out")
    assert json.loads((project / "out" / store.RUN).read_text())["interrupted"] is True
    hold.unlink()
    code, _, err = Run(project, "out", "--resume").end()
    assert code == 0, err
    assert " of 18 cases are kept" in err, err
    assert tables(project / "out") == tables(project / "whole")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_a_worker_in_the_middle_of_a_long_call_ends_with_its_host(project: Path, number: signal.Signals) -> None:
    """Nothing wakes it: it neither reads nor writes. Only its own watch over its parent ends it where the host cannot."""
    port = project / "cases" / "port.py"
    port.write_text(
        "import time\n\n\ndef run(case):\n    open('begun', 'w').close()\n    time.sleep(600)\n", encoding="utf-8"
    )
    run = Run(project, "out")
    begun = project / "begun"
    end = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < end:
        time.sleep(0.05)
    folders = worker_folders(run)
    assert folders
    assert all(path.exists() for path in folders)
    run.process.send_signal(number)
    code, _, err = run.end()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 2), err
    assert "Traceback" not in err
    gone(run, folders)
    whole(project / "out")
