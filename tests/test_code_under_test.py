"""Code under test that cannot be compared fails, in every mode: nothing that was asked for and not compared ends with 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cases import load
from harness.cli import main
from harness.records import Verdict
from tests.workers import run

CASE = """
about: Code under test.
layer: dropout
config: {rate: 0.4}
inputs: {x: {shape: [6, 7, 5], fill: normal, seed: 1}}
seeds: [0, 1]
draws: %s
backends:
  - {name: port, framework: numpy, target: "port.py:run"}
  - numpy
"""
#: One mask for all time steps, where the case draws one for each.
SHARED = """
def run(case):
    x = case.inputs["x"]
    if not case.training:
        return {"y": x}
    kept = case.rng.bernoulli(1 - case.rate("input"), (x.shape[0], 1, x.shape[2]))
    return {"y": x * kept}
"""


@pytest.mark.parametrize("draws", ["native", "replay"])
def test_a_port_whose_draws_do_not_fit_the_case_fails(draws: str, tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text(CASE % draws, encoding="utf-8")
    (tmp_path / "port.py").write_text(SHARED, encoding="utf-8")
    events = run(load([tmp_path / "case.yaml"]))
    rows = [row for event in events for row in event.rows if row.name == "port"]
    failed = [row for row in rows if row.verdict is Verdict.FAIL]
    assert failed
    # What another row's failure makes void has its row, and it says so.
    assert all(row.cause.startswith("not asked, since") for row in rows if row.verdict is Verdict.UNSUPPORTED)
    if draws == "replay":
        (row,) = failed
        assert "one input mask of shape (6, 1, 5), the tape has (6, 7, 5)" in row.cause
        assert "it shares the mask over time, the case says a mask for each" in row.cause


def test_the_command_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "case.yaml").write_text(CASE % "replay", encoding="utf-8")
    (tmp_path / "port.py").write_text(SHARED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "case.yaml"]) == 1
    assert "over time" in capsys.readouterr().out
