"""`gradients: inputs`: a port that copies the case's weights into a layer of its own is compared as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cases import load
from harness.diagnosis.power import power
from harness.diagnosis.power_key import key
from harness.power import Power
from harness.records import Row, Verdict
from tests.workers import run

CASE = """about: A port that copies the weights.
layer: lstm
config: {units: 6, return_sequences: true}
dropout: [{at: output, rate: 0.4}]
inputs: {x: {shape: [4, 7, 5], fill: normal, seed: 1}}
weights: {fill: uniform, seed: 2}
gradients: WHICH
backends:
  - {name: right, framework: torch, target: "port.py:run"}
  - {name: wrong, framework: torch, target: "port.py:cuts"}
"""
PORT = """import torch


def run(case):
    w = case.weights
    layer = torch.nn.LSTM(5, 6, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(w["kernel"].T)
        layer.weight_hh_l0.copy_(w["recurrent_kernel"].T)
        layer.bias_ih_l0.copy_(w["bias"])
        layer.bias_hh_l0.zero_()
    y, _ = layer(case.inputs["x"])
    return {"y": torch.nn.functional.dropout(y, case.rate("output"), case.training)}


def cuts(case):
    found = run(case)
    return {"y": found["y"] + (case.inputs["x"] - case.inputs["x"].detach()).sum()}
"""
WEIGHTS = {"gradient.kernel", "gradient.recurrent_kernel", "gradient.bias"}


def rows(folder: Path, which: str) -> dict[str, list[Row]]:
    pytest.importorskip("torch")
    (folder / "port.py").write_text(PORT, encoding="utf-8")
    (folder / "case.yaml").write_text(CASE.replace("WHICH", which), encoding="utf-8")
    return {found.backend.label: list(found.rows) for found in run(load([folder / "case.yaml"]))}


def test_gradients_of_the_inputs_are_compared_and_those_of_the_weights_say_that_they_are_not(tmp_path: Path) -> None:
    found = rows(tmp_path, "inputs")
    right = {row.check: row for row in found["right"] if row.verdict is not Verdict.PASS}
    assert set(right) == WEIGHTS
    for row in right.values():
        assert row.verdict is Verdict.UNSUPPORTED
        assert row.cause == "not asked: the case compares the gradients of its inputs alone"
    assert "gradient.x" in {row.check for row in found["right"]}
    wrong = {row.check for row in found["wrong"] if row.verdict is Verdict.FAIL}
    assert "gradient.x" in wrong
    assert not wrong & WEIGHTS


def test_without_it_the_row_says_how_to_ask_so(tmp_path: Path) -> None:
    found = {row.check: row for row in rows(tmp_path, "true")["right"]}
    assert {name for name, row in found.items() if row.verdict is Verdict.FAIL} >= WEIGHTS
    assert "`gradients: inputs`" in found["gradient.kernel"].fix


def test_what_is_not_compared_notices_nothing(tmp_path: Path) -> None:
    def powers(which: str) -> tuple[str, dict[str, Power]]:
        text = CASE.replace("WHICH", which).partition("backends:")[0] + "backends: [numpy]\n"
        (tmp_path / "case.yaml").write_text(text, encoding="utf-8")
        (variant,) = load([tmp_path / "case.yaml"])
        return key(variant), {one.fault: one for one in power(variant)}

    (all_key, of_all), (inputs_key, of_inputs) = powers("true"), powers("inputs")
    assert all_key != inputs_key
    assert {one.by for one in of_all.values()} & WEIGHTS
    assert not {one.by for one in of_inputs.values()} & WEIGHTS
    stopped = "gradient.stopped weights"
    assert of_all[stopped].noticed
    assert not of_inputs[stopped].noticed


def test_where_no_input_has_a_gradient_none_is_owed(tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text(
        "about: a\nlayer: embedding\nconfig: {vocabulary: 6, features: 3}\ngradients: inputs\n"
        "inputs: {x: {shape: [2, 3], fill: integers, low: 0, high: 5}}\nweights: {fill: uniform, seed: 2}\n"
        "backends: [numpy]\n",
        encoding="utf-8",
    )
    (found,) = run(load([tmp_path / "case.yaml"]))
    verdicts = {row.check: row.verdict for row in found.rows}
    assert verdicts.pop("gradient.embedding") is Verdict.UNSUPPORTED
    assert "repeat.gradient" not in verdicts
    assert set(verdicts.values()) == {Verdict.PASS}
