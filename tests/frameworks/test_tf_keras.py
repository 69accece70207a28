"""What is tf_keras's own: masks that it throws away, draws of no spread, what its layers hold, and states that they keep."""

import functools

import numpy as np
import pytest

pytest.importorskip("tf_keras")

from harness.frameworks.contract.adapter import Result, Unsupported
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import at
from tests.frameworks.contract import same
from tests.frameworks.tables.keras2 import KERAS
from tests.frameworks.trial import Trial, X, case, full

trial = functools.partial(Trial, "keras2")
lstm = functools.partial(trial, "lstm", KERAS + "LSTM")


def test_gaussian_noise_of_no_spread_is_drawn_all_the_same() -> None:
    result = trial("gaussian_noise", KERAS + "GaussianNoise", case(stddev=0.0)).own
    assert set(result.draws) == {"input"}
    np.testing.assert_array_equal(result.outputs["y"], X.astype(np.float32))


def test_a_mask_taken_for_locked_is_caught() -> None:
    """The default path draws anew at every step: a reference that keeps the first step's mask disagrees."""
    anew = lstm("anew")
    values = anew.own.draws["input"].values
    locked = np.broadcast_to(values[:, :, :1], values.shape)
    draws = {"input": anew.own.draws["input"]._replace(values=locked)}
    assert anew.job.worst(anew.own._replace(draws=draws)) > 1.0


def test_a_mask_taken_for_unused_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swapping the used mask with a thrown-away one, in the slots, changes what the reference says."""
    anew = lstm("anew")
    adapter = type(anew.job.adapter)
    slots = adapter.layer_slots
    monkeypatch.setattr(adapter, "layer_slots", lambda *args: slots(*args)[::-1])
    assert anew.job.worst(anew.own) > 1.0


def test_steps_out_of_order_are_caught() -> None:
    stepwise = lstm("stepwise")
    for site in ("input", "state.h"):
        draw = stepwise.own.draws[site]
        draws = {**stepwise.own.draws, site: draw._replace(values=np.roll(draw.values, 1, axis=2))}
        assert stepwise.job.worst(stepwise.own._replace(draws=draws)) > 1.0, site


def test_a_locked_tape_is_refused_where_gates_share_a_mask() -> None:
    with pytest.raises(Unsupported, match="shares the mask over "):
        lstm(full(at("input", 0.3))).replayed  # noqa: B018 - asking runs it


def test_a_draw_too_many_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trial("dropout", KERAS + "Dropout", "plain")
    monkeypatch.setattr(type(plain.job.adapter), "slots", lambda self, job: [])
    with pytest.raises(TapeMismatch, match="where 0 were expected"):
        plain.job.run()


def test_what_layers_hold_is_told() -> None:
    """Their own arrays hold the canonical blocks, a GRU's two biases in one array; of both halves of an encoder and decoder."""
    gru = trial("gru", KERAS + "GRU", full()).still
    held = gru.adapter.native(gru.job)
    weights = gru.job.weights
    np.testing.assert_array_equal(held["kernel"], weights["kernel"])
    np.testing.assert_array_equal(held["bias"], np.stack([weights["bias"], weights["recurrent_bias"]]))
    np.testing.assert_allclose(held["state0"], gru.run().outputs["h"], rtol=1e-6)
    both = trial("encoder_decoder", KERAS + "LSTM", full()).still
    held = both.adapter.native(both.job)
    np.testing.assert_array_equal(held["0.kernel"], both.job.weights["encoder.kernel"])
    np.testing.assert_array_equal(held["1.recurrent_kernel"], both.job.weights["decoder.recurrent_kernel"])


def test_without_the_tap_the_same_is_computed_and_nothing_is_known_of_the_draws() -> None:
    gatewise = trial("simple_rnn", KERAS + "SimpleRNN", "gatewise")
    job = gatewise.call(options={"tapped": False})
    plainly = job.run()
    same(gatewise.own, plainly)
    assert plainly.draws == {}
    with pytest.raises(Unsupported, match="no replay"):
        job.run(tape=job.tape())


@pytest.mark.parametrize("name", ["LSTM", "LSTMCell"])
def test_a_stateful_layer_continues_and_is_reset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = trial("lstm", KERAS + name, full(stateful=True)).job

    def result(**changes: object) -> Result:
        return job.run(**changes)

    assert not np.allclose(result().outputs["y"], result(calls=2).outputs["y"], atol=1e-3)
    same(result(), result(calls=2, reset=True), gradients=False)
    monkeypatch.setattr("harness.frameworks.tensorflow.base.reset_states", lambda layers: None)
    same(result(calls=2), result(calls=2, reset=True), gradients=False)
