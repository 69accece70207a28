"""An exception of ours costs the comparison in which it is raised: the run goes on, is stored, and ends with 3."""

from __future__ import annotations

import dataclasses
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.cli import make
from harness.commands.guard import guarded
from harness.comparison.checks.base import Finding, checks
from harness.comparison.context import Context, Evidence
from harness.execution.plan import PlannedJob
from harness.records import BackendRef, Compared, JobResult, Row, Verdict
from harness.reporting.store import StoredRun, read
from harness.running import Runner

CASE = """about: One right port, one that forgets the scale, and a printed result.
layer: dropout
config: {rate: 0.5}
inputs: {x: {shape: [8, 6], fill: normal, seed: 1}}
gradients: false
backends:
  - numpy
  - {name: mine, framework: numpy, target: "port.py:run"}
  - {name: printed, recorded: {y: {shape: [8, 6], fill: ones}}, digits: 3, source: "a page"}
"""
PORT = """def run(case):
    x = case.inputs["x"]
    return {"y": x * case.rng.bernoulli(0.5, x.shape) if case.training else x}
"""
Plant = Callable[[pytest.MonkeyPatch], None]


def of_mine(argument: Any) -> bool:
    """Whether something belongs to the comparison in which the exception is planted."""
    if isinstance(argument, Evidence):
        argument = argument.job
    if isinstance(argument, Row):
        return argument.name == "mine"
    if isinstance(argument, Compared | PlannedJob | JobResult):
        argument = argument.backend
    return isinstance(argument, BackendRef) and argument.label == "mine"


def raising(target: str, whose: Callable[[object], bool] = of_mine) -> Plant:
    """An exception planted in a function, for one comparison."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        real = pkgutil.resolve_name(target)

        def planted(*arguments: Any, **options: Any) -> Any:
            if any(map(whose, [*arguments, *options.values()])):
                raise ZeroDivisionError("planted")
            return real(*arguments, **options)

        module, _, name = target.partition(":")
        monkeypatch.setattr(f"{module}.{name}", planted)

    return plant


def check_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    real = checks()["mask.rate"]

    def answer(evidence: Evidence) -> Any:
        if of_mine(evidence):
            raise ZeroDivisionError("planted")
        return real.answer(evidence)

    monkeypatch.setitem(checks(), "mask.rate", dataclasses.replace(real, answer=answer))


def suspicious(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first stage that asks for fresh draws."""
    real = checks()["mask.rate"]

    def answer(evidence: Evidence) -> Iterator[Finding]:
        for found in real.answer(evidence):
            yield dataclasses.replace(found, again=1e-6) if of_mine(evidence) else found

    monkeypatch.setitem(checks(), "mask.rate", dataclasses.replace(real, answer=answer))


def retried(target: str) -> Plant:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        suspicious(monkeypatch)
        raising(target, lambda _: True)(monkeypatch)

    return plant


#: Phase -> what is planted, and the row that tells it.
PHASES: dict[str, tuple[Plant, str]] = {
    "planned": (raising("harness.running:later_calls"), "run.internal"),
    "sent": (raising("harness.execution.messages:request"), "run.internal"),
    "received": (raising("harness.execution.messages:result"), "run.internal"),
    "compared": (raising("harness.comparison.compare:planned"), "run.internal"),
    "its masks": (raising("harness.comparison.compare:masks"), "run.internal"),
    "checked": (check_raises, "mask.rate"),
    "explained": (raising("harness.diagnosis.diagnose:observed"), "diagnosis"),
    "explained, its masks": (raising("harness.diagnosis.diagnose:_shared"), "run.internal"),
    "profile": (raising("harness.comparison.compare:profile"), "run.internal"),
    "charts": (raising("harness.comparison.charts:results"), "run.internal"),
    "kept": (raising("harness.comparison.compare:kept"), "run.internal"),
    "retried": (retried("harness.running:fresh_jobs"), "run.internal"),
    "sampled": (retried("harness.running:sampled"), "run.internal"),
    "second stage": (retried("harness.running:second_stage"), "run.internal"),
}
#: Phases of the outputs that stand in a case, and of storing, which the Python API and the command line do.
RECORDED: dict[str, tuple[Plant, str]] = {
    "recorded": (raising("harness.comparison.recorded:shapes", lambda _: True), "run.internal"),
    "recorded, charts": (raising("harness.comparison.recorded:charts_of_recorded", lambda _: True), "run.internal"),
}
STORED: dict[str, tuple[Plant, str]] = {
    "row written": (raising("harness.reporting.writer:dump_row", lambda row: of_mine(row) and not row.internal), "run.internal"),
    "masks written": (raising("harness.reporting.writer:Writer._add_masks"), "run.internal"),
    "charts written": (raising("harness.reporting.writer:Writer._add_charts_of"), "run.internal"),
    "arrays written": (raising("harness.reporting.writer:Writer._add_kept"), "run.internal"),
    "profile written": (raising("harness.reporting.writer:Writer._add_profile"), "run.internal"),
}  # fmt: skip


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.yaml").write_text(CASE)
    (tmp_path / "port.py").write_text(PORT)
    return tmp_path


