"""Known differences that could match no row are told, with place and the nearest name; what might match somewhere is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cases import load
from harness.comparison.context import Context
from harness.comparison.expecting import possible, unmatched
from harness.records import BackendRef

CASE = """about: The mask is where it is kept.
layer: dropout
config: {rate: "{rate}"}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
matrix: {rate: [0.25, 0.5], gradients: [true, false]}
gradients: "{gradients}"
backends: [numpy, BACKEND]
expect:
  - {EXPECT, reason: it is so}
"""


def problems(folder: Path, expect: str, backend: str = "torch", extra: str = "") -> list[str]:
    path = folder / "case.yaml"
    path.write_text(CASE.replace("EXPECT", expect).replace("BACKEND", backend) + extra, encoding="utf-8")
    return [str(problem).replace(str(path), "case.yaml") for problem in unmatched(load([path]))]


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ('check: "value.z"', "case.yaml:9:13: expect.0.check: 'value.z' is no check that is made of any of"),
        ('check: "value.z"', "(did you mean 'value.y'?)"),
        ('check: "mask.raet"', "(did you mean 'mask.rate'?)"),
        ('check: "nothing.like.it*"', "; there are: "),
        (
            'backend: "torch: torch.nn.Dropout", check: gradeint.x',
            "is no check that is made of torch: torch.nn.Dropout",
        ),
        # A row is never called by the backend alone where the case names the whole backend.
        ("backend: torch, check: value.y", "'torch' names no implementation of this case (did you mean 'torch: *'?)"),
        # That row says that a backend is not installed, which no known difference excuses.
        ("check: backend.available", "is no check"),
        # Of the variants that it is limited to, none has gradients.
        ("check: gradient.x, variant: {gradients: false}", "'gradient.x' is no check"),
    ],
)
def test_what_could_match_no_row_is_told(tmp_path: Path, expect: str, words: str) -> None:
    (problem,) = problems(tmp_path, expect)
    assert words in problem
    assert problem.startswith("case.yaml:9:")
    assert problem.endswith("this known difference matches nothing")


@pytest.mark.parametrize(
    "expect",
    [
        "check: value.y",
        'check: "*"',
        'check: "mask.*", sometimes: true',
        'check: "value.*", until: 2020-01-01',
        'backend: "torch: *", check: run.completes',
        # In half of the variants alone.
        "check: gradient.x",
        "check: gradient.x, variant: {rate: 0.5}",
        # Not installed here, perhaps, or of another version: that is no misspelling.
        'backend: "torch: keras.layers.Dropout", check: value.y',
    ],
)
def test_what_might_match_is_not(tmp_path: Path, expect: str) -> None:
    assert problems(tmp_path, expect) == []


def test_an_implementation_of_versions_that_are_not_here_is_no_misspelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.environments.within", lambda name, need: need.startswith("numpy"))
    assert problems(tmp_path, 'backend: "torch: torch.nn.Dropout", check: value.y') == []


def test_a_check_that_the_case_leaves_out_matches_nothing(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "check: mask.rate", extra='checks: ["value.*"]\n')
    assert "'mask.rate' is no check" in problem


def test_each_is_told_once_however_many_variants_the_file_has(tmp_path: Path) -> None:
    found = problems(tmp_path, "check: value.z", extra="  - {check: value.q, reason: so too}\n")
    assert [problem.split(": ")[1] for problem in found] == ["expect.0.check", "expect.1.check"]


def test_recorded_outputs_have_checks_of_their_own(tmp_path: Path) -> None:
    recorded = "{name: printed, source: a document, recorded: {y: {values: [[1.0]]}}, digits: 3}"
    assert problems(tmp_path, "backend: printed, check: value.shape", recorded) == []
    (problem,) = problems(tmp_path, "backend: printed, check: mask.rate", recorded)
    assert "'mask.rate' is no check that is made of printed" in problem


def test_the_possible_checks_are_those_of_the_rows() -> None:
    """Every row of a run is among the possible ones: else a right known difference would be refused."""
    from simulated import rows, variant

    for case in (
        variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)}),
        variant("lstm", {"units": 3}, {"x": (2, 5, 4)}),
    ):
        names = possible(Context(case), BackendRef("numpy", "simulated"))
        assert set(rows(case)) <= names


def checked(folder: Path, checks: str, extra: str = "") -> list[str]:
    path = folder / "case.yaml"
    text = CASE.partition("expect:")[0].replace("BACKEND", "torch") + f"checks: {checks}\n{extra}"
    path.write_text(text, encoding="utf-8")
    return [str(problem).replace(str(path), "case.yaml") for problem in unmatched(load([path]))]


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ("[mask.rate, mask.raet]", "8:21: checks.1: 'mask.raet' is no check of this case (did you mean 'mask.rate'?)"),
        ("[value.y, 'bogus.*']", "8:19: checks.1: 'bogus.*' is no check of this case; there are: "),
        # Another kind's check.
        ("[state.order]", "8:10: checks.0: 'state.order' is no check of this case"),
    ],
)
def test_a_check_that_no_variant_has(tmp_path: Path, checks: str, problem: str) -> None:
    (found,) = checked(tmp_path, checks)
    assert found.startswith(f"case.yaml:{problem}")


@pytest.mark.parametrize("checks", ["[mask.rate]", "['*']", "['gradient.*', value.y]"])
def test_a_check_of_some_variants_is_right(tmp_path: Path, checks: str) -> None:
    """Half of the variants have no gradients."""
    assert checked(tmp_path, checks) == []


def test_checks_that_the_matrix_gives(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    text = (
        CASE.partition("expect:")[0]
        .replace("BACKEND", "torch")
        .replace("matrix: {", "matrix: {c: [mask.rate, msk.rate], ")
    )
    path.write_text(text + "checks: ['{c}']\n", encoding="utf-8")
    (found,) = map(str, unmatched(load([path])))
    assert "'msk.rate' is no check of this case (did you mean 'mask.rate'?)" in found


def test_a_recorded_result_has_checks_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    text = CASE.partition("expect:")[0].replace("BACKEND", "{name: printed, recorded: {y: 1}, digits: 3, source: s}")
    path.write_text(text + "checks: [value.shape]\n", encoding="utf-8")
    assert unmatched(load([path])) == []


def test_wrong_checks_do_not_hide_behind_known_differences(tmp_path: Path) -> None:
    extra = "expect:\n  - {check: value.y, reason: it is so}\n"
    (found,) = checked(tmp_path, "[valeu.y]", extra)
    assert "checks.0" in found
