"""The contract of taps. `taps/` has how a framework is asked, and tables; its own facts are in test_<framework>_tap.py.

A program is a function of a border: what it drops, draws and loops over is the framework's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from harness.frameworks.contract.adapter import Tap
from harness.tape import BERNOULLI, NORMAL, Draw, TapeMismatch, decisions, standard_normal

Program = Callable[[Any], Sequence[Any]]

#: By name: the framework, and whether programs are traced before they run.
BORDERS = {
    "torch": ("torch", False),
    "tensorflow": ("tensorflow", False),
    "tensorflow, traced": ("tensorflow", True),
    "jax": ("jax", True),
    "jax, not compiled": ("jax", False),
}
RATE = 0.3
KEPT = np.array([[True, False, True], [False, False, True]])
NORMALS = np.array([[0.25, -1.5, 2.0], [0.0, 1.0, -0.75]])  # exact in every dtype
MASKS = [Draw(BERNOULLI, KEPT), Draw(BERNOULLI, ~KEPT)]

every_border = pytest.mark.parametrize("name", BORDERS)
#: Compiling takes seconds, and the dtypes are those of the same program that is not compiled.
every_dtype = pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, dtype) for name in BORDERS for dtype in ("float16", "bfloat16", "float32", "float64")
     if name != "jax" or dtype == "float32"],
)  # fmt: skip


def asked(name: str) -> Any:
    framework, _ = BORDERS[name]
    pytest.importorskip(framework)
    return importlib.import_module(f"tests.frameworks.taps.{framework}")


def border(name: str, dtype: str = "float32") -> Any:
    return asked(name).Border(dtype, BORDERS[name][1])


def tapped(
    border: Any, program: Program, replay: Sequence[Draw] | None = None, seed: int = 0
) -> tuple[list[np.ndarray], Tap]:
    """What a program gives under a tap, and the tap."""
    with border.Tap(replay) as tap:
        return border.run(program, seed, tap), tap


def mixed(rate: float = RATE) -> Program:
    """A mask, normals, another mask."""
    return lambda draws: [draws.ones((2, 3), rate), draws.normal((2, 3)), draws.ones((2, 3), rate)]


def looped(draws: Any) -> list[Any]:
    """A mask, four steps of a mask and normals, and a mask."""
    first = draws.ones((2, 3), RATE)
    rows = draws.loop(4, lambda draws: [draws.ones((2, 3), RATE), draws.normal((2, 3))])
    return [first, rows, draws.ones((2, 3), RATE)]


def in_order(values: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Every drawn (2, 3), in the order in which a program draws."""
    return (each for value in values for each in value.reshape(-1, *KEPT.shape))


def equal(values: list[np.ndarray], others: list[np.ndarray]) -> None:
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value, other)


def drew(draws: Sequence[Draw], values: list[np.ndarray], rate: float = RATE) -> None:
    """The draws are what the program had, in order."""
    for draw, value in zip(draws, in_order(values), strict=True):
        if draw.kind == NORMAL:
            np.testing.assert_array_equal(draw.values, value)
        else:
            np.testing.assert_array_equal(decisions(draw, rate), value != 0)


def taken(border: Any, program: Program, tape: Sequence[Draw], rate: float = RATE) -> None:
    """A program has what the tape says, element for element, and that is recorded."""
    values, tap = tapped(border, program, tape)
    assert tap.replay == []
    for value, draw in zip(in_order(values), tape, strict=True):
        np.testing.assert_array_equal(value.astype(np.float64) if draw.kind == NORMAL else value != 0, draw.values)
    drew(tap.draws, values, rate)


@every_dtype
def test_recording(name: str, dtype: str) -> None:
    """Every draw is recorded in order, with its kind, shape and dtype, and the tap changes nothing."""
    at = border(name, dtype)
    values, tap = tapped(at, mixed(), seed=3)
    equal(values, at.run(mixed(), 3, None))
    drew(tap.draws, values)
    assert [(draw.kind, draw.rule) for draw in tap.draws] == [(at.kind, at.rule), (NORMAL, ""), (at.kind, at.rule)]
    assert all(draw.values.dtype.name in (dtype, "bool")[draw.kind == BERNOULLI :] for draw in tap.draws)


@every_dtype
def test_a_tape_is_what_is_drawn(name: str, dtype: str) -> None:
    """Whatever the rate."""
    at = border(name, dtype)
    lowest = asked(name).LOWEST[dtype]
    for rate in (lowest, RATE, 1.0 - lowest):
        taken(at, mixed(rate), [MASKS[0], Draw(NORMAL, NORMALS), MASKS[1]], rate)


