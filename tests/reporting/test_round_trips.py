"""What is exported reads back to the rows that were stored: JSON lines exactly, CSV and Parquet as the data frame."""

import csv
import dataclasses
import importlib.util
import io
import json
import math

import pytest

from harness.cli import main
from harness.records import Verdict
from harness.reporting.rows import COLUMNS, FIGURES, load_row
from harness.reporting.store import read
from tests.reporting import fakes

FIGURE = [0.0, -0.0, 0.1, 1e-320, 1.7976931348623157e308, math.inf, -math.inf, math.nan, None]
TEXT = [
    "",
    "plain",
    'say "so", twice',
    "a\nb\r\nc",
    "tab\t|",
    "ünïcode 模型 🙂",
    "nul\x00",
    "=1+1",
    "  blanks  ",
    "\u2028",
]


@pytest.fixture
def stored(tmp_path):
    """A run whose rows have every verdict, odd figures and hostile texts."""
    one = fakes.variant("cases/ünï code.yaml::[rate=0.5]", ("torch",))
    rows = [
        fakes.row(one, "torch", f"check.{n}", verdict, measured=FIGURE[n % len(FIGURE)], cause=TEXT[n % len(TEXT)])
        for n, verdict in enumerate([*Verdict] * 2)
    ]
    rows += [
        fakes.row(one, "torch", f"limit.{n}", limit=figure, note=text)
        for n, (figure, text) in enumerate(zip(FIGURE, TEXT, strict=False))
    ]
    return read(fakes.store(tmp_path / "run", [one], [fakes.compared(one, "torch", *rows)]))


def export(stored, tmp_path, kind):
    path = tmp_path / f"export.{kind}"
    assert main(["report", str(stored.folder), "--format", kind, "--output", str(path)]) == 0
    return path


def same(found, wanted):
    """Equal, NaN too, and the sign of a zero."""
    if isinstance(found, float) and isinstance(wanted, float):
        return (math.isnan(found) and math.isnan(wanted)) or (
            found == wanted and math.copysign(1, found) == math.copysign(1, wanted)
        )
    return found == wanted


def test_json_lines_are_the_rows(stored, tmp_path):
    lines = export(stored, tmp_path, "jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    rows = list(stored.rows())
    assert len(lines) == len(rows) == 29
    for line, row in zip(lines, rows, strict=True):
        value = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert list(value) == list(COLUMNS)
        for field in dataclasses.fields(row):
            assert same(getattr(load_row(line), field.name), getattr(row, field.name)), field.name


def test_csv_is_the_rows(stored, tmp_path):
    text = export(stored, tmp_path, "csv").read_bytes().decode("utf-8")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    for line, row in zip(found, stored.rows(), strict=True):
        assert list(line) == list(COLUMNS)
        for name in FIGURES:
            wanted = getattr(row, name)
            assert same(float(line[name]) if line[name] else None, wanted), name
        assert line["verdict"] == row.verdict
        assert line["case"] == row.case


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet_is_the_rows(stored, tmp_path):
    import pandas as pd
    import pyarrow.parquet

    path = export(stored, tmp_path, "parquet")
    table = stored.frame()
    found = pd.read_parquet(path)
    assert list(found.columns) == list(COLUMNS)
    assert found["verdict"].cat.categories.tolist() == table["verdict"].cat.categories.tolist()
    assert found["verdict"].cat.ordered
    for name in COLUMNS:
        pairs = zip(found[name].tolist(), table[name].tolist(), strict=True)
        assert all(same(one, other) for one, other in pairs), name
    # Readers without pandas see plain types.
    types = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(path)}
    assert {types[name] for name in FIGURES} == {"double"}
    assert types["verdict"].startswith("dictionary<values=")
