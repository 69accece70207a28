"""Rows as text: JSON lines (exact, typed) and CSV (for spreadsheets), written one row at a time in a fixed column
order.

JSON has no NaN or infinity, so those figures are the strings "nan", "inf" and "-inf"; null means that a check has no
figure.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any

from harness.records import RECIPE, Aim, Row, Verdict

#: The columns of every table, in order.
COLUMNS: tuple[str, ...] = (
    "case",
    "variant",
    "seed",
    "layer",
    "backend",
    "implementation",
    "environment",
    "version",
    "device",
    "dtype",
    "check",
    "verdict",
    "measured",
    "limit",
    "unit",
    "where",
    "cause",
    "seconds",
    "name",
    "place",
    "note",
    "internal",
    "recipe",
    "aim",
    "diagnosis",
    "proof",
    "fix",
    "comparison_seconds",
)
#: Columns that the rows of older runs have not.
LATER = frozenset({"internal", "recipe", "aim", "diagnosis", "proof", "fix", "comparison_seconds"})
#: Where the unit said what the limit is, as it did in older runs.
_OLDER_AIMS = {"p-value": Aim.LEAST} | dict.fromkeys(
    ("ratio", "dropped share", "drop rate asked", "stddev", "distance"), Aim.MEET
)
FIGURES = ("measured", "limit", "seconds", "comparison_seconds")


def to_json(value: object) -> Any:
    """`value` as JSON can hold it: non-finite floats as strings, NumPy scalars as Python's, anything else as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    item = getattr(value, "item", None)
    return to_json(item()) if callable(item) and getattr(value, "ndim", 1) == 0 else str(value)


def row_dict(row: Row) -> dict[str, Any]:
    """A row as a dict in column order, its variant values kept apart; what JSON views show."""
    values: dict[str, Any] = {}
    for column in COLUMNS:
        value = getattr(row, column)
        if column == "variant":
            value = dict(value)
        elif column in FIGURES and value is not None:
            value = float(value)
        values[column] = to_json(value)
    return values


def dump_row(row: Row) -> str:
    """One line of JSON, without its newline."""
    return json.dumps(row_dict(row), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def load_row(line: str) -> Row:
    """The row of one line of JSON. Raises ValueError, TypeError or KeyError for anything that is not one."""
    values = json.loads(line)
    if not isinstance(values, dict):
        raise TypeError("a row is a JSON object")
    if not values.keys() >= LATER:
        values = _older(values)
    row = {column: values[column] for column in COLUMNS}
    row["aim"] = Aim(row["aim"])
    for column in FIGURES:
        row[column] = None if row[column] is None else float(row[column])
    row["verdict"] = Verdict(row["verdict"])
    row["comparison_seconds"] = row["comparison_seconds"] or 0.0
    return Row(**row)


def _older(values: dict[str, Any]) -> dict[str, Any]:
    """A row of an older run with the columns of today. In format 1 `seconds` was the whole comparison's, in each of its rows."""
    aim = Aim.MEET if values["check"] == "mask.sites" else _OLDER_AIMS.get(values["unit"], Aim.MOST)
    added = dict.fromkeys(LATER, "") | {"internal": False, "recipe": values["name"].endswith(RECIPE), "aim": aim}
    if "comparison_seconds" not in values:
        values = values | {"comparison_seconds": values["seconds"], "seconds": None}
    return added | values | {"name": values["name"].removesuffix(RECIPE)}


def csv_line(values: Iterable[object]) -> str:
    """One line of CSV with its newline; None is empty, floats have as many digits as are needed to read them back."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def csv_row(row: Row) -> str:
    """A row as one line of CSV, in column order."""
    flat = row.flat()
    for column in FIGURES:
        flat[column] = None if flat[column] is None else float(flat[column])
    return csv_line(flat[column] for column in COLUMNS)
