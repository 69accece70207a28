"""A layer that keeps its states: right second calls pass, every other start is named, and a case that cannot tell says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated import Mutate, Start, right, rows, second_call, variant

from harness.comparison.context import Context
from harness.records import Pass, PassResult, Role, Variant, Verdict

SHAPES = {"x": (4, 7, 3)}
PLAIN = variant("lstm", {"units": 6, "stateful": True}, SHAPES)
DROPPED = variant(
    "lstm",
    {"units": 6, "return_sequences": True, "return_state": True, "stateful": True},
    SHAPES,
    [{"at": "input", "rate": 0.4, "shared": ["time"]}, {"at": "state.h", "rate": 0.3, "shared": ["time"]}],
)
STACK = variant("lstm", {"units": 5, "layers": 2, "bidirectional": True, "stateful": True}, SHAPES)
PROJECTED = variant("lstm", {"units": 6, "projection": 3, "stateful": True}, SHAPES)
CASES = {"plain": PLAIN, "dropped": DROPPED, "stack": STACK, "projected": PROJECTED}
STARTS: dict[str, tuple[str, Start]] = {
    "never kept": ("zero", lambda h, c: (0 * h, 0 * c)),
    "swapped": ("the first call's (c, h)", lambda h, c: (c, h)),
    "c lost": ("the first call's h without c", lambda h, c: (h, 0 * c)),
    "h lost": ("the first call's c without h", lambda h, c: (0 * h, c)),
}


def started(role: str, start: Start) -> Mutate:
    """The fault that the second call of one role starts from somewhere else."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        return second_call(context, one, start) if one.role == role else result

    return mutate


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_a_layer_that_keeps_its_states_passes(name: str, mode: str) -> None:
    found = rows(dataclasses.replace(CASES[name], mode=mode))
    assert found["state.continued"].verdict is Verdict.PASS, found["state.continued"].cause
    assert found["state.reset"].verdict is Verdict.PASS, found["state.reset"].cause


@pytest.mark.parametrize("fault", STARTS)
@pytest.mark.parametrize("case", [PLAIN, DROPPED])
def test_another_start_is_named(case: Variant, fault: str) -> None:
    words, start = STARTS[fault]
    found = rows(case, started(Role.CONTINUED, start))
    assert found["state.continued"].verdict is Verdict.FAIL
    assert f"starts from {words}, not from" in found["state.continued"].cause
    assert [name for name, row in found.items() if row.verdict is not Verdict.PASS] == ["state.continued"]


def test_a_start_that_nobody_thought_of_is_a_failure_too() -> None:
    found = rows(PLAIN, started(Role.CONTINUED, lambda h, c: (h + 0.1, c)))
    assert found["state.continued"].verdict is Verdict.FAIL
    assert "is not that of a start from the first call's last (h, c)" in found["state.continued"].cause


def test_a_reset_that_resets_nothing_is_named() -> None:
    found = rows(DROPPED, started(Role.RESET, lambda h, c: (h, c)))
    assert found["state.reset"].verdict is Verdict.FAIL
    assert "starts from the first call's last (h, c), not from zero" in found["state.reset"].cause
    assert found["state.continued"].verdict is Verdict.PASS


def test_a_gradient_that_reaches_into_the_first_call_is_seen() -> None:
    def mutate(_context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.role != Role.CONTINUED:
            return result
        return dataclasses.replace(result, gradients={name: 2 * array for name, array in result.gradients.items()})

    found = rows(PLAIN, mutate)
    assert found["state.continued"].verdict is Verdict.FAIL
    assert "gradient." in found["state.continued"].cause


def test_whether_the_second_call_has_masks_of_its_own_is_said() -> None:
    def kept(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.role != Role.CONTINUED:
            return result
        return dataclasses.replace(result, draws={**result.draws, "input": main(context, one).draws["input"]})

    def main(context: Context, one: Pass) -> PassResult:
        return right(context, dataclasses.replace(one, role=one.mode))

    assert rows(DROPPED)["state.continued"].note == "masks drawn anew"
    assert rows(DROPPED, kept)["state.continued"].note == "the first call's masks at input"


def test_a_case_that_cannot_tell_says_so() -> None:
    blind = dataclasses.replace(
        PLAIN, weights={name: dataclasses.replace(one, fill="zeros") for name, one in PLAIN.weights.items()}
    )
    found = rows(blind)
    assert found["state.continued"].verdict is Verdict.ILL_CONDITIONED
    assert "cannot tell" in found["state.continued"].cause


def test_nothing_is_asked_of_a_layer_that_keeps_nothing() -> None:
    assert not {"state.continued", "state.reset"} & set(rows(variant("lstm", {"units": 6}, SHAPES)))


def test_outputs_that_are_missing_or_not_numbers_fail() -> None:
    def nan(_context: Context, one: Pass, result: PassResult) -> PassResult:
        bad = {name: np.full_like(array, np.nan) for name, array in result.outputs.items()}
        return dataclasses.replace(result, outputs=bad) if one.role == Role.CONTINUED else result

    def none(_context: Context, one: Pass, result: PassResult) -> PassResult:
        return dataclasses.replace(result, outputs={}) if one.role == Role.CONTINUED else result

    assert rows(PLAIN, nan)["state.continued"].verdict is Verdict.FAIL
    assert rows(PLAIN, none)["state.continued"].verdict is Verdict.FAIL
