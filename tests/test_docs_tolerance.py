"""The calibration table of docs/tolerance.md is that of the shipped run, and k leaves the margin that it states."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.comparison.tolerance import K
from harness.records import Verdict

ROOT = Path(__file__).parent.parent


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "docs" / "measure_limits.py"
    spec = importlib.util.spec_from_file_location("measure_limits", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, "measure_limits", module)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_shipped_run(limits: ModuleType) -> None:
    text = (ROOT / "docs" / "tolerance.md").read_text(encoding="utf-8")
    assert text.split(limits.BEGIN)[1].split(limits.END)[0].strip() == limits.table(limits.SHIPPED)


def test_every_float_format_and_most_kinds_are_calibrated_with_room(limits: ModuleType) -> None:
    found = limits.groups(limits.SHIPPED)
    assert {dtype for _, dtype in found} == {"float16", "bfloat16", "float32", "float64"}
    assert {"lstm", "gru", "simple_rnn", "encoder_decoder", "awd_lstm", "dropout"} <= {layer for layer, _ in found}
    worst = max(ratio for group in found.values() for ratios in group.ratios.values() for ratio in ratios)
    assert 1.0 < worst < K / 2


def test_only_derived_limits_count(limits: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def row(**changes: Any) -> SimpleNamespace:
        common = {"check": "value.y", "unit": "absolute", "limit": 8.0, "measured": 2.0, "note": "", "layer": "lstm"}
        common |= {
            "verdict": Verdict.PASS,
            "dtype": "float32",
            "backend": "torch",
            "implementation": "a",
            "environment": "",
        }
        return SimpleNamespace(**(common | changes))

    rows = [
        row(),
        row(measured=4.0, check="gradient.x", implementation="b"),
        row(note="limit set by the case"),
        row(limit=0.0),
        row(verdict=Verdict.ILL_CONDITIONED),
        row(check="scale.survivors", unit="ratio"),
    ]
    monkeypatch.setattr(limits, "read", lambda _folder: SimpleNamespace(rows=lambda: rows))
    (group,) = limits.groups(Path()).values()
    assert dataclasses.asdict(group)["ratios"] == {"value": [2.0], "gradient": [4.0]}
    assert re.search(
        r"2 comparisons by 2 implementations.* 4\.0 S, so k = 8 has a margin of 2\.0", limits.table(Path())
    )