@every_border
def test_a_loop_goes_step_by_step(name: str) -> None:
    """After what is before it, before what is after it. Its own draws, replayed, give the same bits."""
    at = border(name)
    values, tap = tapped(at, looped)
    if name != "tensorflow, traced":  # without the tap its steps race
        equal(values, at.run(looped, 0, None))
    drew(tap.draws, values)
    kinds = [draw.kind == NORMAL for draw in tap.draws]
    assert kinds == [False, *[False, True] * 4, False]
    tape = [Draw(NORMAL, standard_normal(draw)) if draw.kind == NORMAL else Draw(BERNOULLI, decisions(draw, RATE))
            for draw in tap.draws]  # fmt: skip
    equal(values, tapped(at, looped, tape, seed=99)[0])
    shuffle = np.random.default_rng(0).permutation
    taken(
        at, looped, [Draw(NORMAL, shuffle(NORMALS)) if normal else Draw(BERNOULLI, shuffle(KEPT)) for normal in kinds]
    )


@every_dtype
def test_every_function_that_draws(name: str, dtype: str) -> None:
    """One draw of its kind and shape; on a tape, what that says; and what it drew itself gives the same again."""
    at = border(name, dtype)
    generator = np.random.default_rng(0)
    for word, (function, shape, how) in asked(name).FUNCTIONS.items():

        def program(draws: Any, function: Any = function) -> list[Any]:
            return [function(draws)]

        normal = isinstance(how, tuple)
        kind = NORMAL if normal else BERNOULLI
        values, tap = tapped(at, program)
        if word not in getattr(asked(name), "UNSEEDED", ()):
            equal(values, at.run(program, 0, None))
        (draw,) = tap.draws
        assert (draw.kind, draw.values.shape) == (NORMAL if normal else at.kind, shape), word
        assert draw.params.get("keep", 0.6) == pytest.approx(0.6, rel=2**-8), word  # as a tensor it has its dtype
        wanted = generator.integers(-8, 9, shape) / 4 if normal else generator.random(shape) < 0.5
        (value,), again = tapped(at, program, [Draw(kind, wanted)])
        value = value.astype(np.float64)
        value = (value - how[0]) / how[1] if normal else value == value.max()
        found = standard_normal(again.draws[0]) if normal else decisions(again.draws[0], how)
        for each in (value, found):
            np.testing.assert_array_equal(each, np.broadcast_to(wanted, each.shape), err_msg=word)
        if draw.kind == kind:
            own = standard_normal(draw) if normal else draw.values
            equal(values, tapped(at, program, [Draw(kind, own)])[0])


@every_border
@pytest.mark.parametrize(
    ("tape", "message"),
    [
        ([], "the tape has ended"),
        (MASKS[:1], "drew normal|the tape has ended"),
        ([Draw(BERNOULLI, KEPT.T), *MASKS], r"\(2, 3\) where the tape has bernoulli\(3, 2\)"),
        ([Draw(NORMAL, NORMALS), *MASKS], "drew bernoulli.* where the tape has normal"),
        ([*MASKS, MASKS[0]], "drew normal.* where the tape has bernoulli"),
    ],
    ids=["none", "too few", "another shape", "normals for a mask", "a mask for normals"],
)
def test_a_tape_that_does_not_fit(name: str, tape: list[Draw], message: str) -> None:
    """TapeMismatch, through whatever a framework makes of an error inside of it; what follows draws as before, unseen."""
    at = border(name)
    before = at.run(mixed(), 5, None)
    with pytest.raises(TapeMismatch, match=message), at.Tap(tape) as tap:
        at.run(mixed(), 0, tap)
    seen = len(tap.draws)
    equal(before, at.run(mixed(), 5, None))
    assert len(tap.draws) == seen


@every_border
def test_draws_left_on_the_tape_are_left(name: str) -> None:
    _, tap = tapped(border(name), lambda draws: [draws.ones((2, 3), RATE)], MASKS)
    assert tap.replay == MASKS[1:]


@every_border
def test_randomness_that_no_dropout_is_known_to_use_is_an_error(name: str) -> None:
    tables = asked(name)
    for word, function in getattr(tables, "UNKNOWN", {}).items():
        with pytest.raises(TapeMismatch, match=tables.REFUSAL), tables.Border.Tap() as tap:
            function()
        assert tap.draws == [], word
        if word != "not deterministic":  # and outside of a tap all is as it was
            function()


@every_border
def test_what_draws_no_dropout_is_not_recorded(name: str) -> None:
    at, silent = border(name), getattr(asked(name), "SILENT", {})
    for replay in (None, MASKS[:1]):
        with at.Tap(replay) as tap:
            for word, function in silent.items():
                function()
                assert tap.draws == [], word
            at.run(lambda draws: [draws.ones((2, 3), RATE)], 0, tap)
        assert len(tap.draws) == 1
