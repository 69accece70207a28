"""What a command writes is there and whole, whoever has stopped to read what it prints (`harness … | head -1`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.commands.unheard import Unheard
from harness.reporting.store import read
from tests.reporting import fakes

ROOT = Path(__file__).parents[2]


def unread(folder: Path, *words: str, stderr: bool) -> int:
    """Run the command line with nobody behind stdout, and stderr if asked; returns the exit code."""
    behind, pipe = os.pipe()
    os.close(behind)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "CI": ""},
            stdout=pipe,
            stderr=pipe if stderr else subprocess.PIPE,
            timeout=120,
            check=False,
        )
    finally:
        os.close(pipe)
    if not stderr:
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
    return done.returncode


@pytest.fixture
def project(case, tmp_path):
    """A folder with a case of NumPy alone, a stored run and a shard."""
    text = (tmp_path / case).read_text().replace("[numpy, {torch: torch.nn.Dropout}]", "[numpy]")
    (tmp_path / case).write_text(text)
    fakes.store(tmp_path / "reports" / "latest", *fakes.green_run())
    fakes.store(tmp_path / "part", *fakes.green_run(), shard="1/1")
    return tmp_path


#: A command line for each command that writes, and what it writes.
WRITING = [
    (["baseline", "update"], "parity-baseline.txt"),
    (["init", "port.py"], "port.yaml"),
    (["report"], "reports/latest/report.html"),
    (["report", "--format", "junit", "--output", "junit.xml"], "junit.xml"),
    (["schema", "--output", "schema.json"], "schema.json"),
    (["layers", "--markdown", "--output", "layers.md"], "layers.md"),
    (["merge", "part", "--out", "merged"], "merged/report.html"),
    (["mask", "--like", "torch.nn.Dropout", "--seed", "7", "--shape", "2,3", "--save", "mask.npy"], "mask.npy"),
    (["run", "cases", "--out", "new", "--history", "new.sqlite", "--power", "-v"], "new/report.html"),
    (["run", "cases", "--resume", "--backend", "jax", "--backend", "numpy", "--out", "new"], "new/report.html"),
]


@pytest.mark.parametrize("stderr", [False, True], ids=["stdout", "both"])
@pytest.mark.parametrize(("words", "file"), WRITING, ids=[" ".join(words[:2]) for words, _ in WRITING])
def test_the_file_is_there(project, words, file, stderr):
    assert unread(project, *words, stderr=stderr) == 0
    path = project / file
    assert path.stat().st_size > 50
    if path.suffix == ".npy":
        assert np.load(path).shape == (2, 3)
    if words[0] == "run":
        assert len(list(read(path.parent).rows())) > 4
        assert not read(path.parent).meta["interrupted"]


def test_an_environment_is_built_whoever_reads_of_the_one_before(harness, monkeypatch):
    from harness.environments import building

    done = []
    monkeypatch.setattr(building, "create", lambda name, _say, **_: done.append(name) or name)
    monkeypatch.setattr(building, "remove", lambda name: done.append(f"-{name}") or True)

    def closed(*_words, err=False, **_):
        if not err:
            raise BrokenPipeError

    monkeypatch.setattr("click.echo", closed)
    harness("env", "create", "tf1.3", "tf1.8")
    harness("env", "remove", "tf1.3", "tf1.8")
    assert done == ["tf1.3", "tf1.8", "-tf1.3", "-tf1.8"]


def test_messages_that_are_read_are_written_and_others_are_no_error():
    behind, pipe = os.pipe()
    with os.fdopen(pipe, "w") as stream:
        messages = Unheard(stream)
        messages.write("heard\n")
        messages.flush()
        assert os.read(behind, 100) == b"heard\n"
        os.close(behind)
        for _ in range(3):
            assert messages.write("unheard\n") == 8
            messages.flush()
        assert messages.isatty() is False


def test_a_disk_that_is_full_is_still_told():
    full = Path("/dev/full").open("w", encoding="utf-8", buffering=1)  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        Unheard(full).write("lost\n")
    with pytest.raises(OSError, match="No space left"):
        full.close()
