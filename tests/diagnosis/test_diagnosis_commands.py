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


ARRAYS = "from the arrays that the run stored"


def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_arguments: object, **_options: object) -> None:
        raise AssertionError("explain started a worker")

    monkeypatch.setattr("harness.running.run", run)


def test_explain_names_the_cause_from_the_stored_arrays(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = harness("run", "case.yaml")
    assert code == 1
    assert CAUSE in out
    nothing_runs(monkeypatch)
    # Neither the port nor the case file is needed, and what they are now changes nothing.
    (tmp_path / "port.py").unlink()
    (tmp_path / "case.yaml").unlink()
    code, out, _ = harness("explain")
    assert code == 0
    assert "case.yaml  my-port" in out and ARRAYS in out
    assert f"my-port: {CAUSE}\n" in out and "explains all 3 differing arrays to within 0." in out
    assert "fix: reorder the blocks of the weights" in out
    assert out.count("explains all 3") == 1
    code, out, _ = harness("explain", "reports/latest", "case.yaml", "--backend", "my-port", "--json")
    (one,) = json.loads(out)["explanations"]
    assert one["how"] == ARRAYS
    assert {row["check"] for row in one["rows"]} >= {"value.y", "value.h", "value.c"}
    assert {row["verdict"] for row in one["rows"]} == {"fail"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_dtype_is_stored(harness: Harness, tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = "x, W, U, b = (a.astype(float) for a in (x, W, U, b))\n    h = c = "
    (tmp_path / "port.py").write_text(PORT.replace("h = c = ", wide))
    (tmp_path / "case.yaml").write_text(CASE + f"dtype: {dtype}\n")
    assert harness("run", "case.yaml")[0] == 1
    nothing_runs(monkeypatch)
    code, out, _ = harness("explain", "--backend", "my-port")
    assert code == 0 and ARRAYS in out
    assert CAUSE in out
    code, again, _ = harness("explain", "--backend", "my-port", "--json")
    rows = json.loads(again)["explanations"][0]["rows"]
    stored = json.loads(harness("explain", "--stored", "--backend", "my-port", "--json")[1])["explanations"][0]["rows"]
    assert [row["check"] for row in rows] == [row["check"] for row in stored]


def test_draws_are_stored_too(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "case.yaml").write_text(
        "about: A port that does not scale.\nlayer: dropout\nconfig: {rate: 0.3}\n"
        "inputs: {x: {shape: [4, 6, 5], fill: normal, seed: 1}}\ngradients: false\nbackends:\n"
        '  - {name: my-port, framework: numpy, target: "port.py:run"}\n'
        'expect:\n  - {backend: my-port, check: "*", reason: "as the paper has it", sometimes: true}\n'
    )
    (tmp_path / "port.py").write_text(
        "def run(case):\n    x = case.inputs['x']\n    if not case.training:\n        return {'y': x}\n"
        "    return {'y': x * case.rng.bernoulli(1.0 - case.rate('input'), x.shape)}\n"
    )
    assert harness("run", "case.yaml")[0] == 0
    nothing_runs(monkeypatch)
    out = harness("explain")[1]
    assert ARRAYS in out
    assert "explains" in out and "known: as the paper has it" in out
    assert "≈ known  my-port: survivors not scaled" in out


def test_explain_runs_again_where_it_is_told_to(harness: Harness, tmp_path: Path) -> None:
    harness("run", "case.yaml")
    code, out, _ = harness("explain", "--again")
    assert code == 0 and "run again" in out and "changed since" not in out and CAUSE in out
    (tmp_path / "port.py").write_text(PORT.replace("i, g, f, o", "i, f, g, o"))
    assert "run again: the difference is gone" in harness("explain", "--again")[1]
    (tmp_path / "case.yaml").write_text(CASE.replace("seed: 2", "seed: 3"))
    assert "from a case file that has changed since" in harness("explain", "--again")[1]
    assert harness("explain", "--again", "--stored")[0] == 4


def test_arrays_that_are_too_large_are_left_out_and_run_again(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.comparison.kept.LARGEST", 100)
    harness("run", "case.yaml")
    code, out, _ = harness("explain")
    assert code == 0
    assert "run again, as its arrays were not stored: they are 0 MiB, more than 0" in out
    assert CAUSE in out
    assert (tmp_path / "reports/latest/arrays.npz").stat().st_size < 100


def test_a_run_keeps_no_more_than_so_much(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.reporting.kept.MOST", 100)
    harness("run", "case.yaml")
    assert "its arrays were not stored: the run has kept 0 MiB already" in harness("explain")[1]


def test_changed_array_files_are_seen(harness: Harness, tmp_path: Path) -> None:
    import numpy as np

    x = np.random.default_rng(1).standard_normal((3, 5, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "case.yaml").write_text(CASE.replace("{shape: [3, 5, 2], fill: normal, seed: 1}", "{file: x.npy}"))
    harness("run", "case.yaml")
    assert ARRAYS in harness("explain")[1]
    np.save(tmp_path / "x.npy", x + np.float32(1.0))
    assert "run again, as the case's arrays are other ones now" in harness("explain")[1]
    (tmp_path / "x.npy").unlink()
    assert "the stored case cannot be read here" in harness("explain")[1] or "cannot be run" in harness("explain")[1]


def test_merged_and_resumed_runs_keep_their_arrays(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.yaml").write_text(CASE.replace("seed: 2", "seed: 3"))
    for part in "12":
        harness("run", "case.yaml", "other.yaml", "--shard", f"{part}/2", "--out", f"part{part}")
    harness("merge", "part2", "part1", "--out", "all")
    harness("run", "case.yaml", "other.yaml", "--out", "all", "--resume")
    nothing_runs(monkeypatch)
    out = harness("explain", "all")[1]
    assert out.count(ARRAYS) == 2 and out.count(CAUSE) >= 2


def test_what_passes_stores_no_arrays(harness: Harness, tmp_path: Path) -> None:
    from harness.reporting.store import read

    harness("run", "case.yaml", "--backend", "numpy.lstm")

    assert [case["kept"] for case in read("reports/latest").cases] == [[]]


def test_explain_falls_back_on_what_was_stored(harness: Harness, tmp_path: Path) -> None:
    harness("run", "case.yaml")
    code, out, _ = harness("explain", "--stored")
    assert code == 0 and "as the run stored it" in out and CAUSE in out
    (tmp_path / "case.yaml").write_text(
        CASE.replace('\n  - {name: my-port, framework: numpy, target: "port.py:run"}', "")
    )
    code, out, _ = harness("explain", "--again")
    assert "it cannot be run here: the case has it no more" in out and CAUSE in out
    (tmp_path / "case.yaml").unlink()
    code, out, _ = harness("explain", "--again")
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
