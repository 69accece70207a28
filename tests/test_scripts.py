"""The scripts beside the package: what CI forgives, and what it never does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from harness.environments import building
from tests.reporting import fakes

ROOT = Path(__file__).parent.parent
CASE = "cases/legacy/wrapper.yaml"


def script(name: str) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(folder: Path, environment: str) -> str:
    """A stored run whose only row says that TensorFlow could not be run in an environment."""
    case = fakes.variant(CASE, backends=("tensorflow: tf.contrib.rnn.LSTMCell",))
    label = "tensorflow: tf.contrib.rnn.LSTMCell"
    row = fakes.row(case, label, "backend.available", "error", environment=environment, cause="cannot be imported")
    return str(fakes.store(folder, [case], [fakes.compared(case, label, row)]))


@pytest.mark.parametrize(
    ("environment", "problem", "code", "said"),
    [
        ("tf1.8", "no Python 3.6 on this machine", 0, "left out: tf1.8: tensorflow: no Python 3.6"),
        ("tf1.8", "environment 'tf1.8' has not been created", 1, "not run: tf1.8: tensorflow: environment"),
        ("tf1.8", "", 1, "not run: tf1.8: tensorflow: cannot be imported"),
        ("", "no Python 3.6 on this machine", 1, "not run: here: tensorflow: cannot be imported"),
    ],
)
def test_only_a_missing_interpreter_is_forgiven(
    environment: str,
    problem: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script("not_run")
    monkeypatch.setattr(module, "problem", lambda _name: problem)
    assert module.main(stored(tmp_path / "run", environment)) == code
    assert said in capsys.readouterr().err


def test_a_run_without_anything_missing_does_not_explain_an_exit_code_of_10(tmp_path: Path) -> None:
    assert script("not_run").main(str(fakes.store(tmp_path / "run", *fakes.green_run()))) == 1


def test_the_words_for_a_missing_interpreter_are_those_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path))
    monkeypatch.setattr(building, "find_interpreters", list)
    assert building.problem("tf1.8").startswith(script("not_run").FORGIVEN)


def test_ci_requires_every_framework_that_the_extras_install() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r'^everything="([^"]+)"', text, re.MULTILINE)
    assert found is not None
    needed = {"chromium", "tensorflow", "tf_keras", "torch", "jax", "flax", "equinox", "keras", "numba", "pyarrow"}
    assert needed <= set(found[1].split(","))
    assert "HARNESS_REQUIRE" in text
