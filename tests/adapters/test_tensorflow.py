"""Plain TensorFlow: its dropout functions, the formulas beside them, and LSTMs, against the float64 reference."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from adapter_jobs import FULL, Call, at, plain

from harness.adapters.base import Unsupported, implementations

X = np.random.default_rng(0).normal(size=(3, 5, 4))
Z = np.random.default_rng(1).normal(size=(3, 2, 4))

FUSED = [at("input", 0.3, "gates", "time"), at("between_layers", 0.5, "layers"), at("output", 0.4, "time")]
FREE = [at("input", 0.3, "batch"), at("state.h", 0.25, "time"), at("state.c", 0.2, "layers"), *FUSED[1:]]
DEEP = {**FULL, "layers": 2}
TIED = {"units": 4, "tied": True, "return_state": True}


def halves(sites: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "at": half + entry["at"]} for half in ("encoder.", "decoder.") for entry in sites]


Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

CASES: list[Case] = [
    ("dropout", "tf.nn.dropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("dropout", "tf.nn.experimental.stateless_dropout", {"rate": 0.3}, ()),
    ("dropout", "recipe.Dropout", {"rate": 0.3}, ()),
    ("gaussian_dropout", "recipe.GaussianDropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("gaussian_noise", "recipe.GaussianNoise", {"stddev": 0.3}, ()),
    ("masked_gaussian_noise", "recipe.MaskedGaussianNoise", {"rate": 0.3, "stddev": 0.5}, ()),
    ("lstm", "tf.raw_ops.BlockLSTM", {**FULL, "layers": 3}, FUSED),
    ("lstm", "recipe.lstm_loop", {**FULL, "layers": 3}, FREE),
    ("lstm", "recipe.lstm_loop", {"units": 4}, [at("state.h", 0.4), at("output", 0.4)]),
    ("encoder_decoder", "tf.raw_ops.BlockLSTM", DEEP, halves(FUSED)),
    ("encoder_decoder", "recipe.lstm_loop", DEEP, halves(FREE)),
    ("encoder_decoder", "recipe.lstm_loop", TIED, [at("decoder.state.h", 0.3, "time")]),
]


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout = case
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    return Call("tensorflow", name, layer, config, dropout, inputs=inputs, **{"dtype": "float32", **more})


def same(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left) and set(left) == set(right)


every_case = pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}-{n}" for n, case in enumerate(CASES)])
both = pytest.mark.parametrize("tf_function", [False, True], ids=["eager", "traced"])


@both
@every_case
def test_own_draws(case: Case, tf_function: bool) -> None:
    """The reference explains outputs and gradients on the recorded draws; a run replayed is the same to the bit."""
    job = call(case, options={"tf_function": tf_function})
    result = job.run()
    assert job.worst(result) <= 1.0
    replayed = job.run(tape=plain(job.sites, result.draws))
    assert same(result.outputs, replayed.outputs)
    assert same(result.gradients, replayed.gradients)


@both
@every_case
def test_a_tape_decides(case: Case, tf_function: bool) -> None:
    job = call(case, options={"tf_function": tf_function})
    tape = job.tape()
    result = job.run(tape=tape)
    assert job.worst(result) <= 1.0
    for name, drawn in plain(job.sites, result.draws).items():
        np.testing.assert_allclose(drawn, tape[name], rtol=1e-5, atol=1e-6)
    assert same(result.outputs, job.run(tape=tape, seed=99).outputs)


@every_case
def test_evaluation(case: Case) -> None:
    job = call(case, mode="eval")
    result = job.run()
    assert result.draws == {}
    assert job.worst(result) <= 1.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("index", [0, 1, 4, 7])
def test_dtypes(index: int, dtype: str) -> None:
    job = call(CASES[index], dtype=dtype)
    assert job.worst(job.run()) <= 1.0


def test_seeds() -> None:
    for case in CASES[:3]:
        job = call(case)
        assert same(job.run(seed=4).outputs, job.run(seed=4).outputs)
        assert not same(job.run(seed=4).outputs, job.run(seed=5).outputs)


def test_a_formula_draws_what_the_function_draws() -> None:
    """The answer's formula and tf.nn.dropout take the same uniforms from the same seed, and agree to the bit."""
    function = call(("dropout", "tf.nn.dropout", {"rate": 0.3}, ())).run()
    formula = call(("dropout", "recipe.Dropout", {"rate": 0.3}, ())).run()
    np.testing.assert_array_equal(function.draws["input"].values, formula.draws["input"].values)
    np.testing.assert_array_equal(function.outputs["y"], formula.outputs["y"])


def test_a_rate_that_is_a_tensor() -> None:
    job = call(CASES[1], options={"tensor_rate": True})
    assert job.worst(job.run()) <= 1.0


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    job = Call(
        "tensorflow", "tf.nn.dropout", "dropout", {"rate": 0.5}, inputs={"x": np.zeros((4, 50))}, dtype="float32"
    )
    kept = plain(job.sites, job.run().draws)["input"]
    assert 0 < kept.sum() < kept.size


REFUSED: list[tuple[Case, str]] = [
    (("dropout", "tf.nn.dropout", {"rate": 1.0}, ()), r"refuses rate 1: .*range \[0, 1\)"),
    (("dropout", "recipe.Dropout", {"rate": 1.0}, ()), "divides by 1 - rate"),
    (("lstm", "tf.raw_ops.BlockLSTM", FULL, [at("state.h")]), "no dropout at 'state.h'"),
    (("lstm", "tf.raw_ops.BlockLSTM", FULL, [at("input")]), "one input for all gates"),
    (("lstm", "recipe.lstm_loop", {**FULL, "bidirectional": True}, ()), "no setting bidirectional"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[f"{case[1]}-{n}" for n, (case, _) in enumerate(REFUSED)])
def test_refused(case: Case, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(case).run()


def test_block_lstm_has_no_float64() -> None:
    with pytest.raises(Unsupported, match="float16 and float32"):
        call(CASES[6], dtype="float64").run()


def test_every_implementation_is_tested() -> None:
    names = {(key[1], key[2]) for key in implementations() if key[0] == "tensorflow"}
    # RNNCellDropoutWrapper is tested in every TensorFlow that has it (tests/adapters/test_tensorflow1.py).
    here = {pair for pair in names if pair[1].startswith(("tf.nn", "tf.raw", "recipe.")) and "Wrapper" not in pair[1]}
    assert here == {case[:2] for case in CASES}


# Planted faults: each must push the measured error over its bound.


def test_faults_exceed_the_bound() -> None:
    job = call(CASES[7])
    result = job.run()
    good = result.outputs
    assert job.worst(result._replace(outputs={**good, "h": good["c"], "c": good["h"]})) > 1.0
    assert job.worst(result._replace(outputs={**good, "y": good["y"] * np.float32(0.6)})) > 1.0
    for site, draw in result.draws.items():
        draws = {**result.draws, site: draw._replace(values=np.roll(draw.values, 1, axis=-1))}
        assert job.worst(result._replace(draws=draws)) > 1.0, site


def test_a_wrong_gate_order_exceeds_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """BlockLSTM without the translation from i, f, g, o to its i, g, f, o."""
    from harness.adapters import tensorflow_lstm

    monkeypatch.setattr(tensorflow_lstm, "igfo", lambda tf, weight: weight)
    job = call(CASES[6])
    assert job.worst(job.run()) > 1.0
