"""Matrix expansion: order, types, ids, include and exclude, and what variants share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_kinds import CASE

from harness.cases.matrix import Combination, combinations, identity, value_text
from harness.cases.problems import Complaints
from harness.cases.template import Template
from harness.errors import UserError
from harness.records import Variant

Good = Callable[[str], list[Variant]]


def ids(variants: list[Variant]) -> list[str]:
    return [variant.id for variant in variants]


def test_without_a_matrix_the_id_is_the_file(good: Good) -> None:
    assert ids(good(CASE)) == ["case.yaml"]


def test_first_key_is_slowest(good: Good) -> None:
    text = CASE.replace("units: 2", 'units: "{units}"') + "matrix: {units: [1, 2], dtype: [float32, float64]}\n"
    assert ids(good(text)) == [
        "case.yaml::[units=1-dtype=float32]",
        "case.yaml::[units=1-dtype=float64]",
        "case.yaml::[units=2-dtype=float32]",
        "case.yaml::[units=2-dtype=float64]",
    ]


def test_values_keep_their_types(good: Good) -> None:
    text = (
        CASE.replace("units: 2", 'units: "{n}", flip: "{flip}"').replace("A case.", '"{n} units in {dtype}, {else}"')
        + "matrix: {n: [3], flip: [true], inputs.x.shape: [[1, 2, 3]], timeout: [1.5], dtype: [float64]}\n"
    )
    (variant,) = good(text)
    assert variant.config.units == 3
    assert variant.config.flip is True
    assert variant.inputs["x"].shape == (1, 2, 3)
    assert variant.timeout == 1.5
    assert variant.about == "3 units in float64, {else}"
    assert variant.variant == {"n": 3, "flip": True, "inputs.x.shape": [1, 2, 3], "timeout": 1.5, "dtype": "float64"}
    assert variant.id == "case.yaml::[n=3-flip=true-inputs.x.shape=[1,2,3]-timeout=1.5-dtype=float64]"


def test_dotted_paths_reach_lists_and_make_mappings(good: Good) -> None:
    text = (
        CASE.replace("[numpy]", "[numpy, {torch: toys.Toy}]")
        + "dropout: [{at: input, rate: 0}]\n"
        + "matrix: {dropout.0.rate: [0.25], backends.1.options.jit: [false], weights.fill: [ones]}\n"
    )
    (variant,) = good(text)
    assert variant.sites[0].rate == 0.25
    assert variant.backends[1].options == {"jit": False}
    assert variant.weights["kernel"].fill == "ones"


def test_a_key_may_be_part_of_a_text(good: Good) -> None:
    text = CASE.replace("[numpy]", '[{torch: "toys.{cell}"}]') + "matrix: {cell: [Toy, ToyCell]}\n"
    assert [variant.backends[0].implementation for variant in good(text)] == ["toys.Toy", "toys.ToyCell"]


def test_include_and_exclude(good: Good) -> None:
    text = (
        CASE.replace("units: 2", 'units: "{units}"')
        + "matrix:\n  units: [1, 2, 3]\n  dtype: [float32, float64]\n"
        + "  exclude: [{units: 2}, {units: 3, dtype: float64}]\n  include: [{dtype: float16, units: 9}]\n"
    )
    assert ids(good(text)) == [
        "case.yaml::[units=1-dtype=float32]",
        "case.yaml::[units=1-dtype=float64]",
        "case.yaml::[units=3-dtype=float32]",
        "case.yaml::[units=9-dtype=float16]",
    ]


def test_include_alone(good: Good) -> None:
    text = CASE + "matrix: {include: [{dtype: float32, mode: train}, {mode: eval, dtype: float64}]}\n"
    assert ids(good(text)) == ["case.yaml::[dtype=float32-mode=train]", "case.yaml::[dtype=float64-mode=eval]"]


def test_every_key_of_a_case_can_be_set(good: Good) -> None:
    text = (
        "layer: toy\nmatrix: {include: [{about: a, config: {units: 2}, dropout: [{at: input, rate: 0.5}], "
        "inputs: {x: {shape: [1, 1, 1], fill: ones}}, "
        "weights: {fill: ones}, seeds: [4], mode: eval, draws: replay, dtype: float64, gradients: false, "
        "backends: [numpy], expect: [{reason: x}], tolerance: {value: 1}, checks: [mask.*], timeout: 3, tags: [t], "
        "environment: tf1.3}]}\n"
    )
    (variant,) = good(text)
    assert (variant.about, variant.seeds, variant.mode, variant.draws) == ("a", (4,), "eval", "replay")
    assert variant.backends[0].environment == "tf1.3"


def test_what_the_matrix_does_not_change_is_shared(good: Good) -> None:
    text = CASE + "matrix: {dtype: [float32, float64], mode: [train, eval]}\n"
    variants = good(text)
    assert len({id(variant.config) for variant in variants}) == 1
    assert len({id(variant.inputs) for variant in variants}) == 1
    assert len({id(variant.backends) for variant in variants}) == 1


def test_ten_thousand_variants_are_possible_and_one_more_is_not(good: Good) -> None:
    numbers = ", ".join(map(str, range(100)))
    text = CASE + f"matrix: {{seeds.0: [{numbers}], timeout: [{numbers.replace('0,', '0.5,', 1)}]}}\nseeds: [0]\n"
    assert len(set(ids(good(text)))) == 10_000
    with pytest.raises(UserError, match="makes 10,001 variants; at most 10,000 are possible"):
        good(text.replace("timeout:", "include: [{seeds.0: 1, timeout: 7.25}], timeout:"))


def test_expectations_may_be_limited_to_matrix_values(good: Good) -> None:
    text = CASE + "matrix: {dtype: [float32]}\nexpect: [{reason: x, variant: {dtype: float32}}]\n"
    assert good(text)[0].expect[0].variant == {"dtype": "float32"}


values = st.one_of(
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, width=32),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80).filter(lambda text: "{" not in text),
    st.lists(st.integers(0, 9), max_size=3),
)
matrices = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in ("include", "exclude")),
    st.lists(values, min_size=1, max_size=4, unique_by=identity),
    min_size=1,
    max_size=4,
)


@given(matrices)
@settings(deadline=None)
def test_all_combinations_once_in_order(matrix: dict[str, list[Any]]) -> None:
    complaints = Complaints()
    rows = combinations(matrix, complaints)
    if complaints:
        assert all("would have the id" in message for _, message, _ in complaints.found)
        return
    assert [list(row.values.items()) for row in rows] == [
        list(zip(matrix, picks, strict=True)) for picks in itertools.product(*matrix.values())
    ]
    suffixes = [row.suffix for row in rows]
    assert len(set(suffixes)) == len(rows)
    assert all(suffix.isprintable() for suffix in suffixes)
    for row in rows:
        for key, (_, name, index) in row.origin.items():
            assert name == key
            assert matrix[key][index] is row.values[key]


@given(matrices)
@settings(deadline=None)
def test_placeholders_give_back_the_values(matrix: dict[str, list[Any]]) -> None:
    complaints = Complaints()
    rows = combinations(matrix, complaints)
    tree = {"tags": [f"{{{key}}}" for key in matrix], "about": " ".join(f"{{{key}}}" for key in matrix)}
    template = Template(tree, matrix, str(tree), complaints)
    if complaints:
        return
    for row in rows:
        filled = template.fill(row)
        assert filled["tags"] == list(row.values.values())
        assert [type(value) for value in filled["tags"]] == [type(value) for value in row.values.values()]
        assert filled["about"] == " ".join(map(value_text, row.values.values()))


@given(st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none())
def test_scalars_can_be_read_back_from_an_id(value: Any) -> None:
    assert json.loads(value_text(value)) == value


def test_long_values_are_cut_but_stay_apart() -> None:
    one, other = ("x" * 100 + end for end in "ab")
    assert value_text(one) != value_text(other)
    assert len(value_text(one)) < 50


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    rates=st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True),
    units=st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True),
)
def test_variants_from_a_file(toys: Path, rates: list[float], units: list[int]) -> None:
    from harness.cases import load

    text = CASE.replace("units: 2", 'units: "{units}"') + 'dropout: [{at: input, rate: "{rate}"}]\n'
    Path("case.yaml").write_text(f"{text}matrix: {{rate: {rates}, units: {units}}}\n")
    found = load(["case.yaml"])
    assert [(variant.sites[0].rate, variant.config.units) for variant in found] == list(itertools.product(rates, units))
    assert len({variant.id for variant in found}) == len(rates) * len(units)


def test_no_combination_changes_nothing() -> None:
    tree = {"about": "x"}
    assert Template(tree, (), "about: x", Complaints()).fill(Combination()) == tree
