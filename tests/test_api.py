"""The Python API means what the command line means."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.cases import load
from harness.cli import main
from harness.errors import UserError
from harness.reporting.notebook import matrix
from harness.reporting.store import read

CASE: dict[str, Any] = {
    "about": "Dropout in NumPy.",
    "layer": "dropout",
    "config": {"rate": "{rate}"},
    "inputs": {"x": {"shape": [4, 8], "fill": "normal", "seed": 1}},
    "matrix": {"rate": [0.25, 0.5]},
    "backends": ["numpy"],
}
PORT = """def run(case):
    x = case.inputs["x"]
    keep = x.dtype.type(1.0 - case.config["rate"])
    kept = case.rng.bernoulli(keep, x.shape) if case.training else x == x
    return {"y": x * kept / (keep if case.training else 1) * x.dtype.type(FACTOR)}
"""
YAML = """about: A port of dropout.
layer: dropout
config: {rate: 0.5}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
gradients: false
backends:
  - numpy
  - {name: my-port, framework: numpy, target: "port.py:run"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`cases` with a right port and a wrong one."""
    monkeypatch.chdir(tmp_path)
    for name, factor in (("right", "1"), ("wrong", "1.5")):
        place = tmp_path / "cases" / name
        place.mkdir(parents=True)
        (place / "case.yaml").write_text(YAML)
        (place / "port.py").write_text(PORT.replace("FACTOR", factor))
    return tmp_path


def test_a_stored_run_has_the_program_that_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/of/mine/study.py", "--rate", "0.5"])
    case = {"about": "Dropout.", "layer": "dropout", "config": {"rate": 0.5}, "backends": ["numpy"]}
    case["inputs"] = {"x": {"shape": [2, 3], "fill": "normal", "seed": 1}}
    harness.run(case, out=tmp_path)
    assert read(tmp_path).meta["command"] == ["study.py", "--rate", "0.5"]
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    harness.run(case, out=tmp_path)
    assert read(tmp_path).meta["command"] == ["study.py"]


def test_a_run_is_what_the_command_line_stores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = harness.run("cases", out="reports/python")
    assert main(["run", "cases", "--out", "reports/shell"]) == result.exit_code == 1
    printed = capsys.readouterr().out
    assert printed.startswith(result.summary)
    assert "cases/wrong/case.yaml:8:5" in result.summary
    own = ["case", "name", "check", "verdict", "measured", "limit", "cause", "where", "place"]
    shell = read("reports/shell").frame()
    assert result.frame[own].equals(shell[own])
    assert read("reports/python").frame()[own].equals(shell[own])
    assert (folder / "reports/python/report.html").exists()
    assert set(result.frame.query("verdict == 'fail'")["name"]) == {"my-port"}


def test_selection_is_that_of_the_command_line(folder: Path) -> None:
    result = harness.run("cases", backend="my-port", expression="right")
    assert {(row.case, row.name) for row in result.rows} == {("cases/right/case.yaml", "my-port")}
    assert result.exit_code == 0
    assert not (folder / "reports").exists()
    assert main(["run", "cases", "--backend", "my-port", "-k", "right"]) == 0


def test_variants_paths_and_mappings_may_be_mixed(folder: Path) -> None:
    (variant,) = load([Path("cases/right")])
    with harness.Runner() as runner:
        result = harness.run([variant, Path("cases/wrong/case.yaml"), CASE], runner=runner, timeout=100)
        again = harness.run(CASE, runner=runner)
    assert list(dict.fromkeys(row.case for row in result.rows)) == [
        "cases/right/case.yaml",
        "cases/wrong/case.yaml",
        "inline-3::[rate=0.25]",
        "inline-3::[rate=0.5]",
    ]
    assert again.exit_code == 0
    assert {row.case for row in again.rows} == {"inline::[rate=0.25]", "inline::[rate=0.5]"}


def test_a_mapping_may_hold_arrays_and_sees_files_from_its_folder(folder: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5))
    case = CASE | {
        "matrix": None,
        "config": {"rate": np.float64(0.5)},
        "inputs": {"x": x},
        "gradients": False,
        "backends": [{"name": "p", "framework": "numpy", "target": Path("port.py:run")}],
    }
    del case["matrix"]
    assert harness.run(case, folder="cases/right").exit_code == 0
    assert harness.run(case, folder="cases/wrong").exit_code == 1


def test_assert_parity_returns_what_passed_and_names_every_difference(folder: Path) -> None:
    assert len(harness.assert_parity("cases/right").rows) > 10
    with pytest.raises(AssertionError) as raised:
        harness.assert_parity(["cases/right", "cases/wrong"])
    message = str(raised.value)
    failing = [row for row in harness.run("cases/wrong").rows if row.verdict == "fail"]
    assert failing
    assert message.count("✕ fail  my-port: ") == len({row.diagnosis or row.cause for row in failing})
    for row in failing:
        assert row.check in message
    assert "cases/wrong/case.yaml:8:5" in message
    assert "cases/right" not in message


def test_nothing_compared_is_no_parity(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert harness.run("cases", expression="nothing").exit_code == 5
    with pytest.raises(AssertionError, match="no case was selected"):
        harness.assert_parity("cases", expression="nothing")
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(folder / "none"))
    absent = CASE | {"backends": [{"tensorflow": "tf.nn.dropout", "environment": "tf1.8"}]}
    assert harness.run(absent).exit_code == 10
    with pytest.raises(AssertionError, match=r"A backend could not be run\."):
        harness.assert_parity(absent)


@pytest.mark.parametrize(
    ("cases", "options", "message"),
    [
        (CASE | {"layer": "droput"}, {}, "inline:.*did you mean 'dropout'"),
        ([CASE | {"seeds": []}, CASE | {"layer": "droput"}], {}, "(?s)inline-1:.*inline-2:"),
        (CASE | {"about": {1, 2}}, {}, "cannot be written as a case file"),
        ("nowhere", {}, "no such file or folder"),
        (CASE, {"backend": "nunpy"}, "did you mean 'numpy'"),
        (CASE, {"history": "h.sqlite"}, "only a run with a folder"),
        (CASE, {"jobs": 1, "runner": harness.Runner()}, "has its own"),
    ],
)
def test_usage(folder: Path, cases: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        harness.run(cases, **options)


def test_importing_the_package_imports_nothing_but_its_version() -> None:
    script = (
        "import sys; before = set(sys.modules); import harness; "
        "assert set(sys.modules) - before == {'harness', 'harness.version'}, set(sys.modules) - before; "
        "from harness import run, assert_parity; assert callable(run) and harness.run is run; "
        "assert not {'torch', 'tensorflow', 'jax', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[1])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        harness.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_result_shows_itself_in_ten_lines(folder: Path) -> None:
    wrong = harness.run("cases/wrong")
    assert repr(wrong) == wrong.summary and len(repr(wrong).splitlines()) <= 10
    assert "✕ fail  my-port: " in repr(wrong) and repr(wrong).endswith("The backends differ.")
    long = dataclasses.replace(wrong, summary="\n".join(map(str, range(40))))
    assert repr(long).splitlines() == [*"012345", "… 31 more lines: print(result.summary)", "37", "38", "39"]


def test_a_notebook_shows_the_worst_verdict_of_each_case_and_implementation(folder: Path) -> None:
    page = harness.run("cases")._repr_html_()
    lines = re.findall(r"<tr>(.*?)</tr>", page)
    assert [re.findall(r"<th[^>]*>(.*?)</th>", line)[0] for line in lines[1:]] == [
        "cases/wrong/case.yaml",
        "cases/right/case.yaml",
    ]
    assert "✕ fail</td>" in lines[1] and "✕ fail" not in lines[2]
    assert 'title="value.y: ' in lines[1] or 'title="scale.' in lines[1]
    assert matrix((), "<b>") == "<pre>&lt;b&gt;</pre>"
    hostile = dataclasses.replace(harness.run("cases/right").rows[0], case="<script>", name="\"'><b>")
    assert "<script>" not in matrix((hostile,), "") and "<b>" not in matrix((hostile,), "")


def test_dir_lists_the_api() -> None:
    assert dir(harness) == ["Result", "Runner", "__version__", "assert_parity", "pair", "run"]
    assert all(getattr(harness, name) is not None for name in dir(harness))
