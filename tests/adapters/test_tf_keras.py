"""Every tf_keras adapter against the float64 reference on its own draws and on a tape; what its masks are shared over."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tf_keras")

from adapter_jobs import FULL, Call, at, plain

from harness.adapters.base import Unsupported, implementations
from harness.tape import TapeMismatch

X = np.random.default_rng(0).normal(size=(3, 5, 4))
Z = np.random.default_rng(1).normal(size=(3, 2, 4))

ANEW = [at("input", 0.3, "gates")]
LOCKED = [at("input", 0.3, "gates", "time")]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
STEPWISE = [at("input", 0.3), at("state.h", 0.25)]
AROUND = [at("between_layers", 0.5), at("output", 0.4, "time")]
TRACED = {"tf_function": True}
DEEP = {**FULL, "layers": 2}


def halves(sites: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "at": half + entry["at"]} for half in ("encoder.", "decoder.") for entry in sites]


Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]], Mapping[str, Any]]

#: The sites' sharing is what each configuration really does: a tape that says so can be replayed.
CASES: list[Case] = [
    ("dropout", "Dropout", {"rate": 0.3}, (), {}),
    ("dropout", "Dropout", {"rate": 0.3, "shared": ["time"]}, (), TRACED),
    ("dropout", "Dropout", {"rate": 0.3}, (), {**TRACED, "training": "tensor"}),
    ("dropout", "Dropout", {"rate": 0.3}, (), {"layer_seed": False}),
    ("dropout", "SpatialDropout1D", {"rate": 0.3, "shared": ["time"]}, (), {}),
    ("alpha_dropout", "AlphaDropout", {"rate": 0.3, "shared": ["batch"]}, (), {}),
    ("gaussian_dropout", "GaussianDropout", {"rate": 0.3}, (), TRACED),
    ("gaussian_noise", "GaussianNoise", {"stddev": 0.3}, (), {}),
    ("lstm", "LSTM", FULL, ANEW, {}),
    ("lstm", "LSTM", FULL, ANEW, TRACED),
    ("lstm", "LSTM", FULL, LOCKED, {"unroll": True}),
    ("lstm", "LSTM", FULL, GATEWISE[:1], {"unroll": True, "implementation": 1}),
    ("lstm", "LSTM", FULL, GATEWISE, {}),
    ("lstm", "LSTM", FULL, STEPWISE, TRACED),
    ("lstm", "LSTM", {**FULL, "layers": 3}, STEPWISE + AROUND, TRACED),
    ("lstm", "LSTM", {"units": 4}, GATEWISE, {**TRACED, "unroll": True}),
    ("lstm", "LSTMCell", FULL, LOCKED, {}),
    ("lstm", "LSTMCell", FULL, ANEW, TRACED),
    ("lstm", "LSTMCell", DEEP, GATEWISE + AROUND, {"implementation": 1}),
    ("lstm", "LSTM", {**FULL, "go_backwards": True}, STEPWISE, TRACED),
    ("lstm", "LSTM", {**FULL, "recurrent_activation": "hard_sigmoid_keras2"}, LOCKED, {}),
    ("lstm", "LSTM", {**FULL, "layers": 2, "padding": "repeat"}, STEPWISE + AROUND, TRACED),
    ("lstm", "LSTM", {**FULL, "layers": 2, "bidirectional": True}, STEPWISE + AROUND, TRACED),
    ("lstm", "LSTM", {**FULL, "bidirectional": True, "padding": "zeros"}, GATEWISE, {}),
    ("lstm", "LSTM", {"units": 4, "bidirectional": True}, ANEW, {}),
    ("gru", "GRU", FULL, [*ANEW, at("output", 0.4)], {}),
    ("gru", "GRU", {**FULL, "reset_after": False}, LOCKED, {}),
    ("gru", "GRU", FULL, STEPWISE, TRACED),
    ("simple_rnn", "SimpleRNN", FULL, GATEWISE, {}),
    ("simple_rnn", "SimpleRNN", {"units": 4}, STEPWISE, TRACED),
    ("encoder_decoder", "LSTM", DEEP, halves(GATEWISE + AROUND), {}),
    ("encoder_decoder", "LSTM", DEEP, halves(STEPWISE + AROUND), TRACED),
    ("encoder_decoder", "LSTMCell", {"units": 4, "tied": True, "return_state": True}, halves(GATEWISE), {}),
]


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout, options = case
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if config.get("padding"):
        inputs["lengths"] = np.array([5, 2, 3])
    arguments = {"dtype": "float32", "options": options, **more}
    return Call("tensorflow", f"tf_keras.layers.{name}", layer, config, dropout, inputs=inputs, **arguments)


def same(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left) and set(left) == set(right)


every_case = pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}-{n}" for n, case in enumerate(CASES)])


@every_case
def test_own_draws(case: Case) -> None:
    """The reference explains outputs and gradients on the recorded draws, which have the case's shape; replay is exact."""
    job = call(case)
    result = job.run()
    assert job.worst(result) <= 1.0
    assert {name: draw.values.shape for name, draw in result.draws.items()} == {s.at: s.shape for s in job.sites}
    replayed = job.run(tape=plain(job.sites, result.draws))
    assert same(result.outputs, replayed.outputs)
    assert same(result.gradients, replayed.gradients)


@every_case
def test_a_tape_decides(case: Case) -> None:
    job = call(case)
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
@pytest.mark.parametrize("index", [0, 8, 12])
def test_dtypes(index: int, dtype: str) -> None:
    job = call(CASES[index], dtype=dtype)
    assert job.worst(job.run()) <= 1.0


