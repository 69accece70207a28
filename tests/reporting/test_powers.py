"""`power.json`: written and read again, kept while a case stays the same, and never shown for another one."""

import json
import math

import pytest

from harness.cli import make
from harness.commands.guard import guarded
from harness.power import NOTICED, Power
from harness.reporting import powers
from harness.reporting.powers import CasePower
from harness.reporting.store import read

CASE = """about: A plain layer.
layer: lstm
config: {units: 3, return_sequences: true}
inputs: {x: {shape: [2, 3, 2], fill: normal, seed: 1}}
weights: {WEIGHTS}
gradients: false
backends: [numpy]
matrix: {dtype: [float32, float64]}
"""


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.yaml").write_text(CASE.replace("WEIGHTS", "fill: uniform, seed: 2"))

    def call(*arguments):
        code = guarded(make(), list(arguments))
        out, err = capsys.readouterr()
        return int(code), out, err

    return call


@pytest.fixture
def counted(monkeypatch):
    """Which cases were measured, rather than taken from the file."""
    from harness.diagnosis import power as module

    seen = []
    measured = module.power

    def power(variant):
        seen.append(variant.id)
        return measured(variant)

    monkeypatch.setattr(module, "power", power)
    return seen


def test_what_is_written_is_read_again(tmp_path):
    faults = (
        Power("a", "cause a", 123.456789, "value.y"),
        Power("b", "cause b", math.inf, "gradient.x"),
        Power("c", "cause c", 0.0, ""),
        Power("d", "barely", NOTICED + 1e-9, "value.y"),
    )
    powers.write(tmp_path, [CasePower("x.yaml", "11", "22", faults), CasePower("y.yaml", "33", "44", faults[:1])])
    found = powers.read(tmp_path)
    assert list(found) == ["x.yaml", "y.yaml"]
    one = found["x.yaml"]
    assert (one.source, one.key) == ("11", "22")
    assert [power.fault for power in one.missed] == ["c"]
    assert [(power.ratio, power.by) for power in one.faults[:2]] == [(123.5, "value.y"), (math.inf, "gradient.x")]
    assert one.faults[1].by_gradient_alone
    json.loads((tmp_path / "power.json").read_text(), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "parity-harness power file", "version": 2}'])
def test_a_file_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "power.json").write_text(text)
    assert powers.read(tmp_path) == {}


def test_run_measures_once_and_report_shows_the_same(harness, counted, tmp_path):
    assert harness("run", "case.yaml", "--power")[0] == 0
    assert len(counted) == 2
    found = powers.of_run(read("reports/latest"))
    assert list(found) == ["case.yaml::[dtype=float32]", "case.yaml::[dtype=float64]"]
    names = {one.fault for one in found["case.yaml::[dtype=float32]"].faults}
    assert "layout.transposed recurrent_kernel" in names
    assert all(not one.missed or one.missed[0].ratio <= NOTICED for one in found.values())
    # The same case again costs nothing, also after a run without it.
    assert harness("run", "case.yaml")[0] == 0
    assert list(powers.of_run(read("reports/latest"))) == list(found)
    assert harness("report", "--power")[0] == 0
    assert len(counted) == 2
    # Other words about it change nothing; other weights do.
    path = tmp_path / "case.yaml"
    path.write_text(path.read_text().replace("plain", "very plain"))
    assert harness("run", "case.yaml", "--power")[0] == 0
    assert len(counted) == 2
    path.write_text(CASE.replace("WEIGHTS", "fill: zeros"))
    assert harness("run", "case.yaml")[0] == 0
    assert powers.of_run(read("reports/latest")) == {}
    assert harness("report", "--power")[0] == 0
    assert len(counted) == 4
    missed = powers.of_run(read("reports/latest"))["case.yaml::[dtype=float32]"].missed
    assert "layout.transposed recurrent_kernel" in {one.fault for one in missed}


def test_report_leaves_out_a_case_that_has_changed_since(harness, tmp_path):
    assert harness("run", "case.yaml")[0] == 0
    (tmp_path / "case.yaml").write_text(CASE.replace("WEIGHTS", "fill: zeros"))
    code, _, err = harness("report", "--power")
    assert code == 0
    assert "case.yaml: its power was not measured: the file has changed since the run" in err
    assert powers.of_run(read("reports/latest")) == {}


def test_merged_shards_keep_theirs(harness, tmp_path):
    for part in ("1/2", "2/2"):
        assert harness("run", "case.yaml", "--power", "--shard", part, "--out", f"part{part[0]}")[0] == 0
    assert harness("merge", "part1", "part2", "--out", "all")[0] == 0
    assert list(powers.of_run(read("all"))) == ["case.yaml::[dtype=float32]", "case.yaml::[dtype=float64]"]


def test_an_array_file_is_part_of_the_key(tmp_path):
    import dataclasses

    import numpy as np

    from harness.diagnosis.power_key import key
    from tests.reporting import fakes

    case = fakes.variant()
    assert key(case) == key(dataclasses.replace(case, about="other", backends=(), expect=()))
    assert key(case) != key(dataclasses.replace(case, tolerance={"value": 2.0}))
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(3))
    spec = dataclasses.replace(case.inputs["x"], fill="", file=str(path))
    with_file = dataclasses.replace(case, inputs={"x": spec})
    first = key(with_file)
    assert first == key(with_file) != key(case)
    np.save(path, np.ones(3))
    assert key(with_file) != first
