"""The JSON Schema: checked in and current, and of one mind with the loader on what a schema can see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from toy_kinds import CASE

from harness.cases import json_schema
from harness.cases.export import SCHEMA_FILE, schema_text
from harness.cases.loading import is_pair

ROOT = Path(__file__).parents[2]


def test_the_checked_in_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        f"run: harness schema --output {SCHEMA_FILE.relative_to(ROOT)}"
    )


def validator(schema: dict[str, Any]) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_shipped_case_fits(request: pytest.FixtureRequest) -> None:
    found = validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    files = sorted((ROOT / "cases").rglob("*.yaml"))
    assert files
    for file in files:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        if is_pair(tree):
            # Of programs, without a layer kind: tests/pairs reads and runs them.
            continue
        errors = [error.message for error in found.iter_errors(json.loads(json.dumps(tree, default=str)))]
        assert not errors, file


FITTING = [
    CASE,
    CASE.replace("units: 2", 'units: "{u}"') + "matrix: {u: [1]}\n",
    CASE.replace("[numpy]", "[torch, {torch: toys.Toy}, {jax: }, {name: a, recorded: {y: 1}, digits: 3, source: s}]"),
    CASE.replace("[numpy]", "[{name: a, framework: torch, target: 'a.py:run'}]"),
    CASE + "dropout: [{at: input, rate: 0.5}, {at: '{x}', rate: '{rate}'}]\nweights: {kernel: 1, bias: [1, 2]}\n",
    CASE + "expect: [{reason: x, until: '2027-06-30', variant: {rate: 1}}]\nweights: {file: a.npz}\n",
    CASE + "matrix: {config.units: [1, 2], exclude: [{config.units: 1}]}\nseeds: ['{a}', 3]\n",
]
UNFIT = [
    CASE + "mode: trian\n",
    CASE + "lyer: toy\n",
    CASE.replace("toy", "tyo"),
    CASE.replace("units: 2", "unit: 2"),
    CASE.replace("units: 2", "units: two"),
    CASE.replace("[numpy]", "[]"),
    CASE.replace("[numpy]", "[nmpy]"),
    CASE.replace("[numpy]", "[{torch: toys.Tyo}]"),
    CASE.replace("[numpy]", "[{torch: toys.Toy, jax: jaxtoys.Toy}]"),
    CASE.replace("[numpy]", "[{torch: toys.Toy, optoins: {}}]"),
    CASE + "dropout: [{at: inptu, rate: 0.5}]\n",
    CASE.replace("fill: normal", "fill: norml"),
    CASE.replace("[5, 7, 3]", "[5, 0]"),
    CASE + "seeds: [-1]\n",
    CASE + "matrix: {a: 3}\n",
    CASE + "expect: [{backend: x}]\n",
    CASE.replace("toy", "flat").replace("units: 2", "rate: 0.5") + "dropout: [{at: input, rate: 0.5}]\n",
]


@pytest.mark.parametrize("text", FITTING)
def test_fitting(text: str, toys: Path) -> None:
    errors = validator(json_schema()).iter_errors(YAML(typ="safe", pure=True).load(text))
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("text", UNFIT)
def test_unfit(text: str, toys: Path) -> None:
    assert not validator(json_schema()).is_valid(YAML(typ="safe", pure=True).load(text))
