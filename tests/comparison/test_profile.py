"""The measured profile: what a right implementation shows, and that planted differences change the entry that they should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated import TODAY, Mutate, judged, right, variant

from harness.comparison.context import Context
from harness.comparison.profile import differing, drawn_in_order
from harness.execution.plan import passes_of
from harness.records import JobResult, Pass, PassResult, Role, Variant
from harness.running import conclude
from harness.tape import UNIFORM, Draw

SEQUENCE = {"return_sequences": True, "return_state": True}
DROPOUT = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)})
GATES = variant(
    "lstm",
    {"units": 12, **SEQUENCE},
    {"x": (8, 7, 10)},
    [{"at": "input", "rate": 0.5, "shared": ["time"]}, {"at": "state.h", "rate": 0.5, "shared": ["time"]}],
)


def profile(case: Variant, mutate: Mutate = lambda _c, _o, result: result) -> dict[str, str]:
    return dict(judged(case, mutate).profile)


def with_draws(change: object) -> Mutate:
    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        return right(context, one, change(one, dict(result.draws)))  # type: ignore[operator]

    return mutate


def test_what_dropout_shows() -> None:
    found = profile(DROPOUT)
    assert found["draws, in order"] == "input"
    assert found["draws in evaluation"] == "nothing"
    assert found["input: shared over"] == "nothing"
    assert found["input: drawn anew over"] == "batch, time, features"
    assert found["input: border"] == "float32 uniforms"
    assert found["input: keeps where"] == "u >= rate or floor(keep + u)"
    assert found["scale of survivors"] == f"{1 / 0.7:.6g}"
    assert "x / d(keep)" in found["rounding rules that fit"]
    assert found["same seed again"] == "the same draws"
    assert found["another seed"] == "other draws"
    assert found["agrees with the reference"] == "in everything"


def test_what_masks_of_four_gates_show() -> None:
    found = profile(GATES)
    assert found["draws, in order"] == "input, state.h"
    assert found["state.h: shared over"] == "time"
    assert found["state.h: gates with equal masks"] == "none"
    assert found["dropout touches"] == "h"
    assert found["states"] == "h is the hidden state, c the cell state"
    assert found["last step of the sequence"] == "is h, bit for bit"


def other_rule(context: Context, one: Pass, result: PassResult) -> PassResult:
    """A framework that keeps where u < keep, recorded under the wrong rule: the outputs tell."""
    if one.mode != "train":
        return result
    draw = result.draws["input"]
    meant = right(context, one, {"input": draw._replace(rule="u < keep")})
    return dataclasses.replace(meant, draws={"input": draw})


def reused(_one: Pass, draws: dict[str, Draw]) -> dict[str, Draw]:
    values = draws["state.h"].values.copy()
    values[2] = values[1]
    return {**draws, "state.h": draws["state.h"]._replace(values=values)}


@pytest.mark.parametrize(
    ("case", "mutate", "entry", "seen"),
    [
        (DROPOUT, other_rule, "input: keeps where", "u < keep"),
        (GATES, with_draws(reused), "state.h: gates with equal masks", "f = g"),
        (
            DROPOUT,
            with_draws(lambda _one, draws: {"input": draws["input"]._replace(values=draws["input"].values[:, :1])}),
            "input: shared over",
            "time",
        ),
        (
            DROPOUT,
            with_draws(
                lambda _one, _draws: {
                    "input": Draw(UNIFORM, np.random.default_rng(9).random((6, 8, 10), np.float32), "u >= rate")
                }
            ),
            "another seed",
            "the same draws",
        ),
        (
            GATES,
            lambda _c, _o, result: dataclasses.replace(
                result, outputs={**result.outputs, "h": result.outputs["c"], "c": result.outputs["h"]}
            ),
            "states",
            "h and c are swapped",
        ),
        (
            DROPOUT,
            lambda context, one, result: (
                right(context, dataclasses.replace(one, mode="train")) if one.role == "eval" else result
            ),
            "draws in evaluation",
            "input",
        ),
    ],
)
def test_a_difference_changes_its_entry(case: Variant, mutate: Mutate, entry: str, seen: str) -> None:
    found = profile(case, mutate)
    assert found[entry] == seen
    assert differing(profile(case), found)[entry][1] == seen


def called_twice(case: Variant, change: object) -> dict[str, str]:
    """The profile with a second call after one seeding, whose draws `change` makes of the first call's."""
    context = Context(case)
    passes = tuple((one, right(context, one)) for one in passes_of(case))
    draws = {key: draw._replace(values=change(draw.values)) for key, draw in passes[0][1].draws.items()}  # type: ignore[operator]
    again = Pass(Role.AGAIN, case.seeds[0], "train")
    found = conclude(
        JobResult(case, case.backends[0], (*passes, (again, right(context, again, draws)))), context, TODAY
    )
    return dict(found.profile)


def test_a_mask_that_is_kept_for_the_next_call() -> None:
    assert called_twice(GATES, lambda values: values)["state.h: a second call"] == "the same mask"
    assert called_twice(GATES, lambda values: values[..., ::-1])["state.h: a second call"] == "drawn anew"
    assert "state.h: a second call" not in profile(GATES)


def test_survivors_that_are_not_scaled() -> None:
    def unscaled(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        other = dataclasses.replace(GATES, sites=tuple(site._replace(scale="none") for site in GATES.sites))
        return dataclasses.replace(right(Context(other), one), draws=result.draws)

    assert profile(GATES)["state.h: survivors times"] == "1 / (1 - rate)"
    one_site = dataclasses.replace(GATES, sites=GATES.sites[:1])
    assert profile(one_site)["input: survivors times"] == "1 / (1 - rate)"
    both = profile(GATES, unscaled)
    assert "state.h: survivors times" not in both  # neither site alone explains it

    def one_unscaled(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        first = GATES.sites[0]._replace(scale="none")
        return right(Context(dataclasses.replace(one_site, sites=(first,))), one)

    assert profile(one_site, one_unscaled)["input: survivors times"] == "1"


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ((("input", (6, 8)), *[("state.h", (6, 4))] * 4), "input (6, 8), 4 x state.h (6, 4)"),
        ((("input", (6, 8)), ("state.h", (6, 4))) * 3, "3 x [input (6, 8), state.h (6, 4)]"),
        (
            (*(("state.h", (6, 4)), ("state.c", (6, 4))) * 2, ("output", (6, 4)), ("output", (6, 4))),
            "2 x [state.h (6, 4), state.c (6, 4)], 2 x output (6, 4)",
        ),
        ((*[("input", (6, 8))] * 4, *[("state.h", (6, 4))] * 4) * 2, "2 x [4 x input (6, 8), 4 x state.h (6, 4)]"),
        ((("", (6, 8)),), "unused (6, 8)"),
        ((), "input"),
    ],
)
def test_the_order_of_draws(order: tuple[tuple[str, tuple[int, ...]], ...], text: str) -> None:
    result = PassResult({}, {}, {"input": Draw(UNIFORM, np.zeros(1))}, order=order)
    assert drawn_in_order(result) == text
