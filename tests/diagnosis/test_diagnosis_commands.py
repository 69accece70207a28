"""`harness explain` and `harness power`, on a port in NumPy that runs in a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import make
from harness.commands.guard import guarded

CASE = """about: A port whose gates are in TensorFlow 1's order.
layer: lstm
config: {units: 4, return_sequences: true, return_state: true}
inputs: {x: {shape: [3, 5, 2], fill: normal, seed: 1}}
weights: {fill: uniform, seed: 2}
gradients: false
backends:
  - numpy
  - {name: my-port, framework: numpy, target: "port.py:run"}
"""
PORT = """import numpy as np


def run(case):
    x, W, U, b = case.inputs["x"], *(case.weights[k] for k in ("kernel", "recurrent_kernel", "bias"))
    h = c = np.zeros((3, 4), x.dtype)
    ys = []
    for t in range(5):
        i, g, f, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        ys.append(h)
    return {"y": np.stack(ys, 1), "h": h, "c": c}
"""
CAUSE = "gate blocks read in the order i, g, f, o instead of i, f, g, o, as in TensorFlow 1 and Haiku"
Harness = Callable[..., tuple[int, str, str]]


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Harness:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.yaml").write_text(CASE)
    (tmp_path / "port.py").write_text(PORT)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = guarded(make(), list(arguments))
        out, err = capsys.readouterr()
        return int(code), out, err

    return call


def test_explain_runs_again_and_names_the_cause(harness: Harness, tmp_path: Path) -> None:
    code, out, _ = harness("run", "case.yaml")
    assert code == 1
    assert CAUSE in out
    code, out, _ = harness("explain")
    assert code == 0
    assert "case.yaml  my-port" in out and "run again" in out and "changed since" not in out
    assert f"{CAUSE}: explains all 3 differing arrays to within 0." in out
    assert "fix: reorder the blocks of the weights" in out
    code, out, _ = harness("explain", "reports/latest", "case.yaml", "--backend", "my-port", "--json")
    (one,) = json.loads(out)["explanations"]
    assert one["how"] == "run again"
    assert {row["check"] for row in one["rows"]} >= {"value.y", "value.h", "value.c"}
    (tmp_path / "port.py").write_text(PORT.replace("i, g, f, o", "i, f, g, o"))
    assert "run again: the difference is gone" in harness("explain")[1]
    (tmp_path / "case.yaml").write_text(CASE.replace("seed: 2", "seed: 3"))
    assert "from a case file that has changed since" in harness("explain")[1]


def test_explain_falls_back_on_what_was_stored(harness: Harness, tmp_path: Path) -> None:
    harness("run", "case.yaml")
    code, out, _ = harness("explain", "--stored")
    assert code == 0 and "as the run stored it" in out and CAUSE in out
    (tmp_path / "case.yaml").write_text(
        CASE.replace('\n  - {name: my-port, framework: numpy, target: "port.py:run"}', "")
    )
    code, out, _ = harness("explain")
    assert "it cannot be run here: the case has it no more" in out and CAUSE in out
    (tmp_path / "case.yaml").unlink()
    code, out, _ = harness("explain")
    assert code == 0 and "it cannot be run again" in out and CAUSE in out


def test_explain_with_nothing_to_explain(harness: Harness) -> None:
    assert harness("run", "case.yaml", "--backend", "numpy.*")[0] in (0, 5)
    harness("run", "case.yaml", "--backend", "numpy")
    code, out, err = harness("explain", "reports/latest", "--backend", "torch")
    assert (code, out) == (5, "") and "nothing to explain" in err
    code, _, err = harness("explain", "reports/latest", "cases.yaml")
    assert code == 4 and "no case of this run" in err and "case.yaml" in err


def test_power_lists_what_a_case_hides(harness: Harness, tmp_path: Path) -> None:
    code, out, _ = harness("power", "case.yaml")
    assert code == 0 and "NOT noticed" not in out
    (tmp_path / "blind.yaml").write_text(CASE.replace("{fill: uniform, seed: 2}", "{fill: constant, value: 0.2}"))
    code, out, _ = harness("power", "blind.yaml")
    assert code == 0
    assert "NOT noticed: recurrent kernel of each gate transposed  [layout.transposed recurrent_kernel]" in out
    code, out, _ = harness("power", "blind.yaml", "-v")
    assert "noticed by value." in out
    code, out, _ = harness("power", "blind.yaml", "case.yaml")
    assert "Together they notice every fault." in out
    code, out, _ = harness("power", "blind.yaml", "--json")
    faults = {one["fault"]: one for one in json.loads(out)["cases"][0]["faults"]}
    assert faults["layout.transposed recurrent_kernel"]["noticed"] is False
    assert faults["bias.doubled"]["noticed"] is True and faults["bias.doubled"]["by"].startswith("value.")


def test_power_with_nothing_selected(harness: Harness) -> None:
    code, _, err = harness("power", "case.yaml", "-k", "nothing")
    assert code == 5 and "nothing selected" in err
