"""A second call of a port: `case.keep` makes a layer live through it, and `mask.other_call` sees a mask that is kept."""

from __future__ import annotations

import dataclasses

import pytest
from simulated import TODAY, right, variant
from target_cases import PORTS, differences, dropout, outcomes

from harness.comparison.checks.base import planned
from harness.comparison.context import Context
from harness.execution.plan import LATER_CALL, OTHER_CALL, later_calls, passes_of
from harness.records import BackendRef, Compared, JobResult, PassResult, Role, Verdict
from harness.running import conclude, run

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
    """A right implementation whose second call draws `anew`, has the `same` mask, draws `nothing`, is `seeded` or `refused`.

    `every third` draws anew in the second call, and has the first one's mask in the third.
    """
    context, ref = Context(CASE), CASE.backends[0]
    passes = []
    for one in later_calls(CASE, ref, passes_of(CASE)):
        if one.role is Role.THIRD and second in ("anew", "nothing"):
            passes.append((one, right(context, dataclasses.replace(one, seed=98))))
        elif one.role is not Role.AGAIN:
            passes.append((one, right(context, one)))
        elif second != "refused":
            again = right(context, dataclasses.replace(one, seed=99) if second in ("anew", "every third") else one)
            again = PassResult(again.outputs, {}, {}) if second == "nothing" else again
            passes.append((one, dataclasses.replace(again, anew=second == "seeded")))
    return conclude(JobResult(CASE, ref, tuple(passes)), context, TODAY)


@pytest.mark.parametrize(
    ("second", "verdict", "words"),
    [
        ("anew", Verdict.PASS, ""),
        ("every third", Verdict.FAIL, "a later call has an earlier one's mask at input"),
        ("same", Verdict.FAIL, "the second call has the first one's mask at input"),
        ("nothing", Verdict.FAIL, "drew nothing at input"),
        ("seeded", Verdict.UNSUPPORTED, "makes its layer anew in every call"),
        ("refused", Verdict.UNSUPPORTED, "is not called twice"),
    ],
)
def test_the_second_calls_mask(second: str, verdict: Verdict, words: str) -> None:
    (row,) = (row for row in simulated(second).rows if row.check == OTHER_CALL)
    assert row.verdict is verdict
    assert words in row.cause


def owed(backend: BackendRef, **changes: object) -> bool:
    case = dataclasses.replace(CASE, backends=(backend,), **changes)
    roles = [one.role for one in later_calls(case, backend, passes_of(case))]
    found = OTHER_CALL in planned(Context(case), lambda _: True, backend)
    assert (Role.AGAIN in roles) == (found or LATER_CALL in planned(Context(case), lambda _: True, backend))
    return found


def test_a_layer_that_cannot_be_called_again_is_compared_all_the_same() -> None:
    case = variant(
        "lstm", {"units": 3, "return_sequences": True}, {"x": (2, 4, 3)},
        gradients=False, backends=(BackendRef("numpy"),), checks=("value.y", LATER_CALL, OTHER_CALL),
    )  # fmt: skip
    (found,) = run([case])
    assert {row.check: row.verdict for row in found.rows} == {
        "value.y": Verdict.PASS,
        LATER_CALL: Verdict.UNSUPPORTED,
    }


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


# --- what is carried over from call to call ------------------------------------------------------------------------------

RECURRENT = variant(
    "lstm", {"units": 6, "return_sequences": True, "return_state": True}, {"x": (4, 7, 5)},
    [{"at": "weight.recurrent", "rate": 0.5}], gradients=False,
)  # fmt: skip
LEAKS = {
    "state": "it starts from the first call's last (h, c)",
    "evaluation": "a second call in evaluation is not: it starts from the first call's last (h, c)",
    "weights": "it starts from the weights that the first call dropped",
    "third": "the third call is not: something is carried over from call to call",
}


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["native", "replay"])
def test_what_leaks_from_call_to_call_is_seen_and_named(draws: str) -> None:
    pytest.importorskip("torch")
    options: list[dict[str, object]] = [{"leak": leak} for leak in (*LEAKS, "none")] + [
        {"leak": "state", "wrong": True}
    ]
    ports = [BackendRef("torch", str(each), target=f"{PORTS}/leaking_torch.py:run", options=each) for each in options]
    *leaking, right_port, wrong = run([dataclasses.replace(RECURRENT, draws=draws, backends=tuple(ports))])
    assert differences(right_port) == {}
    for words, compared in zip(LEAKS.values(), leaking, strict=True):
        assert list(differences(compared)) == [LATER_CALL]
        assert words in differences(compared)[LATER_CALL]
    # What differs in the first call already leaves the question open, and says so.
    assert differences(wrong)[LATER_CALL].startswith("unsupported: not asked, since the first call's")


def test_it_is_asked_of_own_code_alone_and_of_no_layer_that_keeps_its_states() -> None:
    own = CASE.backends[0]
    owed = [one for one in planned(Context(CASE), lambda _: True, own) if one == LATER_CALL]
    assert owed == [LATER_CALL]
    assert LATER_CALL not in planned(Context(CASE), lambda _: True, BackendRef("torch", "torch.nn.Dropout"))
    stateful = variant("lstm", {"units": 2, "stateful": True}, {"x": (2, 3, 2)})
    assert LATER_CALL not in planned(Context(stateful), lambda _: True, own)
