"""The workflow files in docs/ci: valid to the schemas that editors and CI systems use, and their commands do what they say."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
GITHUB, GITLAB = (ROOT / "docs" / "ci" / name for name in ("github.yml", "gitlab.yml"))
PARTS = 4
CASE = """about: Dropout in NumPy.
layer: dropout
config: {rate: "{rate}"}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
gradients: false
matrix: {rate: [0.1, 0.2, 0.3, 0.4, 0.5]}
backends:
  - numpy
  - {name: a port, framework: numpy, target: "port.py:run"}
"""
PORT = """def run(case):
    x = case.inputs["x"]
    if case.mode == "eval":
        return {"y": x}
    keep = 1.0 - case.config["rate"]
    return {"y": x * case.rng.bernoulli(keep, x.shape).astype(x.dtype) / x.dtype.type(keep)}
"""


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@pytest.mark.skipif(importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
@pytest.mark.parametrize(
    ("schema", "path"), [("github-workflows", GITHUB), ("gitlab-ci", GITLAB)], ids=["github", "gitlab"]
)
def test_they_are_valid_to_their_published_schemas(schema: str, path: Path, tmp_path: Path) -> None:
    def check(file: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert check(path) == 0
    broken = tmp_path / path.name
    text = path.read_text(encoding="utf-8").replace("runs-on:", "run-son:").replace("script:", "scripts:")
    broken.write_text(text, encoding="utf-8")
    assert check(broken) == 1


def test_github_has_what_it_needs() -> None:
    workflow = load(GITHUB)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["compare"]["strategy"]["matrix"]["shard"] == [*range(1, PARTS + 1)]
    assert workflow["jobs"]["gate"]["needs"] == "compare"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert len({"uses", "run"} & step.keys()) == 1
            assert "@v" in step.get("uses", "@v")


def test_gitlab_has_what_it_needs() -> None:
    workflow = load(GITLAB)
    assert [workflow[job]["stage"] for job in ("compare", "gate")] == workflow["stages"]
    assert workflow["compare"]["parallel"] == PARTS
    assert set(workflow["gate"]["artifacts"]["reports"]) == {"junit", "codequality"}
    written = " ".join(workflow["gate"]["script"])
    assert all(f"--output {name}" in written for name in workflow["gate"]["artifacts"]["reports"].values())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with cases and its baseline, and a `pip` that installs nothing."""
    folder = tmp_path / "project"
    (folder / "cases").mkdir(parents=True)
    (folder / "cases" / "dropout.yaml").write_text(CASE, encoding="utf-8")
    (folder / "cases" / "port.py").write_text(PORT, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("harness", f'exec "{sys.executable}" -m harness "$@"'), ("pip", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    for arguments in ("run cases --out reports/whole", "baseline update reports/whole"):
        assert bash(folder, f"harness {arguments}") == 0
    shutil.rmtree(folder / "reports")
    return folder


def bash(folder: Path, script: str, **variables: str) -> int:
    """The exit status of a script, as GitHub and GitLab run one: it ends at the first command that fails."""
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    known = {name: text for name, text in os.environ.items() if name != "CI"}
    env = known | {"PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")} | variables
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=env, check=False)
    return done.returncode


def on_github(folder: Path) -> int:
    """Run the workflow's own steps, artifacts going where its actions put them; the status of the gate's job."""
    jobs = load(GITHUB)["jobs"]
    for part in range(1, PARTS + 1):
        for step in jobs["compare"]["steps"]:
            assert bash(folder, step.get("run", "true").replace("${{ matrix.shard }}", str(part)), CI="true") == 0
        (folder / "parts").mkdir(exist_ok=True)
        (folder / "part").rename(folder / "parts" / f"part-{part}")
    status = 0
    for step in jobs["gate"]["steps"]:
        if not status or step.get("if") == "always()":
            status = bash(folder, step.get("run", "true"), CI="true") or status
    return status


def on_gitlab(folder: Path) -> int:
    """The same with GitLab's variables."""
    workflow = load(GITLAB)
    for part in range(1, PARTS + 1):
        variables = {"CI_NODE_INDEX": str(part), "CI_NODE_TOTAL": str(PARTS), "CI": "true"}
        assert bash(folder, "\n".join(workflow["compare"]["script"]), **variables) == 0
    return bash(folder, "\n".join(workflow["gate"]["script"]), CI="true")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("system", [on_github, pytest.param(on_gitlab, marks=pytest.mark.exhaustive)])
def test_green_is_green_and_a_new_difference_is_not(system: Any, project: Path) -> None:
    assert system(project) == 0
    assert json.loads((project / "reports/latest/run.json").read_text())["cases"] == 5
    for folder in (*project.glob("part*"), project / "reports"):
        shutil.rmtree(folder)
    port = project / "cases" / "port.py"
    port.write_text(PORT.replace(" / x.dtype.type(keep)", ""), encoding="utf-8")
    assert system(project) == 1
    # Whoever looks for why finds it, though the gate has closed.
    if system is on_github:
        assert "What differs" in (project / "summary.md").read_text(encoding="utf-8")
        assert 'failures="5"' in (project / "reports/junit.xml").read_text(encoding="utf-8")
    else:
        issues = json.loads((project / "code-quality.json").read_text(encoding="utf-8"))
        assert {issue["location"]["path"] for issue in issues} == {"cases/dropout.yaml"}
        assert 'failures="5"' in (project / "junit.xml").read_text(encoding="utf-8")
