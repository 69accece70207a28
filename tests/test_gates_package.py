"""A package brings a recurrent kind of gates that the harness has never seen: it is planned, sent, compared and explained."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from test_plugins import distribution, harness, installed

PACKAGE = Path(__file__).parent / "gates_package"
CASE = """about: A recurrent kind of two gates that other people ship.
layer: minimal_gated_unit
config: {units: 4, return_sequences: true, return_state: true}
dropout:
  - {at: input, rate: 0.25}
  - {at: state.h, rate: 0.4, shared: [time]}
inputs: {x: {shape: [3, 5, 4], fill: normal, seed: 1}, h0: {shape: [3, 4], fill: normal, seed: 5}}
weights: {fill: uniform, seed: 2}
seeds: [0, 1]
mode: MODE
matrix: {dtype: [float32, float64]}
backends: [numpy]
"""
PORTS = """about: Ports of it.
layer: minimal_gated_unit
config: {units: 4, return_sequences: true, return_state: true}
inputs: {x: {shape: [3, 5, 4], fill: normal, seed: 1}}
weights: {fill: uniform, seed: 2}
mode: eval
gradients: false
backends:
  - {name: right, framework: numpy, target: "port.py:right"}
  - {name: exchanged, framework: numpy, target: "port.py:exchanged"}
  - {name: inverted, framework: numpy, target: "port.py:inverted"}
  - {name: hard, framework: numpy, target: "port.py:hard"}
  - {name: detuned, framework: numpy, target: "port.py:detuned"}
"""
PORT = """import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def unit(case, order=(0, 1), blend=lambda f, h, n: (1.0 - f) * h + f * n, gate=sigmoid, late=0.0):
    x, kernel, recurrent, bias = (case.inputs["x"], *(case.weights[k] for k in ("kernel", "recurrent_kernel", "bias")))
    h, steps = np.zeros((x.shape[0], recurrent.shape[0]), x.dtype), []
    W, U, b = (np.split(array, 2, axis=-1) for array in (kernel, recurrent, bias))
    first, second = order
    for t in range(x.shape[1]):
        f = gate(x[:, t] @ W[first] + h @ U[first] + b[first])
        n = np.tanh(x[:, t] @ W[second] + (f * h) @ U[second] + b[second]) * (1.0 + late * (t > 1))
        h = blend(f, h, n)
        steps.append(h)
    return {"y": np.stack(steps, axis=1), "h": h}


def right(case):
    return unit(case)


def exchanged(case):
    return unit(case, order=(1, 0))


def inverted(case):
    return unit(case, blend=lambda f, h, n: f * h + (1.0 - f) * n, gate=sigmoid)


def hard(case):
    return unit(case, gate=lambda z: np.clip(z / 6.0 + 0.5, 0.0, 1.0))


def detuned(case):
    return unit(case, late=0.3)
"""


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    """A folder of sys.path with the package in it."""
    return installed(PACKAGE, "parity_gates", "parity-gates", tmp_path / "site")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder.parent / "out" / "results.csv").open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_it_is_compared_with_its_reference(mode: str, gates: Path) -> None:
    (gates.parent / "case.yaml").write_text(CASE.replace("MODE", mode), encoding="utf-8")
    done = harness(gates, "run", "case.yaml", "--out", "out", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr
    checks = {row["check"] for row in table(gates)}
    assert {f"gradient.{name}" for name in ("x", "h0", "kernel", "recurrent_kernel", "bias")} <= checks
    assert {"value.y", "value.h"} <= checks
    assert ("mask.shared" in checks) is (mode == "train")
    assert {row["verdict"] for row in table(gates)} == {"pass"}


def test_faults_in_its_ports_are_told_by_its_own_gates(gates: Path) -> None:
    (gates.parent / "case.yaml").write_text(PORTS, encoding="utf-8")
    (gates.parent / "port.py").write_text(PORT, encoding="utf-8")
    done = harness(gates, "run", "case.yaml", "--out", "out", "-q")
    assert done.returncode == 1, done.stdout + done.stderr
    rows = [row for row in table(gates) if row["check"] == "value.y"]
    causes = {row["name"]: f"{row['diagnosis']}: {row['proof']}" for row in rows}
    assert {row["name"]: row["verdict"] for row in rows} == {"right": "pass"} | dict.fromkeys(
        ("exchanged", "inverted", "hard", "detuned"), "fail"
    )
    assert "gate blocks read in the order n, f instead of f, n: explains all" in causes["exchanged"]
    assert "the forget gate f the other way round in the blend: h = f h' + (1 - f) n instead" in causes["inverted"]
    assert "gates activated with hard_sigmoid x / 6 + 0.5 (Keras 3, torch, JAX)" in causes["hard"]
    assert "no known fault gives these numbers" in causes["detuned"]
    assert "y parts at step 3 of 5" in causes["detuned"]


def test_the_list_of_layers_has_it(gates: Path) -> None:
    done = harness(gates, "layers", "minimal_gated_unit")
    assert done.returncode == 0, done.stderr
    assert "parity_gates.minimal_gated_unit" in done.stdout
    assert "(D, 2H)" in done.stdout


KIND = """from harness.layers.base import register
from parity_gates.minimal_gated_unit import MinimalGatedUnit


class Mine(MinimalGatedUnit):
    name = "mine"
    {body}


register(Mine())
"""
BAD = {
    "a typo": ('gate = ("f", "n")', "class Mine: nobody reads 'gate' (did you mean 'gates'?)"),
    "no gates": ("gates = ()", "class SimpleKind: has the states h and declares no gates: gates = (Gate("),
    "texts": ('gates = ("f", "n")', "class Mine: gates is a tuple of Gate, not ('f', 'n')"),
    "an order of other letters": ('orders = {"fx": "someone"}', "class Mine: the order 'fx' is none of the gates f, n"),
    "a missing method": ("__abstractmethods__ = frozenset({'cell'})", "class Mine: has no method cell"),
    "one name twice": (
        'name = "minimal_gated_unit"',
        "class Mine: the layer kind 'minimal_gated_unit' is registered twice: broken.kind.Mine and parity_gates.",
    ),
}


@pytest.mark.parametrize("title", BAD)
def test_a_wrong_declaration_is_one_line_with_package_and_file(title: str, gates: Path) -> None:
    body, words = BAD[title]
    (gates / "broken").mkdir()
    (gates / "broken" / "__init__.py").write_text("", encoding="utf-8")
    text = KIND.format(body=body if "abstract" not in body else "pass")
    if "abstract" in body:
        text = text.replace("\n\nregister", f"\n\nMine.{body}\nregister")
    (gates / "broken" / "kind.py").write_text(text, encoding="utf-8")
    distribution(gates, "zz-broken", "[harness.layers]\nzz = broken.kind\n")
    (gates.parent / "case.yaml").write_text(CASE.replace("MODE", "eval"), encoding="utf-8")
    done = harness(gates, "run", "case.yaml", "--out", "out", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("warning: "))
    where = "harness/layers/_simple_kind.py:" if "SimpleKind" in words else "broken/kind.py:"
    assert line.startswith(f"warning: package zz-broken: entry point zz = broken.kind in harness.layers: {where}"), line
    assert words in line
    assert "Traceback" not in done.stderr