def command(*words: str) -> int:
    return int(guarded(make(), list(words)))


def internal_rows(rows: tuple[Row, ...] | Iterator[Row]) -> list[Row]:
    return [row for row in rows if row.internal]


def told_rightly(stored: StoredRun, label: str, check: str) -> None:
    """One internal row, of the comparison in which the exception was planted; the others are as they are without it."""
    rows = list(stored.rows())
    (row,) = internal_rows(iter(rows))
    assert (row.name, row.check, row.verdict) == (label, check, Verdict.ERROR)
    assert row.cause.startswith("internal error: ")
    assert "ZeroDivisionError: planted; this is a bug of the harness" in row.cause
    assert stored.exit_code == 3
    assert {row.name for row in rows} == {"numpy: numpy.dropout", "mine", "printed"}
    assert {row.verdict for row in rows if row.name.startswith("numpy")} == {Verdict.PASS}
    (detail,) = (one["text"] for one in stored.cases[0]["details"] if one["backend"] == label)
    assert "Traceback" in detail
    assert detail.rstrip().endswith("ZeroDivisionError: planted")


@pytest.mark.parametrize("phase", [*PHASES, *RECORDED, *STORED])
def test_an_exception_of_ours_costs_its_comparison_alone(
    phase: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, check = {**PHASES, **RECORDED, **STORED}[phase]
    plant(monkeypatch)
    assert command("run", "case.yaml") == 3
    out, err = capsys.readouterr()
    assert "An internal error, a bug of the harness" in out
    assert "Traceback" not in out + err
    label = "printed" if phase in RECORDED else "mine"
    told_rightly(read(folder / "reports/latest"), label, check)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert command("explain", "--stored") == 0
    out = capsys.readouterr().out
    assert f"? error  {label}: internal error: " in out
    assert "Traceback (most recent call last):" in out
    assert "ZeroDivisionError: planted" in out
    assert str(Path(harness.__file__).parent.parent) not in out
    assert command("explain", "--stored", "--json", "--backend", label) == 0
    (found,) = json.loads(capsys.readouterr().out)["explanations"]
    assert found["traceback"].rstrip().endswith("ZeroDivisionError: planted")


@pytest.mark.parametrize("phase", ["planned", "sent", "compared", "explained", "second stage"])
def test_so_does_it_for_a_runner_and_the_python_api(phase: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, check = PHASES[phase]
    plant(monkeypatch)
    with Runner() as runner:
        result = harness.run("case.yaml", runner=runner)
        assert result.exit_code == 3
        (row,) = internal_rows(result.rows)
        assert (row.name, row.check) == ("mine", check)
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        assert harness.run("case.yaml", runner=runner).exit_code == 1


def test_what_is_suspicious_and_cannot_be_tried_again_is_no_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PHASES["retried"][0](monkeypatch)
    rows = harness.run("case.yaml", backend="mine").rows
    (row,) = (row for row in rows if row.check == "mask.rate")
    assert row.verdict is Verdict.ERROR
    assert "could not be tried again" in row.cause


def test_arrays_that_cannot_be_made_cost_one_comparison(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (folder / f"case{number}.yaml").write_text(CASE.replace("seed: 1", f"seed: {number}"))
    plant = Context.arrays

    def arrays(self: Context) -> Any:
        if self.variant.id == "case1.yaml":
            raise ZeroDivisionError("planted")
        return plant(self)

    monkeypatch.setattr(Context, "arrays", arrays)
    result = harness.run(["case0.yaml", "case1.yaml", "case2.yaml"], backend="numpy")
    assert result.exit_code == 3
    assert {row.case for row in internal_rows(result.rows)} == {"case1.yaml"}
    others = [row.verdict for row in result.rows if row.case != "case1.yaml" and row.name.startswith("numpy")]
    assert others
    assert set(others) == {Verdict.PASS}


def test_want_of_memory_is_an_error_and_no_bug(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arrays(_self: Context) -> Any:
        raise MemoryError("cannot allocate 9 TiB")

    monkeypatch.setattr(Context, "arrays", arrays)
    result = harness.run("case.yaml", backend="mine")
    (row,) = result.rows
    assert (row.check, row.verdict, row.cause) == (
        "run.completes",
        Verdict.ERROR,
        "while it was run: MemoryError: cannot allocate 9 TiB",
    )
    assert result.exit_code == 1


def test_it_fails_the_item_of_pytest(folder: Path) -> None:
    (folder / "conftest.py").write_text(
        "import harness.comparison.compare as module\n"
        "def broken(evidence):\n"
        "    raise ZeroDivisionError('planted')\n"
        "module.masks = broken\n"
    )
    (folder / "pytest.ini").touch()
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "harness.pytest_plugin", "case.yaml"]
    surroundings = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(Path(harness.__file__).parent.parent),
    }
    done = subprocess.run([sys.executable, *words], env=surroundings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "run.internal" in done.stdout
    assert "ZeroDivisionError: planted" in done.stdout
    assert "last words of the harness" in done.stdout
