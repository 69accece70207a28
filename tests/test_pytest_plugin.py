"""The pytest plugin, in a pytest of its own: what it collects, how a case ends, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.pytest_plugin import is_case
from harness.reporting.store import read
from harness.reporting.summary import headline

ROOT = Path(__file__).parents[1]
DROPOUT = """about: Dropout in NumPy.
layer: dropout
config: {rate: "{rate}"}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
matrix: {rate: [0.25, 0.5]}
tags: [quick, skip]
backends: [numpy]
"""
LSTM = """about: A small LSTM.
layer: lstm
config: {units: 3, return_sequences: true, return_state: true}
dropout: [{at: output, rate: 0.4}]
inputs: {x: {shape: [2, 3, 4], fill: normal, seed: 1}}
gradients: false
backends:
  - {name: wrong-port, framework: numpy, target: "wrong.py:run"}
  - numpy
"""
WRONG = """import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def run(case):
    x = case.inputs["x"]
    h = c = np.zeros((len(x), 3), x.dtype)
    steps = []
    for t in range(x.shape[1]):
        z = x[:, t] @ case.weights["kernel"] + h @ case.weights["recurrent_kernel"] + case.weights["bias"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        steps.append(h)
    y = np.stack(steps, axis=1)
    keep = x.dtype.type(1.0 - case.rate("output"))
    if keep < 1.0:
        y = y * case.rng.bernoulli(keep, y.shape)  # the fault: survivors are not divided by the keep probability
    return {"y": y, "h": h, "c": c}
"""
KNOWN = """expect:
  - {backend: wrong-port, check: "value.y", reason: survivors are not scaled}
  - {backend: wrong-port, check: "scale.*", reason: survivors are not scaled}
"""
HEAVY = """about: Complex steps would take minutes.
layer: lstm
config: {units: 256}
inputs: {x: {shape: [64, 64, 256], fill: normal, seed: 1}}
backends: [numpy]
"""
GONE = """about: An environment that nobody has built.
layer: dropout
config: {rate: 0.5}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
backends: [{tensorflow: tf.nn.dropout, environment: tf1.8}]
"""
BROKEN = """about: Two mistakes.
layer: dropout
config: {rate: 1.5}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
backends: [nunpy]
"""
FOREIGN = "layer: 3\nservices: {web: {image: nginx}}\n"


def call(folder: Path, *words: str, plugins: tuple[str, ...] = ("harness.pytest_plugin",)) -> tuple[int, str]:
    """Run pytest in a folder with no plugin but ours: (exit code, what it printed)."""
    chosen = [part for name in plugins for part in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *chosen, "--strict-markers", *words],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
            "HARNESS_ENVIRONMENTS": str(folder / "none"),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "pytest.ini").touch()
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("project"),
        {
            "cases/drop.yaml": DROPOUT,
            "cases/port.yaml": LSTM,
            "cases/known.yaml": LSTM + KNOWN,
            "cases/wrong.py": WRONG,
            "cases/heavy.yaml": HEAVY,
            "cases/gone.yaml": GONE,
            "cases/compose.yaml": FOREIGN,
            "other.yaml": FOREIGN,
            "elsewhere/drop.yaml": DROPOUT,
        },
    )


@pytest.fixture(scope="module")
def whole(project: Path) -> tuple[int, str]:
    return call(project, "-v", "-rA", "--junitxml=junit.xml")


ENDS = {
    "cases/drop.yaml::numpy:numpy.dropout[rate=0.25]": "PASSED",
    "cases/drop.yaml::numpy:numpy.dropout[rate=0.5]": "PASSED",
    "cases/gone.yaml::tensorflow:tf.nn.dropout-@tf1.8": "FAILED",
    "cases/heavy.yaml::numpy:numpy.lstm": "SKIPPED",
    "cases/known.yaml::wrong-port": "PASSED",
    "cases/known.yaml::numpy:numpy.lstm": "PASSED",
    "cases/port.yaml::wrong-port": "FAILED",
    "cases/port.yaml::numpy:numpy.lstm": "PASSED",
}


def ends(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S+\.yaml::\S+) (PASSED|FAILED|SKIPPED)\b", output, re.MULTILINE))


def test_every_case_and_nothing_else_is_an_item(whole: tuple[int, str]) -> None:
    code, output = whole
    assert ends(output) == ENDS
    assert code == 1
    assert "2 failed, 5 passed, 1 skipped" in output


def test_a_failure_names_check_figures_cause_place_and_command_without_a_traceback(whole: tuple[int, str]) -> None:
    _, output = whole
    report = output.partition("___ port.yaml: wrong-port ___")[2].partition("\n___")[0].partition("\n===")[0]
    assert (
        "\n  ✕ fail  survivors not scaled at output\n      fix: divide the survivors by the keep probability" in report
    )
    assert report.count("survivors not scaled at output") == 2, "once in the first line, once above its checks"
    assert re.search(r"\d checks in cases/port\.yaml: value\.y, .*scale\.survivors", report)
    assert re.search(r"worst: value\.y: [\d.e-]+ > [\d.e-]+ absolute at \[.*\(seed 0\)", report)
    assert "FAILED cases/port.yaml::wrong-port - fail: survivors not scaled at output" in output
    assert "cases/port.yaml:8:5: wrong-port in cases/port.yaml" in report
    assert "again: harness run cases/port.yaml --backend wrong-port" in report
    assert "Traceback" not in output
    assert "pytest_items.py" not in output


def test_a_missing_backend_fails_and_what_cannot_be_expressed_is_skipped_with_its_reason(
    whole: tuple[int, str],
) -> None:
    _, output = whole
    assert re.search(r"FAILED cases/gone.yaml\S+ - error: backend\.available: ", output)
    assert re.search(r"SKIPPED \[1\] cases/heavy\.yaml:5: unsupported: complex steps", output)


def test_junit_xml_says_what_was_known(whole: tuple[int, str], project: Path) -> None:
    tests = {
        (one.get("classname"), one.get("name")): [(p.get("name"), p.get("value")) for p in one.iter("property")]
        for one in ElementTree.parse(project / "junit.xml").iter("testcase")
    }
    assert len(tests) == len(ENDS)
    known = tests["cases.known.yaml", "wrong-port"]
    assert ("parity", "known") in known
    assert ("known", "value.y: survivors are not scaled") in known
    assert tests["cases.port.yaml", "wrong-port"] == [("parity", "fail")]
    assert tests["cases.heavy.yaml", "numpy:numpy.lstm"] == [("parity", "unsupported")]
    assert "≈ known  value.y" in whole[1]


def test_last_failed_stop_at_the_first_and_one_id(whole: tuple[int, str], project: Path) -> None:
    code, output = call(project, "-v", "--lf", "-x")
    assert ends(output) == {"cases/gone.yaml::tensorflow:tf.nn.dropout-@tf1.8": "FAILED"}
    assert code == 1
    one = "cases/drop.yaml::numpy:numpy.dropout[rate=0.5]"
    assert ends(call(project, "-v", one)[1]) == {one: "PASSED"}


@pytest.fixture
def bracketed(tmp_path: Path) -> Path:
    """Four variants of an implementation that differs in each, and whose name has brackets and colons."""
    text = DROPOUT.replace("[numpy]", "[numpy, {name: 'mine [old] (x::y)', framework: numpy, target: 'port.py:run'}]")
    port = "def run(case):\n    return {'y': case.inputs['x']}\n"
    return write(tmp_path, {"cases/drop.yaml": text + "gradients: false\n", "cases/port.py": port})


def test_stepwise_goes_on_at_an_id_with_brackets(bracketed: Path) -> None:
    first, second = (f"cases/drop.yaml::mine-(old)-(x:y)[rate={rate}]" for rate in ("0.25", "0.5"))
    right = [f"cases/drop.yaml::numpy:numpy.dropout[rate={rate}]" for rate in ("0.25", "0.5")]
    assert ends(call(bracketed, "-v", "--sw")[1]) == {right[0]: "PASSED", first: "FAILED"}
    code, output = call(bracketed, "-v", "--sw")
    assert ends(output) == {first: "FAILED"}, "what passed before is not run again"
    assert "skipping 1 already passed items" in output
    assert code == 2
    assert ends(call(bracketed, "-v", "--sw", "--sw-skip")[1]) == {
        first: "FAILED",
        right[1]: "PASSED",
        second: "FAILED",
    }


def test_ids_with_brackets_are_chosen_one_by_one_and_by_last_failed(bracketed: Path) -> None:
    ids = [f"cases/drop.yaml::mine-(old)-(x:y)[rate={rate}]" for rate in ("0.25", "0.5")]
    assert ends(call(bracketed, "-v", ids[1])[1]) == {ids[1]: "FAILED"}
    assert set(ends(call(bracketed, "-v", ids[0].partition("[")[0])[1])) == set(ids)
    call(bracketed)
    assert set(ends(call(bracketed, "-v", "--lf")[1])) == set(ids)


def test_the_short_summary_has_the_cause_alone_where_ci_is_set_too(
    bracketed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    _, output = call(bracketed, "-q")
    short = output.partition("short test summary info")[2].splitlines()
    told = [line for line in short if line.startswith("FAILED ")]
    assert len(told) == 2
    assert all(re.search(r" - fail: \S", line) for line in told)
    assert not any("again: harness run" in line for line in short)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("-k", "numpy.dropout and 0.5"), 1),
        (("-m", "lstm and not tensorflow"), 5),
        (("-m", "quick and parity", "-k", "skip"), 2),
        (("cases/drop.yaml::numpy:numpy.dropout",), 2),
        (("--harness-backend", "wrong-port"), 2),
        (("elsewhere/drop.yaml",), 2),
    ],
)
def test_selection(project: Path, words: tuple[str, ...], count: int) -> None:
    _, output = call(project, "--collect-only", "-q", *words)
    assert len(re.findall(r"^\S+\.yaml::", output, re.MULTILINE)) == count


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_xdist_ends_every_case_the_same(whole: tuple[int, str], project: Path) -> None:
    code, output = call(project, "-n2", "-v", "-ra", plugins=("harness.pytest_plugin", "xdist"))
    found = re.findall(r"^\[gw\d\] \[ *\d+%\] (PASSED|FAILED|SKIPPED) (\S+)", output, re.MULTILINE)
    assert {name: end for end, name in found} == ENDS
    assert code == 1
    assert "✕ fail  survivors not scaled at output" in output


def test_what_is_wrong_with_a_case_is_told_with_its_places(tmp_path: Path) -> None:
    code, output = call(write(tmp_path, {"cases/broken.yaml": BROKEN, "cases/drop.yaml": DROPOUT}))
    assert code == 2
    assert re.search(r"^cases/broken\.yaml:3:16: .*rate", output, re.MULTILINE)
    assert re.search(r"^cases/broken\.yaml:5:12: .*did you mean 'numpy'", output, re.MULTILINE)
    assert "Traceback" not in output
    assert "in collect" not in output


def test_passing_on_nothing_is_no_pass(tmp_path: Path) -> None:
    code, output = call(write(tmp_path, {"cases/heavy.yaml": HEAVY}))
    assert code == 10
    assert "nothing was compared" in output
    assert "1 skipped" in output


INLINE = {
    "about": "x",
    "layer": "lstm",
    "config": {"units": 3, "return_sequences": True, "return_state": True},
    "dropout": [{"at": "output", "rate": 0.4}],
    "inputs": {"x": {"shape": [2, 3, 4], "fill": "normal", "seed": 1}},
    "gradients": False,
    "backends": ["numpy"],
}
OWN = f"""import gc, subprocess, sys

CASE = {INLINE!r}

def test_a_path_beside_the_test(parity):
    assert len(parity("some/drop.yaml").frame) == 22

def test_a_mapping(parity):
    assert parity(CASE).exit_code == 0

def test_a_wrong_one(parity):
    port = {{"name": "wrong-port", "framework": "numpy", "target": "some/wrong.py:run"}}
    parity(CASE | {{"backends": [port]}})

def test_an_invalid_one(parity):
    parity(CASE | {{"layer": "lsmt"}})

def test_nothing(parity):
    parity(CASE, backend="torch")

def test_workers_are_shared():
    started = [one for one in gc.get_objects() if isinstance(one, subprocess.Popen) and one.poll() is None]
    assert len([one for one in started if "bootstrap.py" in str(one.args)]) == 1, [one.args for one in started]
"""


def test_the_fixture(tmp_path: Path) -> None:
    files = {"own/test_own.py": OWN, "own/some/drop.yaml": DROPOUT, "own/some/wrong.py": WRONG}
    code, output = call(write(tmp_path, files), "-v", "own")
    found = dict(re.findall(r"^own/test_own\.py::(\w+) (PASSED|FAILED)", output, re.MULTILINE))
    assert found == {
        "test_a_path_beside_the_test": "PASSED",
        "test_a_mapping": "PASSED",
        "test_a_wrong_one": "FAILED",
        "test_an_invalid_one": "FAILED",
        "test_nothing": "FAILED",
        "test_workers_are_shared": "PASSED",
    }
    assert code == 1
    assert "✕ fail  wrong-port: survivors not scaled at output" in output
    assert "did you mean 'lstm'?" in output
    assert "no case was selected" in output


def test_patterns_decide_where_they_are_set(tmp_path: Path) -> None:
    write(tmp_path, {"parity/drop.yaml": DROPOUT, "cases/drop.yaml": DROPOUT, "parity/other.yaml": FOREIGN})
    (tmp_path / "pytest.ini").write_text("[pytest]\nharness_cases = parity/d*.yaml\n")
    code, output = call(tmp_path, "--collect-only", "-q")
    assert code == 0
    assert set(re.findall(r"^(\S+\.yaml)::", output, re.MULTILINE)) == {"parity/drop.yaml"}


def test_other_peoples_yaml_is_left_alone(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    class Config:
        rootpath = tmp_path
        args = ("cases",)

        def getini(self, name: str) -> list[str]:
            return []

    def case(name: str, text: str) -> bool:
        write(tmp_path, {name: text})
        return is_case(tmp_path / name, Config())  # type: ignore[arg-type]

    assert case("cases/a.yaml", DROPOUT)
    assert case("cases/deep/b.yml", DROPOUT.replace("layer", "lyaer"))
    assert not case("cases/c.yaml", FOREIGN)
    assert not case("cases/d.yaml", "jobs:\n  about: x\n  layer: y\n")
    assert not case("other/e.yaml", DROPOUT)


def test_a_project_without_cases_loads_nothing(tmp_path: Path) -> None:
    test = (
        "import sys\n\ndef test():\n"
        "    assert 'harness.pytest_plugin' in sys.modules\n"
        "    assert not {'numpy', 'pydantic', 'ruamel', 'harness.records', 'harness.pytest_items'} & set(sys.modules)\n"
    )
    assert call(write(tmp_path, {"test_one.py": test, "data/a.yaml": FOREIGN}), "-q")[0] == 0


def test_the_entry_point() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert declared == {"parity-harness": "parity_pytest"}


def test_the_entry_point_collects_cases(tmp_path: Path) -> None:
    code, output = call(write(tmp_path, {"cases/a.yaml": DROPOUT}), "-q", plugins=("parity_pytest",))
    assert code == 0, output
    assert "passed" in output


@pytest.mark.parametrize(
    "own",
    [
        {"harness/__init__.py": "answer = 42\n"},
        {"harness.py": "answer = 42\n"},
        # A package that would not survive being imported for nothing.
        {"harness/__init__.py": "import sys\nassert 'test_own' in sys.modules\nanswer = 42\n"},
    ],
    ids=["package", "module", "package with side effects"],
)
def test_a_project_with_a_harness_of_its_own_keeps_its_tests(own: dict[str, str], tmp_path: Path) -> None:
    test = "import harness\n\ndef test():\n    assert harness.answer == 42\n"
    strict = "[pytest]\nfilterwarnings = error\n"
    project = write(tmp_path, {**own, "test_own.py": test, "pytest.ini": strict, "cases/a.yaml": DROPOUT})
    code, output = call(project, plugins=("parity_pytest",))
    assert code == 0, output
    assert "1 passed" in output
    assert output.count("named harness of its own") == 1


@pytest.mark.parametrize("extra", [(), ("-n", "2", "--dist", "load")], ids=["one process", "xdist"])
def test_a_session_leaves_the_report_that_a_run_leaves(project: Path, tmp_path: Path, extra: tuple[str, ...]) -> None:
    if extra:
        pytest.importorskip("xdist")
    plugins = ("harness.pytest_plugin", *(("xdist",) if extra else ()))
    folder = tmp_path / "report"
    code, output = call(
        project, f"--parity-report={folder}", "cases/drop.yaml", "cases/port.yaml", *extra, plugins=plugins
    )
    assert code == 1
    assert f"parity-harness: {headline(read(folder))}; {folder / 'report.html'}" in output
    stored = read(folder)
    assert not stored.meta["interrupted"] and stored.exit_code == 1
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "cases/drop.yaml", "cases/port.yaml", "--out", str(tmp_path / "run")],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    run = read(tmp_path / "run")
    told = {(row.case, row.name, row.check, row.verdict, row.diagnosis) for row in run.rows()}
    assert {(row.case, row.name, row.check, row.verdict, row.diagnosis) for row in stored.rows()} == told
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in (tmp_path / "run").iterdir())
    assert {(case["id"], mask["backend"]) for case, mask, _ in stored.masks_by_case()} == {
        (case["id"], mask["backend"]) for case, mask, _ in run.masks_by_case()
    }


def test_a_report_of_a_session_that_stopped_says_so_and_one_of_nothing_is_none(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    _, output = call(project, f"--parity-report={folder}", "-x", "cases/port.yaml", "cases/drop.yaml")
    assert read(folder).meta["interrupted"], output
    assert (
        "no report: no case file was run" in call(project, f"--parity-report={tmp_path / 'none'}", "-k", "nothing")[1]
    )
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "pytest", "-p", "harness.pytest_plugin", f"--parity-report={tmp_path / 'file'}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("Traceback")) == (4, 0) and "file: is no folder" in done.stderr
