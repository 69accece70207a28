"""`harness init` writes a port that passes as it stands, and never overwrites."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from harness.cases import load
from harness.cli import main
from harness.commands.init import FRAMEWORKS
from harness.records import Verdict
from tests.reporting import fakes
from tests.workers import run


def call(*arguments: str) -> int:
    return int(main(list(arguments)))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_port_as_written_is_right(framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [framework, os.environ.get("KERAS_BACKEND", "tensorflow")] if framework == "keras" else [framework]
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    monkeypatch.chdir(tmp_path)
    assert call("init", "my_port.py", "--framework", framework) == 0
    variants = load([Path("my_port.yaml")])
    assert len(variants) == 2
    for compared in run(variants, select=lambda ref: ref.name == "my-port"):
        assert {row.check: row.cause for row in compared.rows if row.verdict is not Verdict.PASS} == {}
        assert len(compared.rows) > 8


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_keras_port_on_another_backend(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    test_the_port_as_written_is_right("keras", tmp_path, monkeypatch)
    assert f"framework: {backend}" in Path("my_port.yaml").read_text()


def test_keras_on_what_is_no_backend_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    assert call("init", str(tmp_path / "port.py"), "--framework", "keras") == 4
    assert "$KERAS_BACKEND is 'openvino'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_next_step_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("init", "my_port.py", "--framework", "numpy") == 0
    found = capsys.readouterr()
    assert found.out == "my_port.py\nmy_port.yaml\n"
    assert found.err.startswith("Next: harness run my_port.yaml   # ")


def test_a_port_given_to_run_is_no_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_port.py").write_text("def run(case):\n    return {}\n")
    for command in ("run", "list", "validate"):
        assert call(command, "my_port.py") == 4
        assert "my_port.py: is Python, no case; `harness init my_port.py` writes" in capsys.readouterr().err
    Path("my_port.yaml").write_text("mine")
    assert call("run", "my_port.py") == 4
    assert "my_port.py: is Python, no case; did you mean my_port.yaml?" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["my_port.py", "my_port.py:run", "./my_port.py", "sub/../my_port.py::case"])
@pytest.mark.parametrize("command", ["run", "show", "power", "profile", "explain", "history"])
def test_the_case_that_compares_a_port_is_named(
    command: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("my_port.py").write_text("def run(case):\n    return {}\n")
    Path("my_port.yaml").write_text("settings of something else")
    Path("other.yaml").write_text("backends: [{target: 'your_my_port.py:run'}, {target: 'my_port.pyc:run'}]")
    Path("sub/far.yaml").write_text("backends: [{target: '../my_port.py:run'}]")
    Path("zz.yaml").write_text("backends:\n  - {framework: torch, target: my_port.py:run}\n")
    fakes.store(Path("reports/latest"), *fakes.green_run())
    assert call(command, word) == 4
    err = capsys.readouterr().err
    assert "my_port.py: is Python, no case; did you mean zz.yaml?" in err
    Path("aa.yml").write_text('backends: [{"target":"./my_port.py:run"}]')
    assert call(command, word) == 4
    assert "did you mean aa.yml, or 1 more that compare it?" in capsys.readouterr().err
    Path("my_port.yaml").write_text("backends: [{target: my_port.py:run}]")
    assert call(command, word) == 4
    assert "did you mean my_port.yaml, or 2 more that compare it?" in capsys.readouterr().err


def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_port.yaml").write_text("mine")
    assert call("init", "my_port.py") == 4
    assert "my_port.yaml exists already; nothing was written" in capsys.readouterr().err
    assert not Path("my_port.py").exists()
    assert Path("my_port.yaml").read_text() == "mine"


def test_a_port_is_a_python_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("init", str(tmp_path / "port.txt")) == 4
    assert "a port is a Python file" in capsys.readouterr().err
