"""Ports of several folders in one worker, each with neighbours of the same names."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from simulated import variant

from harness.frameworks.contract.own_files import Neighbours
from harness.records import BackendRef, Verdict
from tests.workers import run

PORT = """
from layers import FACTOR
from blocks.scale import times


def run(case):
    import later

    return {"y": times(case.inputs["x"], FACTOR) * later.FACTOR}
"""


def folder(root: Path, name: str, factor: int) -> Path:
    """A port whose neighbours multiply by a factor, imported at the top, from a package, and in the function."""
    own = root / name
    (own / "blocks").mkdir(parents=True)
    (own / "port.py").write_text(PORT)
    (own / "layers.py").write_text(f"FACTOR = {factor}\n")
    (own / "later.py").write_text(f"FACTOR = {factor}\n")
    (own / "blocks" / "__init__.py").write_text("")
    (own / "blocks" / "scale.py").write_text(f"def times(x, factor):\n    return x * factor * {factor}\n")
    return own / "port.py"


@pytest.mark.parametrize("order", ["right wrong right", "wrong right wrong"])
def test_each_port_has_its_own_neighbours(tmp_path: Path, order: str) -> None:
    files = {"right": folder(tmp_path, "one", 1), "wrong": folder(tmp_path, "two", 2)}
    case = variant("dropout", {"rate": 0.0}, {"x": (4, 5)}, mode="eval", gradients=False, checks=("value.y",))
    refs = [BackendRef("numpy", name=name, target=f"{files[name]}:run") for name in order.split()]
    verdicts = [
        row.verdict
        for found in run([dataclasses.replace(case, backends=(ref,)) for ref in refs])
        for row in found.rows
    ]  # fmt: skip
    assert verdicts == [Verdict.PASS if name == "right" else Verdict.FAIL for name in order.split()]


def test_what_was_there_before_is_nobodys_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port at the root of a project lies beside packages that the worker itself has imported: they stay."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "beside_port.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    ours = importlib.import_module("ours")
    found = Neighbours()
    found.enter(str(tmp_path))
    beside = importlib.import_module("beside_port")
    (tmp_path / "other").mkdir()
    found.enter(str(tmp_path / "other"))
    assert sys.modules["ours"] is ours
    assert "beside_port" not in sys.modules
    found.enter(str(tmp_path))
    assert sys.modules["beside_port"] is beside
    assert str(tmp_path / "other") not in sys.path
    monkeypatch.delitem(sys.modules, "ours")
    monkeypatch.delitem(sys.modules, "beside_port")
