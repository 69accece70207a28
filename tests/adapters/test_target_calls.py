"""A second call of a port: `case.keep` makes a layer live through it, and `mask.other_call` sees a mask that is kept."""

from __future__ import annotations

import dataclasses

import pytest
from simulated import TODAY, right, variant
from target_cases import PORTS, differences, dropout, outcomes

from harness.comparison.checks.base import planned
from harness.comparison.compare import compare
from harness.comparison.context import Context
from harness.execution.plan import AGAIN, OTHER_CALL, passes_of, second_call
from harness.records import BackendRef, Compared, JobResult, PassResult, Verdict
from harness.running import run

KEPT = {OTHER_CALL: "fail: the second call has the first one's mask at input: drawn once and kept"}
CASE = variant(
    "dropout", {"rate": 0.3}, {"x": (6, 8, 10)}, backends=(BackendRef("numpy", "own", target="port.py:run"),)
)


def test_a_mask_that_is_kept_in_numpy() -> None:
    found = outcomes("numpy", "called_numpy.py", "anew", "cached", "plain", "raises_at_the_second_call")
    assert differences(found["anew"]) == differences(found["plain"]) == {}
    assert differences(found["cached"]) == KEPT
    assert differences(found["raises_at_the_second_call"]) == {
        "run.completes": "error: called_numpy.py:38: ValueError: once is enough"
    }


def test_a_mask_that_is_kept_in_torch() -> None:
    found = outcomes("torch", "called_torch.py", "anew", "cached", "initialised", "seeds")
    assert differences(found["anew"]) == differences(found["initialised"]) == {}
    assert differences(found["cached"]) == KEPT
    (row,) = (row for row in found["seeds"].rows if row.verdict is not Verdict.PASS)
    assert (row.check, row.verdict) == (OTHER_CALL, Verdict.UNSUPPORTED)
    assert "case.keep(make)" in row.cause


@pytest.mark.slow
def test_a_mask_that_is_kept_in_tensorflow() -> None:
    found = outcomes("tensorflow", "called_tensorflow.py", "in_a_function", "cached", "initialised")
    assert differences(found["in_a_function"]) == differences(found["initialised"]) == {}
    assert differences(found["cached"]) == KEPT


@pytest.mark.parametrize("draws", ["native", "replay"])
def test_a_layer_that_keeps_its_states(draws: str) -> None:
    targets = ("stateful", "never_reset", "forgets")
    case = variant(
        "lstm", {"units": 6, "return_sequences": True, "return_state": True, "stateful": True}, {"x": (4, 7, 3)},
        gradients=False, draws=draws,
    )  # fmt: skip
    refs = [BackendRef("numpy", name=one, target=f"{PORTS}/called_numpy.py:{one}") for one in targets]
    found = dict(zip(targets, run([dataclasses.replace(case, backends=tuple(refs))]), strict=True))
    assert differences(found["stateful"]) == {}
    assert list(differences(found["never_reset"])) == ["state.reset"]
    assert list(differences(found["forgets"])) == ["state.continued"]


# --- the check itself, with its fault planted ----------------------------------------------------------------------------


def simulated(second: str) -> Compared:
    """A right implementation whose second call draws `anew`, has the `same` mask, draws `nothing` or is `refused`."""
    context, ref = Context(CASE), CASE.backends[0]
    passes = []
    for one in second_call(CASE, ref, passes_of(CASE)):
        if one.role != AGAIN:
            passes.append((one, right(context, one)))
        elif second != "refused":
            again = right(context, dataclasses.replace(one, seed=99) if second == "anew" else one)
            passes.append((one, PassResult(again.outputs, {}, {}) if second == "nothing" else again))
    return compare(JobResult(CASE, ref, tuple(passes)), context, TODAY)


@pytest.mark.parametrize(
    ("second", "verdict", "words"),
    [
        ("anew", Verdict.PASS, ""),
        ("same", Verdict.FAIL, "the second call has the first one's mask at input"),
        ("nothing", Verdict.FAIL, "drew nothing at input"),
        ("refused", Verdict.UNSUPPORTED, "makes its layer anew in every call"),
    ],
)
def test_the_second_calls_mask(second: str, verdict: Verdict, words: str) -> None:
    (row,) = (row for row in simulated(second).rows if row.check == OTHER_CALL)
    assert row.verdict is verdict
    assert words in row.cause


def owed(backend: BackendRef, **changes: object) -> bool:
    case = dataclasses.replace(CASE, backends=(backend,), **changes)
    roles = [one.role for one in second_call(case, backend, passes_of(case))]
    found = OTHER_CALL in planned(Context(case), lambda _: True, backend)
    assert (AGAIN in roles) == found
    return found


def test_it_is_owed_by_own_code_and_where_the_case_lists_it() -> None:
    own, native = CASE.backends[0], BackendRef("torch", "torch.nn.Dropout")
    assert owed(own)
    assert owed(own, checks=("mask.*",))
    assert not owed(native)
    assert owed(native, checks=("mask.sites", OTHER_CALL))
    assert not owed(BackendRef("jax", target="port.py:run"))
    assert not owed(own, draws="replay")
    assert not owed(own, mode="eval")


def test_a_native_layer_draws_anew_where_the_case_asks() -> None:
    pytest.importorskip("torch")
    case = dropout("torch", "unused.py:run", checks=(OTHER_CALL,), backends=(BackendRef("torch", "torch.nn.Dropout"),))
    (found,) = run([case])
    assert [(row.check, row.verdict) for row in found.rows] == [(OTHER_CALL, Verdict.PASS)]
