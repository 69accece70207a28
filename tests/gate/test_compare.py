"""`harness compare A B`: two stored runs that differ in one way each, for people and for programs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from harness.cli import make
from harness.commands.guard import guarded
from harness.records import Verdict
from tests.reporting import fakes

TORCH = fakes.LSTM[2]
CASE, OTHER = "cases/a.yaml", "cases/b.yaml"


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = guarded(make(), list(arguments))
        return int(code), *capsys.readouterr()

    return call


def run(folder, cases=(CASE,), names=("numpy", TORCH), mask=None, version="2.13.0", checks=("value.y",), **changes):
    """Store a run in which torch's rows have the changes; everything else passes."""
    variants = [fakes.variant(case, names) for case in cases]
    events = []
    for one in variants:
        for name in names:
            rows = [fakes.row(one, name, check, **(changes if name == TORCH else {})) for check in checks]
            if name == TORCH:
                rows = [dataclasses.replace(row, version=version) for row in rows]
            masks = {"input": fakes.mask(0) if mask is None else mask} if name == TORCH else None
            event = fakes.compared(one, name, *rows, masks=masks)
            events.append(dataclasses.replace(event, versions={"torch": version}) if name == TORCH else event)
    return str(fakes.store(folder, variants, events))


#: Options of the run before and of the run after, the exit code, words of the output, and the changes as (kind, case, check).
WAYS = {
    "nothing": ({}, {}, 0, ["Nothing got worse."], []),
    "a new case": (
        {},
        {"cases": (CASE, OTHER)},
        0,
        ["New, or better (2)", OTHER, "new, with 1 check"],
        [("notice", OTHER, ""), ("notice", OTHER, "")],
    ),
    "a new case that differs": (
        {},
        {"cases": (CASE, OTHER), "names": (TORCH,), "verdict": Verdict.FAIL, "measured": 1.0},
        1,
        ["New differences (2)", "Comparisons that are missing (1)", "new, and fail at 1 of 4.5e-06"],
        [("difference", CASE, "value.y"), ("difference", OTHER, "value.y"), ("missing", CASE, "")],
    ),
    "a missing case": (
        {"cases": (CASE, OTHER)},
        {},
        1,
        ["Comparisons that are missing (2)", "was compared, and was not this time", "Something got worse: 2 changes."],
        [("missing", OTHER, ""), ("missing", OTHER, "")],
    ),
    "a missing check": (
        {"checks": ("value.y", "mask.rate")},
        {},
        1,
        ["was pass, and was not compared this time"],
        [("missing", CASE, "mask.rate"), ("missing", CASE, "mask.rate")],
    ),
    "another verdict": (
        {},
        {"verdict": Verdict.FAIL, "measured": 0.5, "cause": "gates swapped", "place": f"{CASE}:4:5"},
        1,
        [
            "New differences (1)",
            "was pass at 1.25e-07 of 4.5e-06, now fail at 0.5",
            "cause: gates swapped",
            f"{CASE}:4:5",
        ],
        [("difference", CASE, "value.y")],
    ),
    "a verdict that got better": (
        {"verdict": Verdict.FAIL, "measured": 0.5},
        {},
        0,
        ["New, or better (1)", "was fail at 0.5 of 4.5e-06, now pass", "Nothing got worse."],
        [("notice", CASE, "value.y")],
    ),
    "a worse figure": (
        {"measured": 4e-7},
        {"measured": 3e-6},
        1,
        [
            "Figures that grew past their headroom (1)",
            "was pass at 4e-07 of 4.5e-06, now pass at 3e-06",
            "more than 2 times",
        ],
        [("worse", CASE, "value.y")],
    ),
    "a figure within its headroom": ({"measured": 4e-7}, {"measured": 5e-7}, 0, ["Nothing got worse."], []),
    "another version": ({}, {"version": "2.14.0"}, 0, ["torch 2.13.0 -> 2.14.0", "Nothing got worse."], []),
    "another version whose figure grew": (
        {"measured": 4e-7},
        {"measured": 4.2e-6, "version": "2.14.0"},
        1,
        ["torch 2.13.0 -> 2.14.0", "more than 8 times", ": 2.13.0 -> 2.14.0"],
        [("worse", CASE, "value.y")],
    ),
    "another mask": (
        {},
        {"mask": fakes.mask(1)},
        1,
        ["Masks that changed (1)", "another mask from the same seed: the random stream changed"],
        [("mask", CASE, "mask input")],
    ),
    "a mask of another shape": (
        {},
        {"mask": fakes.mask(0, (2, 1, 3)), "version": "2.14.0"},
        1,
        ["another shape from the same seed: 2x5x3 -> 2x1x3", ": 2.13.0 -> 2.14.0"],
        [("mask", CASE, "mask input")],
    ),
    "a mask of another type": (
        {},
        {"mask": np.zeros((2, 5, 3), np.float32)},
        1,
        ["another type from the same seed: bool -> float32"],
        [("mask", CASE, "mask input")],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_differ(harness, tmp_path, way):
    before, after, code, words, changes = WAYS[way]
    folders = run(tmp_path / "before", **before), run(tmp_path / "after", **after)
    found, out, err = harness("compare", *folders)
    assert (found, err) == (code, "")
    for word in words:
        assert word in out
    found, out, _ = harness("compare", *folders, "--json")
    value = json.loads(out)
    assert found == code
    assert (value["format"], value["version"]) == ("parity-harness compare", 1)
    assert value["passed"] is (code == 0)
    assert [(one["kind"], one["case"], one["check"]) for one in value["changes"]] == changes
    versions = [{"torch": options.get("version", "2.13.0")} for options in (before, after)]
    upgraded = {"torch": [one["torch"] for one in versions]} if versions[0] != versions[1] else {}
    assert {name: both for name, both in value["versions"].items() if name == "torch"} == upgraded


def test_what_is_since_when_is_said_of_the_run_and_not_of_a_baseline(harness, tmp_path):
    run(tmp_path / "before")
    run(tmp_path / "after", mask=fakes.mask(1), version="2.14.0")
    out = harness("compare", "before", "after")[1]
    assert "since before: 2.13.0 -> 2.14.0" in out
    assert "baseline" not in out


def test_a_part_lacks_nothing(harness, tmp_path):
    run(tmp_path / "before", cases=(CASE, OTHER))
    run(tmp_path / "after")
    assert harness("compare", "before", "after")[0] == 1
    assert harness("compare", "before", "after", "--partial")[:2] == (0, "Nothing got worse.\n")


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_run_is_refused(harness, tmp_path, which):
    run(tmp_path / "run")
    folders = ["run", "run"]
    folders[which] = "nowhere"
    code, out, err = harness("compare", *folders)
    assert (code, out) == (4, "")
    assert "nowhere: not a stored run" in err
