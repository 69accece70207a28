"""Every check passes on a right implementation, and has its fault planted and caught."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from simulated import Mutate, right, rows, variant

from harness.comparison.checks.base import checks, planned
from harness.comparison.context import Context
from harness.records import ArraySpec, Pass, PassResult, Role, Variant, Verdict
from harness.tape import UNIFORM, Draw

DROPOUT = variant("dropout", {"rate": 0.3}, {"x": (6, 8, 10)})
SPATIAL = variant("dropout", {"rate": 0.3, "shared": ["time"]}, {"x": (12, 4, 16)})
REPLAY = dataclasses.replace(DROPOUT, draws="replay")
RATE0 = variant("dropout", {"rate": 0.0}, {"x": (6, 8, 10)})
RATE1 = variant("dropout", {"rate": 1.0}, {"x": (6, 8, 10)})
GAUSSIAN = variant("gaussian_dropout", {"rate": 0.3}, {"x": (20, 8, 10)})
ADDITIVE = variant("gaussian_noise", {"stddev": 0.5}, {"x": (20, 8, 10)})
MASKED = variant("masked_gaussian_noise", {"rate": 0.3, "stddev": 0.5}, {"x": (20, 8, 10)})
ALPHA = variant("alpha_dropout", {"rate": 0.3}, {"x": (6, 8, 10)})
SEQUENCE = {"return_sequences": True, "return_state": True}
LSTM = variant("lstm", {"units": 6, **SEQUENCE}, {"x": (4, 7, 3)})
STACK = variant(
    "lstm", {"units": 6, "layers": 2, **SEQUENCE}, {"x": (4, 7, 3)}, [{"at": "between_layers", "rate": 0.4}]
)
OUTPUT = variant("lstm", {"units": 10, **SEQUENCE}, {"x": (5, 7, 3)}, [{"at": "output", "rate": 0.5}])
VARIATIONAL = variant(
    "lstm",
    {"units": 12, **SEQUENCE},
    {"x": (8, 7, 10)},
    [{"at": "input", "rate": 0.5, "shared": ["time"]}, {"at": "state.h", "rate": 0.5, "shared": ["time"]}],
)
NOISY = variant(
    "lstm",
    {"units": 6, **SEQUENCE},
    {"x": (12, 9, 8)},
    [
        {"at": "input", "rate": 0.5, "noise": "gaussian", "shared": ["gates"]},
        {"at": "state.h", "rate": 0.2, "noise": "gaussian"},
    ],
)
NOISY_STACK = variant(
    "lstm", {"units": 3, "layers": 2}, {"x": (20, 9, 4)}, [{"at": "between_layers", "rate": 0.5, "noise": "gaussian"}]
)
NOISY_REPLAY = dataclasses.replace(NOISY, draws="replay")
SCALAR = variant("dropout", {"rate": 0.5}, {"x": ()})
HANDOVER = variant("encoder_decoder", {"units": 6, **SEQUENCE}, {"x": (4, 7, 3), "z": (4, 5, 2)})
CASES = {
    name: value for name, value in list(globals().items()) if isinstance(value, Variant)
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_right_implementation_passes_every_check(name: str) -> None:
    found = rows(CASES[name])
    assert {check: row.cause for check, row in found.items() if row.verdict is not Verdict.PASS} == {}
    assert set(found) == set(planned(Context(CASES[name]), lambda _: True, CASES[name].backends[0]))


@pytest.mark.parametrize("name", ["DROPOUT", "GAUSSIAN", "ALPHA", "VARIATIONAL", "HANDOVER"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_pass_too(name: str, dtype: str) -> None:
    found = rows(dataclasses.replace(CASES[name], dtype=dtype))
    bad = {
        check: row.cause for check, row in found.items() if row.verdict not in (Verdict.PASS, Verdict.ILL_CONDITIONED)
    }
    assert bad == {}


# --- faults ---------------------------------------------------------------------------------------------------------


def outputs(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], *roles: str) -> Mutate:
    """A fault in the outputs of the passes of these roles (default: every training pass)."""

    def mutate(_context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.role not in (roles or ("train", Role.REPEAT, Role.OTHER)):
            return result
        return dataclasses.replace(result, outputs={**result.outputs, **change(dict(result.outputs))})

    return mutate


def gradients(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Mutate:
    def mutate(_context: Context, one: Pass, result: PassResult) -> PassResult:
        if not result.gradients:
            return result
        return dataclasses.replace(result, gradients=change(dict(result.gradients)))

    return mutate


def redrawn(change: Callable[[Pass, dict[str, Draw]], dict[str, Draw]]) -> Mutate:
    """A fault in the draws that the layer then really uses: outputs and gradients follow them."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        if one.mode != "train":
            return result
        return right(context, one, change(one, dict(result.draws)))

    return mutate


