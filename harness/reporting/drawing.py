"""The charts of a stored run as the page takes them: few digits, and what is the same in several implementations once.

What harness.comparison.charts stores is exact enough to compare; a line in a picture needs three digits. Elements are listed of
everything that differs, and of what passes a few of the outputs alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from harness.power import Power
from harness.reporting.powers import of_run
from harness.reporting.store import StoredRun

#: Elements listed of a result that passes.
FEW = 3


def charts_by_case(run: StoredRun, differing: Mapping[tuple[str, str], set[str]]) -> Iterator[tuple[str, list[Any]]]:
    """Each case's charts: (id, [[labels of the implementations that have it, chart], ...]).

    differing: the checks that do not pass, by (case, label).
    """
    for case, lines in groupby(run.charts(), key=lambda one: one["case"]):
        yield (
            case,
            [[one["backend"], drawn(one["charts"], differing.get((case, one["backend"]), set()))] for one in lines],
        )


def drawn(charts: Mapping[str, Any], differing: set[str]) -> dict[str, Any]:
    """One implementation's charts. Results: [check, ulps, worst, steps, per, of]; the others keep their keys."""
    found: dict[str, Any] = {}
    for name, chart in charts.items():
        if name == "results":
            found[name] = [_result(check, one, check in differing) for check, one in chart.items()]
        else:
            found[name] = shortened(chart)
    return found


def _result(check: str, chart: Mapping[str, Any], differs: bool) -> list[Any]:
    listed = chart.get("worst", [])
    if not differs:
        listed = listed[:FEW] if check.startswith("value.") else []
    worst = [[at, seed, got, expected, shortened(off)] for at, seed, got, expected, off in listed]
    packed: list[Any] = [check, chart["ulps"], worst]
    if "steps" in chart:
        packed += [shortened(chart["steps"]), chart["per"], chart.get("of", len(chart["steps"]) * chart["per"])]
    return packed


def shortened(value: Any, digits: int = 3) -> Any:
    """Every float of plain values in so many significant digits; the scale of survivors keeps its own."""
    if isinstance(value, float) and math.isfinite(value):
        short = float(f"{value:.{digits}g}")
        return int(short) if short.is_integer() and abs(short) < 1e6 else short
    if isinstance(value, list):
        return [shortened(one, digits) for one in value]
    if isinstance(value, dict):
        return {key: shortened(one, 9 if key == "ratio" else max(digits, 4)) for key, one in value.items()}
    return value


def powers_of(run: StoredRun) -> dict[str, list[Power]]:
    """The faults judged on each case, by id; {} where none were."""
    return {case: list(one.faults) for case, one in of_run(run).items()}
