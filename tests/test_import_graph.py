"""Imports go one way: packages as in files, as the picture in docs/design.md has them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("import_graph", ROOT / "docs" / "import_graph.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


graph = loaded()


def test_no_import_goes_upwards() -> None:
    assert graph.upwards() == []


def test_the_stages_stand_in_their_order() -> None:
    stages = ["cases", "execution", "comparison", "diagnosis", "reporting", "gate", "commands"]
    assert sorted(stages, key=graph.ORDER.index) == stages


def test_every_package_and_file_has_a_floor() -> None:
    assert {graph.unit_of(module) for module in graph.files()} == set(graph.ORDER) | {"frameworks.*"}
    assert len(graph.files()) > 300


def test_no_files_import_one_another_in_a_circle() -> None:
    assert graph.circle(graph.file_graph()) == []


def test_the_picture_is_current() -> None:
    page = graph.PAGE.read_text(encoding="utf-8")
    assert graph.drawn(page) == page, "python docs/import_graph.py --write"


@pytest.mark.parametrize(
    "text",
    [
        "import harness.commands.run\n",
        "from harness.commands import run\n",
        "def late():\n    from harness.commands.run import run\n",
        "try:\n    from harness.commands.run import run\nexcept ImportError:\n    pass\n",
    ],
)
def test_an_arrow_upwards_is_seen(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(text)
    monkeypatch.setattr(graph, "files", lambda real=graph.files: {**real(), "harness.cases.planted": planted})
    assert graph.upwards() == ["harness.cases.planted imports harness.commands.run"]


def test_a_circle_of_files_is_seen() -> None:
    assert graph.circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert graph.circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_what_a_type_checker_reads_is_no_import(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import harness.cli\nelse:\n    import harness.api\n"
    )
    assert list(graph.imports(planted, graph.files())) == ["harness.api"]