def test_seeds() -> None:
    job = call(CASES[8])
    assert same(job.run(seed=4).outputs, job.run(seed=4).outputs)
    assert not same(job.run(seed=4).outputs, job.run(seed=5).outputs)


def test_gaussian_noise_of_no_spread_is_drawn_all_the_same() -> None:
    job = call(("gaussian_noise", "GaussianNoise", {"stddev": 0.0}, (), {}))
    result = job.run()
    assert set(result.draws) == {"input"}
    np.testing.assert_array_equal(result.outputs["y"], X.astype(np.float32))


REFUSED: list[tuple[Case, str]] = [
    (("dropout", "Dropout", {"rate": 1.0}, (), {}), "refuses rate 1"),
    (("lstm", "LSTM", FULL, [at("input", 1.0, "gates")], {}), "refuses rate 1"),
    (("dropout", "SpatialDropout1D", {"rate": 0.3}, (), {}), "always shares over time"),
    (("gaussian_noise", "GaussianNoise", {"stddev": 0.3}, (), {"training": "tensor"}), "tf_function: true"),
    (("dropout", "Dropout", {"rate": 0.3}, (), {"training": "maybe"}), "python or tensor"),
    (("lstm", "LSTM", FULL, (), {"implementation": 0}), "implementation 1 and 2"),
    (("lstm", "LSTM", FULL, [at("state.c")], {}), "no dropout at 'state.c'"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[f"{case[1]}-{n}" for n, (case, _) in enumerate(REFUSED)])
def test_refused(case: Case, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(case).run()


def test_every_implementation_is_tested() -> None:
    kinds = {case[0] for case in CASES}
    names = {key[2] for key in implementations() if key[0] == "tensorflow" and key[1] in kinds}
    here = {name.removeprefix("tf_keras.layers.") for name in names if name.startswith("tf_keras.layers.")}
    assert here == {case[1] for case in CASES} | {"SpatialDropout2D", "SpatialDropout3D"}


# Planted faults.


def test_a_mask_taken_for_locked_is_caught() -> None:
    """The default path draws anew at every step: a reference that keeps the first step's mask disagrees."""
    job = call(CASES[8])
    result = job.run()
    values = result.draws["input"].values
    locked = np.broadcast_to(values[:, :, :1], values.shape)
    assert job.worst(result._replace(draws={"input": result.draws["input"]._replace(values=locked)})) > 1.0


def test_a_mask_taken_for_unused_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swapping the used mask with a thrown-away one, in the slots, changes what the reference says."""
    job = call(CASES[8])
    slots = type(job.adapter).layer_slots
    monkeypatch.setattr(type(job.adapter), "layer_slots", lambda *args: slots(*args)[::-1])
    assert job.worst(job.run()) > 1.0


def test_steps_out_of_order_are_caught() -> None:
    job = call(CASES[13])
    result = job.run()
    for site in ("input", "state.h"):
        draw = result.draws[site]
        draws = {**result.draws, site: draw._replace(values=np.roll(draw.values, 1, axis=2))}
        assert job.worst(result._replace(draws=draws)) > 1.0, site


def test_a_locked_tape_is_refused_where_gates_share_a_mask() -> None:
    job = call(("lstm", "LSTM", FULL, [at("input", 0.3)], {}))
    with pytest.raises(Unsupported, match="shares the mask over more"):
        job.run(tape=job.tape())


def test_a_draw_too_many_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    job = call(CASES[0])
    monkeypatch.setattr(type(job.adapter), "slots", lambda self, job: [])
    with pytest.raises(TapeMismatch, match="where 0 were expected"):
        job.run()


def test_what_layers_hold_is_told() -> None:
    """Their own arrays hold the canonical blocks, a GRU's two biases in one array; of both halves of an encoder and decoder."""
    gru = call(("gru", "GRU", FULL, (), {}), mode="eval")
    held = gru.adapter.native(gru.job)
    weights = gru.job.weights
    np.testing.assert_array_equal(held["kernel"], weights["kernel"])
    np.testing.assert_array_equal(held["bias"], np.stack([weights["bias"], weights["recurrent_bias"]]))
    np.testing.assert_allclose(held["state0"], gru.run().outputs["h"], rtol=1e-6)
    both = call(("encoder_decoder", "LSTM", FULL, (), {}), mode="eval")
    held = both.adapter.native(both.job)
    np.testing.assert_array_equal(held["0.kernel"], both.job.weights["encoder.kernel"])
    np.testing.assert_array_equal(held["1.recurrent_kernel"], both.job.weights["decoder.recurrent_kernel"])


def test_without_the_tap_the_same_is_computed_and_nothing_is_known_of_the_draws() -> None:
    tapped = call(("simple_rnn", "SimpleRNN", FULL, GATEWISE, {})).run()
    job = call(("simple_rnn", "SimpleRNN", FULL, GATEWISE, {"tapped": False}))
    plainly = job.run()
    assert same(tapped.outputs, plainly.outputs)
    assert plainly.draws == {}
    with pytest.raises(Unsupported, match="no replay"):
        job.run(tape=job.tape())


@pytest.mark.parametrize("name", ["LSTM", "LSTMCell"])
def test_a_stateful_layer_continues_and_is_reset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = call(("lstm", name, {**FULL, "stateful": True}, (), {}))
    once, twice, again = job.run(), job.run(calls=2), job.run(calls=2, reset=True)
    assert not np.allclose(once.outputs["y"], twice.outputs["y"], atol=1e-3)
    assert same(once.outputs, again.outputs)
    monkeypatch.setattr("harness.adapters.tensorflow_base.reset_states", lambda layers: None)
    assert same(twice.outputs, job.run(calls=2, reset=True).outputs)
