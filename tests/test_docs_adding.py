"""docs/adding.md: its files are written into a copy of the package and its case is run, as it stands and with faults planted."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(?:python|yaml) (\S+/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall((ROOT / "docs" / "adding.md").read_text(encoding="utf-8")))
NUMPY, TORCH, KIND = (
    "harness/frameworks/numpy/dropconnect.py",
    "harness/frameworks/torch/dropconnect.py",
    "harness/layers/dropconnect.py",
)
RECORD, LAYER = "harness/frameworks/purepython/__init__.py", "harness/frameworks/purepython/dropout.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the page's files in it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def run(folder: Path, *words: str, case: str = "dropconnect") -> tuple[int, list[dict[str, str]]]:
    """The case's exit code and rows."""
    done = harness(folder, "run", f"cases/{case}.yaml", "--out", "reports/latest", "-q", *words)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    with (folder / "reports" / "latest" / "results.csv").open(encoding="utf-8", newline="") as table:
        return done.returncode, list(csv.DictReader(table))


def test_the_page_has_a_kind_two_adapters_a_framework_and_their_cases() -> None:
    assert list(FILES) == [KIND, NUMPY, TORCH, RECORD, LAYER, "cases/purepython.yaml", "cases/dropconnect.yaml"]
    assert [name for name in FILES if (ROOT / name).exists()] == []


def test_they_are_found_without_a_list(project: Path) -> None:
    done = harness(project, "layers", "dropconnect")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "weight.kernel",
        "inputs D, units H",
        "kernel (D, H), bias (H,)",
        "recipe.dropconnect",
        "contiguous=false",
    ):
        assert words in done.stdout


def test_the_case_passes(project: Path) -> None:
    code, rows = run(project, "--backend", "numpy", *(["--backend", "torch"] if find_spec("torch") else []))
    assert code == 0
    assert {row["verdict"] for row in rows} == {"pass"}
    expected = {"numpy.dropconnect"} | ({"recipe.dropconnect"} if find_spec("torch") else set())
    assert {row["implementation"] for row in rows} == expected
    families = Counter(row["check"].split(".")[0] for row in rows)
    assert {"mask", "value", "gradient", "identity", "repeat"} <= set(families)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "check"),
    [
        (NUMPY, "kernel = kernel * multiplier(site, draws[SITE], kernel)", "kernel = kernel * draws[SITE]", "value.y"),
        (NUMPY, '+ weights["bias"][..., None, :]', "", "gradient.bias"),
        (
            KIND,
            "arithmetic.times(arithmetic.affine([(x.T, dy)]), mask)",
            "arithmetic.affine([(x.T, dy)])",
            "gradient.kernel",
        ),
    ],
)
def test_a_fault_in_any_of_them_is_caught(project: Path, file: str, right: str, wrong: str, check: str) -> None:
    text = FILES[file]
    assert text.count(right) == 1
    try:
        (project / file).write_text(text.replace(right, wrong), encoding="utf-8")
        code, rows = run(project, "--backend", "numpy")
    finally:
        (project / file).write_text(text, encoding="utf-8")
    assert code == 1
    assert check in {row["check"] for row in rows if row["verdict"] == "fail"}


def test_a_framework_is_found_by_its_folder_and_its_case_passes(project: Path) -> None:
    code, rows = run(project, case="purepython")
    assert code == 0
    assert {row["verdict"] for row in rows} == {"pass"}
    assert {row["backend"] for row in rows} == {"purepython", "numpy"}
    assert {"mask.rate", "scale.survivors", "gradient.x", "identity.eval"} <= {row["check"] for row in rows}


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("random.Random(job.seed)", "random.Random(7)", "mask.other_seed"),
        ("uniform >= rate", "uniform >= 0.5", "value.y"),
        ('{"x": job.cotangents["y"] * scale}', '{"x": job.cotangents["y"]}', "gradient.x"),
    ],
)
def test_a_fault_in_the_framework_is_caught(project: Path, right: str, wrong: str, check: str) -> None:
    text = FILES[LAYER]
    assert text.count(right) == 1
    try:
        (project / LAYER).write_text(text.replace(right, wrong), encoding="utf-8")
        code, rows = run(project, "--backend", "purepython", case="purepython")
    finally:
        (project / LAYER).write_text(text, encoding="utf-8")
    assert code == 1
    assert check in {row["check"] for row in rows if row["verdict"] == "fail"}


def test_the_examples_are_in_the_projects_style(project: Path) -> None:
    if find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        config = ["--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *config, *(name for name in FILES if name.endswith(".py"))],
            cwd=project,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