def relabelled(change: Callable[[Pass, dict[str, Draw]], dict[str, Draw]]) -> Mutate:
    """A fault in the draws alone: the outputs are those of the true ones."""

    def mutate(_context: Context, one: Pass, result: PassResult) -> PassResult:
        return dataclasses.replace(
            result, draws=change(one, dict(result.draws)) if one.mode == "train" else result.draws
        )

    return mutate


def with_values(draws: dict[str, Draw], key: str, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Draw]:
    return {**draws, key: draws[key]._replace(values=change(draws[key].values))}


def step_drops_more(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[:, 2] *= np.float32(0.4)
    return changed


def everywhere_first_time(values: np.ndarray) -> np.ndarray:
    return np.broadcast_to(values[:, :1], values.shape).copy()


def keep_for_rate(context: Context, one: Pass, result: PassResult) -> PassResult:
    """Keep probability taken for rate: drops 70 % where 30 % were meant, and scales to match."""
    if one.mode != "train":
        return result
    wrong = {key: draw._replace(values=(1.0 - draw.values).astype(np.float32)) for key, draw in result.draws.items()}
    (site,) = context.variant.sites
    swapped = dataclasses.replace(context.variant, sites=(site._replace(rate=site.keep),))
    other = right(Context(swapped), one, wrong)
    # The tap sees what the layer decided: those masks, at the border's own decision.
    decided = {
        key: Draw("bernoulli", draw.values >= np.float32(site.keep), params={"keep": site.rate}, site=key)
        for key, draw in wrong.items()
    }
    return dataclasses.replace(other, draws=decided)


def scaled(factor: float) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda found: {"y": (found["y"] * found["y"].dtype.type(factor)).astype(found["y"].dtype)}


def swapped(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"h": found["c"], "c": found["h"]}


def decoder_from(start: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Mutate:
    """A decoder that starts from something else than (h, c)."""

    def mutate(context: Context, one: Pass, result: PassResult) -> PassResult:
        inputs, weights, _ = context.arrays()
        lstm = variant("lstm", {"units": 6, **SEQUENCE}, {"x": (4, 5, 2), "h0": (4, 6), "c0": (4, 6)})
        h0, c0 = start(result.outputs["encoder.h"], result.outputs["encoder.c"])
        own = {name.removeprefix("decoder."): array for name, array in weights.items() if name.startswith("decoder.")}
        found = Context(lstm).kind.evaluate(
            lstm.config, {"x": inputs["z"], "h0": h0, "c0": c0}, own, (), {}, train=one.mode == "train"
        )
        like = result.outputs["y"].dtype
        return dataclasses.replace(
            result, outputs={**result.outputs, **{name: array.astype(like) for name, array in found.outputs.items()}}
        )

    return mutate


def no_repeat(one: Pass, draws: dict[str, Draw]) -> dict[str, Draw]:
    return with_values(draws, "input", lambda u: u[::-1].copy()) if one.role == Role.REPEAT else draws


def last_bit(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.nextafter(array, np.inf, dtype=array.dtype) for name, array in found.items()}


FAULTS: dict[str, tuple[Variant, Mutate, str, Verdict]] = {
    # name: (case, fault, check that must catch it, verdict)
    "dropout absent": (DROPOUT, relabelled(lambda _one, _draws: {}), "mask.sites", Verdict.FAIL),
    "dropout where none is meant": (
        LSTM,
        lambda _c, one, result: dataclasses.replace(
            result, draws={"output": Draw("bernoulli", np.ones((4, 7, 6), bool))} if one.mode == "train" else {}
        ),
        "value.y",
        Verdict.PASS,  # no site, so no mask check is owed; the numbers are the same, and that is what counts
    ),
    "dropout at another site": (
        OUTPUT,
        relabelled(lambda _one, draws: {"state.h": draws["output"]}),
        "mask.sites",
        Verdict.FAIL,
    ),
    "mask drawn anew at each step": (
        SPATIAL,
        redrawn(
            lambda one, _draws: {
                "input": Draw(UNIFORM, np.random.default_rng(one.seed).random((12, 4, 16), np.float32), "u >= rate")
            }
        ),
        "mask.shared",
        Verdict.FAIL,
    ),
    "mask shared over time": (
        DROPOUT,
        redrawn(lambda _one, draws: with_values(draws, "input", everywhere_first_time)),
        "mask.shared",
        Verdict.FAIL,
    ),
    "mask shared over the batch": (
        DROPOUT,
        redrawn(lambda _one, draws: with_values(draws, "input", lambda u: u[:1])),
        "mask.shared",
        Verdict.FAIL,
    ),
    "one mask for all gates": (
        VARIATIONAL,
        redrawn(lambda _one, draws: with_values(draws, "state.h", lambda u: u[:1])),
        "mask.shared",
        Verdict.FAIL,
    ),
    "keep probability taken for rate": (DROPOUT, keep_for_rate, "mask.rate", Verdict.FAIL),
    "rate off by a fifth": (
        DROPOUT,
        redrawn(lambda _one, draws: with_values(draws, "input", lambda u: (u * np.float32(0.6)).astype(np.float32))),
        "mask.rate",
        Verdict.FAIL,
    ),
    "every second element repeats its neighbour": (
        DROPOUT,
        redrawn(lambda _one, draws: with_values(draws, "input", lambda u: np.repeat(u[..., ::2], 2, axis=-1))),
        "mask.independence",
        Verdict.FAIL,
    ),
    "one time step drops twice as often": (
        DROPOUT,
        redrawn(lambda _one, draws: with_values(draws, "input", step_drops_more)),
        "mask.frequency",
        Verdict.FAIL,
    ),
    "another mask from the same seed": (DROPOUT, redrawn(no_repeat), "mask.same_seed", Verdict.NONDETERMINISTIC),
    "the seed is ignored": (
        DROPOUT,
        redrawn(
            lambda _one, draws: with_values(
                draws, "input", lambda u: np.random.default_rng(5).random(u.shape, np.float32)
            )
        ),
        "mask.other_seed",
        Verdict.FAIL,
    ),
    "the tape is ignored": (
        REPLAY,
        redrawn(lambda _one, draws: with_values(draws, "input", lambda kept: kept[::-1].copy())),
        "mask.replayed",
        Verdict.FAIL,
    ),
    "another mask in the backward pass": (
        DROPOUT,
        gradients(lambda found: {"x": found["x"][::-1].copy()}),
        "mask.backward",
        Verdict.FAIL,
    ),
    "scale missing": (DROPOUT, outputs(scaled(0.7)), "scale.survivors", Verdict.FAIL),
    "scale twice": (DROPOUT, outputs(scaled(1 / 0.7)), "scale.survivors", Verdict.FAIL),
    "scale by one over rate": (DROPOUT, outputs(scaled(0.7 / 0.3)), "scale.survivors", Verdict.FAIL),
    "scale missing at the output": (OUTPUT, outputs(scaled(0.5)), "scale.survivors", Verdict.FAIL),
    "scale at the output off by more than rounding": (OUTPUT, outputs(scaled(1.0001)), "scale.rounding", Verdict.FAIL),
    "dropped elements not zero": (
        DROPOUT,
        outputs(lambda found: {"y": np.where(found["y"] == 0, np.float32(1e-3), found["y"])}),
        "scale.survivors",
        Verdict.FAIL,
    ),
    "no rounding rule": (
        DROPOUT,
        outputs(lambda found: {"y": np.nextafter(found["y"], np.float32(9), dtype=np.float32)}),
        "scale.rounding",
        Verdict.FAIL,
    ),
    "uniform instead of normal noise": (
        ADDITIVE,
        lambda context, one, result: (
            dataclasses.replace(
                result,
                outputs={
                    "y": context.arrays()[0]["x"]
                    + np.float32(0.5 * np.sqrt(12))
                    * (np.random.default_rng(one.seed).random((20, 8, 10), np.float32) - np.float32(0.5))
                },
            )
            if one.mode == "train"
            else result
        ),
        "noise.family",
        Verdict.FAIL,
    ),
    "normals of another family within a layer": (
        NOISY,
        redrawn(
            lambda one, draws: with_values(
                draws,
                "state.h",
                lambda z: (
                    (np.random.default_rng(one.seed).random(z.shape, np.float32) - np.float32(0.5))
                    * np.float32(np.sqrt(12))
                ),
            )
        ),
        "noise.family",
        Verdict.FAIL,
    ),
    "normals with a mean within a layer": (
        NOISY_STACK,
        redrawn(lambda _one, draws: with_values(draws, "between_layers", lambda z: z + np.float32(0.4))),
        "noise.mean",
        Verdict.FAIL,
    ),
    "normals with another spread within a layer": (
        NOISY,
        redrawn(lambda _one, draws: with_values(draws, "input", lambda z: z * np.float32(0.3))),
        "noise.spread",
        Verdict.FAIL,
    ),
    "normals within a layer that are not what multiplies": (
        NOISY,
        relabelled(lambda _one, draws: with_values(draws, "state.h", lambda z: -z)),
        "value.y",
        Verdict.FAIL,
    ),
    "noise with a mean": (
        ADDITIVE,
        outputs(lambda found: {"y": found["y"] + np.float32(0.2)}),
        "noise.mean",
        Verdict.FAIL,
    ),
    "rate taken for the noise's deviation": (
        GAUSSIAN,
        lambda context, one, result: (
            dataclasses.replace(
                result,
                outputs={"y": context.arrays()[0]["x"] * (1 + np.float32(0.3) * result.draws["input"].values)},
            )
            if one.mode == "train"
            else result
        ),
        "noise.spread",
        Verdict.FAIL,
    ),
    "noise on the kept elements": (
        MASKED,
        outputs(lambda found: {"y": found["y"] + np.float32(0.01)}),
        "noise.elements",
        Verdict.FAIL,
    ),
    "noise on half of the elements": (
        ADDITIVE,
        lambda context, one, result: (
            dataclasses.replace(
                result, outputs={"y": np.where(np.arange(10) % 2 == 0, context.arrays()[0]["x"], result.outputs["y"])}
            )
            if one.mode == "train"
            else result
        ),
        "noise.elements",
        Verdict.FAIL,
    ),
    "dropout active in evaluation": (
        DROPOUT,
        lambda context, one, result: (
            right(context, dataclasses.replace(one, mode="train")) if one.role == "eval" else result
        ),
        "identity.eval",
        Verdict.FAIL,
    ),
    "scaled in evaluation": (DROPOUT, outputs(scaled(0.7), "eval"), "identity.eval", Verdict.FAIL),
    "output dropped in evaluation": (
        OUTPUT,
        outputs(lambda found: {"y": found["y"] * np.float32(0.5)}, "eval"),
        "identity.eval",
        Verdict.FAIL,
    ),
    "something happens at rate 0": (RATE0, outputs(scaled(1.0000001)), "identity.rate0", Verdict.FAIL),
    "NaN at rate 1": (
        RATE1,
        outputs(lambda found: {"y": found["y"] * np.float32(np.nan)}),
        "identity.rate1",
        Verdict.FAIL,
    ),
    "the input passes at rate 1": (
        RATE1,
        lambda context, _one, result: dataclasses.replace(result, outputs={"y": context.arrays()[0]["x"]}),
        "identity.rate1",
        Verdict.FAIL,
    ),
    "h and c swapped": (LSTM, outputs(swapped), "state.order", Verdict.FAIL),
    "h is the first step": (LSTM, outputs(lambda found: {"h": found["y"][:, 0]}), "state.last_step", Verdict.FAIL),
    "the last step is c": (
        LSTM,
        outputs(lambda found: {"h": found["c"], "y": found["y"]}),
        "state.last_step",
        Verdict.FAIL,
    ),
    "handed over as (c, h)": (HANDOVER, decoder_from(lambda h, c: (c, h)), "state.handover", Verdict.FAIL),
    "not handed over": (HANDOVER, decoder_from(lambda h, c: (h * 0, c * 0)), "state.handover", Verdict.FAIL),
    "a value off by a thousandth": (
        LSTM,
        outputs(lambda found: {"y": found["y"] + np.float32(1e-3)}),
        "value.y",
        Verdict.FAIL,
    ),
    "a NaN": (
        LSTM,
        outputs(lambda found: {"c": np.where(np.arange(6) == 2, np.float32(np.nan), found["c"])}),
        "value.c",
        Verdict.FAIL,
    ),
    "another shape": (LSTM, outputs(lambda found: {"y": found["y"][:, :-1]}), "value.y", Verdict.FAIL),
    "another dtype": (LSTM, outputs(lambda found: {"y": found["y"].astype(np.float64)}), "value.y", Verdict.FAIL),
    "an output is missing": (
        LSTM,
        lambda _c, _one, result: dataclasses.replace(
            result, outputs={name: array for name, array in result.outputs.items() if name != "c"}
        ),
        "value.c",
        Verdict.ERROR,
    ),
    "a gradient is missing": (
        LSTM,
        gradients(lambda found: {name: array for name, array in found.items() if name != "bias"}),
        "gradient.bias",
        Verdict.ERROR,
    ),
    "no output c, and so none repeated": (
        LSTM,
        lambda _c, _one, result: dataclasses.replace(
            result, outputs={name: array for name, array in result.outputs.items() if name != "c"}
        ),
        "repeat.forward",
        Verdict.ERROR,
    ),
    "no gradients at all": (LSTM, gradients(lambda _found: {}), "repeat.gradient", Verdict.ERROR),
    "no gradients of a dropout": (DROPOUT, gradients(lambda _found: {}), "mask.backward", Verdict.ERROR),
    "gradient of the bias doubled": (
        LSTM,
        gradients(lambda found: {**found, "bias": found["bias"] * 2}),
        "gradient.bias",
        Verdict.FAIL,
    ),
    "no gradient to the kernel": (
        LSTM,
        gradients(lambda found: {**found, "kernel": found["kernel"] * 0}),
        "gradient.kernel",
        Verdict.FAIL,
    ),
    "other bits the second time": (LSTM, outputs(last_bit, Role.REPEAT), "repeat.forward", Verdict.NONDETERMINISTIC),
    "other gradients the second time": (
        LSTM,
        lambda _c, one, result: (
            dataclasses.replace(result, gradients=last_bit(result.gradients)) if one.role == Role.REPEAT else result
        ),
        "repeat.gradient",
        Verdict.NONDETERMINISTIC,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught_by_its_check(name: str) -> None:
    case, mutate, check, verdict = FAULTS[name]
    found = rows(case, mutate)
    assert found[check].verdict is verdict, {key: (row.verdict, row.cause) for key, row in found.items()}
    if verdict is not Verdict.PASS:
        assert found[check].cause


@pytest.mark.parametrize("state", ["h", "c"])
@pytest.mark.parametrize("factor", [0.0, 0.1, 10.0, -1.0])
def test_states_are_swapped_only_where_swapping_explains_them(state: str, factor: float) -> None:
    """A state that is wrong in another way may lie nearer to the other one; that is no exchange of names."""
    row = rows(LSTM, outputs(lambda given: {**given, state: given[state] * np.float32(factor)}))["state.order"]
    assert "swapped" not in row.cause
    assert row.verdict is Verdict.PASS or f"neither (h, c) nor (c, h): see value.{state}" in row.cause


def test_what_was_owed_and_not_given_is_named_and_never_a_refusal() -> None:
    found = rows(LSTM, gradients(lambda _found: {}))
    assert {row.verdict for check, row in found.items() if "gradient" in check} == {Verdict.ERROR}
    assert "`gradients: false`" in found["gradient.x"].cause
    found = rows(LSTM, gradients(lambda given: {"x": given["x"]}))
    assert found["gradient.bias"].cause == "gave no gradient of bias; it gave: x"
    assert found["gradient.x"].verdict is Verdict.PASS
    found = rows(LSTM, lambda _c, _one, result: dataclasses.replace(result, outputs={"y": result.outputs["y"]}))
    assert found["value.c"].cause == "gave no output c; it gave: y"
    assert found["repeat.forward"].cause == "gave no output h, c; it gave: y"


def test_every_check_has_its_fault() -> None:
    owed = {name for case in CASES.values() for one in checks().values() for name in one.plans(Context(case))}
    # Asked of implementations with a rule only (test_predicted.py), and of own code (test_target_calls.py).
    owed -= {"mask.predicted", "mask.other_call"}
    caught = {check for _, _, check, verdict in FAULTS.values() if verdict is not Verdict.PASS}
    # gradient.* and value.* are families: one member of each is enough.
    families = {name for name in owed if name.startswith(("value.", "gradient."))}
    assert owed - families <= caught
    assert {name.split(".")[0] for name in caught} >= {"value", "gradient"}


def test_a_check_that_raises_is_an_error_row_and_not_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = checks()["mask.rate"]

    def answer(_evidence: object) -> list[object]:
        raise KeyError("a bug of ours")

    monkeypatch.setitem(checks(), "mask.rate", dataclasses.replace(broken, answer=answer))
    found = rows(DROPOUT)["mask.rate"]
    assert (found.verdict, found.cause) == (
        Verdict.ERROR,
        "internal error: while the check answered: KeyError: 'a bug of ours'; this is a bug of the harness",
    )
    assert found.internal


def test_a_check_that_gives_no_answer_is_an_error_row(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = dataclasses.replace(checks()["mask.rate"], answer=lambda _evidence: [])
    monkeypatch.setitem(checks(), "mask.rate", silent)
    found = rows(DROPOUT)["mask.rate"]
    assert (found.verdict, found.cause) == (Verdict.ERROR, "planned, but it gave no answer")


def test_what_was_never_drawn_fails_what_needs_it() -> None:
    found = rows(DROPOUT, relabelled(lambda _one, _draws: {}))["value.y"]
    assert found.verdict is Verdict.FAIL
    assert found.cause.startswith("nothing was drawn at input")


# --- NaN and infinity -----------------------------------------------------------------------------------------------


def with_values_in(case: Variant, name: str, *special: float) -> Variant:
    """The same case with a few elements of an input replaced."""
    values = Context(case).arrays()[0][name].astype(np.float64)
    values.reshape(-1)[: len(special)] = special
    return dataclasses.replace(
        case, inputs={**case.inputs, name: ArraySpec(shape=values.shape, values=values.tolist())}
    )


SPECIAL = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("name", ["DROPOUT", "SPATIAL", "RATE1", "GAUSSIAN", "ADDITIVE", "MASKED", "LSTM", "OUTPUT"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_nan_and_infinity_of_an_input_are_compared(name: str) -> None:
    """They are no error of the checks: limits come from the finite elements, and the others must be what they should be."""
    found = rows(with_values_in(CASES[name], "x", *SPECIAL))
    assert {check: row.cause for check, row in found.items() if row.verdict is not Verdict.PASS} == {}


@pytest.mark.parametrize("change", [(np.nan, 0.0), (np.inf, 1.0), (np.nan, np.inf), (-np.inf, np.inf)])
@pytest.mark.parametrize("name", ["ADDITIVE", "LSTM"])
def test_nan_equals_only_a_nan_that_the_reference_has_too(name: str, change: tuple[float, float]) -> None:
    before, after = change
    case = with_values_in(CASES[name], "x", before) if name == "ADDITIVE" else with_values_in(LSTM, "x", np.nan)

    def other(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        y = found["y"].copy()
        first = tuple(np.argwhere(~np.isfinite(y))[0])
        y[first] = np.float32(after)
        return {"y": y}

    assert rows(case, outputs(other))["value.y"].verdict is Verdict.FAIL


def test_a_nan_that_the_reference_has_not_is_a_difference() -> None:
    def broken(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        y = found["y"].copy()
        y.reshape(-1)[-1] = np.nan
        return {"y": y}

    row = rows(with_values_in(ADDITIVE, "x", *SPECIAL), outputs(broken))["value.y"]
    assert (row.verdict, "1 NaN on one side only" in row.cause) == (Verdict.FAIL, True)


def test_a_wrong_finite_element_beside_a_nan_is_found() -> None:
    def broken(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        y = found["y"].copy()
        y.reshape(-1)[-1] += np.float32(0.01)
        return {"y": y}

    assert rows(with_values_in(ADDITIVE, "x", *SPECIAL), outputs(broken))["value.y"].verdict is Verdict.FAIL
    assert rows(with_values_in(LSTM, "x", *SPECIAL), outputs(broken))["value.y"].verdict is Verdict.FAIL
