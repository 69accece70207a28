"""The NumPy recipes against the float64 references on any configuration: two codes for one formula, neither knowing the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.numpy import cell as numpy_cell
from harness.frameworks.numpy import lstm as numpy_lstm
from harness.frameworks.numpy import noise as numpy_noise
from harness.frameworks.numpy.base import complex_step
from harness.frameworks.numpy.tap import NumpyTap
from harness.tape import BERNOULLI, UNIFORM, Draw, TapeMismatch
from tests.frameworks.adapter_jobs import FULL, Call, at
from tests.frameworks.trial import Trial, full
from tests.layers.layer_cases import lstm_calls
from tests.layers.test_recurrent_kinds import calls


def arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random inputs by name."""
    generator = np.random.default_rng(2)
    return {name: generator.normal(size=shape) for name, shape in shapes.items()}


def lstm(*dropout: Any, **more: Any) -> Trial:
    return Trial("numpy", "lstm", "numpy.lstm", full(*dropout, **more))


ANY = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def agrees(layer: str, drawn: Any, seed: int) -> None:
    """Outputs and gradients of any configuration are the reference's, but for rounding."""
    config, shapes, dropout = drawn
    inputs = arrays(**{name: shape for name, shape in shapes.items() if name != "lengths"})
    generator = np.random.default_rng(seed)
    if "lengths" in shapes:
        inputs["lengths"] = generator.integers(1, shapes["x"][1], shapes["lengths"], endpoint=True)
    if "vocabulary" in config:
        inputs["x"] = generator.integers(0, config["vocabulary"], shapes["x"])
    specs = [spec.model_dump() for spec in dropout]
    call = Call("numpy", f"numpy.{layer}", layer, config, specs, inputs=inputs, seed=seed)
    result = call.run()
    expected = call.reference(result.draws)
    given = {**result.outputs, **{f"d {name}": value for name, value in result.gradients.items()}}
    assert set(expected) == set(given)
    for name, value in given.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-11, atol=1e-12, err_msg=name)


@ANY
@given(lstm_calls(batches=(1, 2, 3)), st.integers(0, 99))
def test_any_lstm_with_any_dropout_agrees_with_the_reference(drawn: Any, seed: int) -> None:
    config, *rest = drawn
    agrees("lstm", ({**FULL, "return_sequences": False, "return_state": False, **config}, *rest), seed)


@pytest.mark.parametrize("layer", ["gru", "simple_rnn", "embedding", "awd_lstm"])
@ANY
@given(data=st.data())
def test_the_other_recurrent_kinds_agree_with_their_references(layer: str, data: st.DataObject) -> None:
    agrees(layer, data.draw(calls(layer)), data.draw(st.integers(0, 99)))


def test_a_draw_is_a_uniform_with_its_rule() -> None:
    draw = Trial("numpy", "dropout", "numpy.dropout", "shared").own.draws["input"]
    assert (draw.kind, draw.rule, draw.values.shape) == (UNIFORM, "u >= rate", (3, 1, 6))
    assert np.array_equal(draw.values, np.random.default_rng(3).uniform(size=(3, 1, 6)))


def test_a_tape_that_varies_where_a_mask_is_shared_is_refused() -> None:
    with pytest.raises(Unsupported, match="shares the mask over "):
        lstm(at("input", 0.5, "time")).job.run(tape={"input": np.ones((4, 3, 5, 6), dtype=bool)})


def test_an_empty_batch() -> None:
    result = lstm(at("input", 0.5), inputs=arrays(x=(0, 4, 2))).own
    assert result.outputs["y"].shape == (0, 4, 4)
    assert result.gradients["x"].shape == (0, 4, 2)
    assert (result.gradients["bias"] == 0).all()


def test_a_gradient_that_would_take_minutes_is_refused_and_the_forward_is_not() -> None:
    large = lstm(units=128, inputs=arrays(x=(8, 20, 64)))
    with pytest.raises(Unsupported, match="gradients: false"):
        large.job.run()
    assert large.call(gradients=False).run().outputs["y"].shape == (8, 20, 128)


def test_a_dtype_that_numpy_lacks_is_refused() -> None:
    call = Trial("numpy", "dropout", "numpy.dropout", "plain").call(dtype="bfloat16")
    plain = {name: array.view(np.uint16) for name, array in call.job.inputs.items()}
    with pytest.raises(Unsupported, match="ml_dtypes"):
        call.run(inputs=plain)


def test_an_old_numpy_draws_from_randomstate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(np.random, "default_rng")
    tap = NumpyTap()
    tap.seed(5)
    tap.decisions((3,), 0.5)
    assert np.array_equal(tap.draws[0].values, np.random.RandomState(5).uniform(size=3))


def test_a_tape_that_ends_early_is_an_error() -> None:
    tap = NumpyTap([Draw(BERNOULLI, np.ones(3, dtype=bool))])
    tap.decisions((3,), 0.5)
    with pytest.raises(TapeMismatch, match="has ended"):
        tap.decisions((3,), 0.5)


def test_complex_steps_are_exact() -> None:
    x = np.linspace(0.1, 2.0, 7).reshape(7, 1)
    slope = complex_step(lambda copies: np.exp(copies).sum(axis=(1, 2)).imag, x)
    np.testing.assert_allclose(slope, np.exp(x), rtol=1e-15)


def test_sigmoid_does_not_overflow() -> None:
    z = np.array([-1e4, -40.0, 0.0, 40.0, 1e4], dtype=np.float32)
    with np.errstate(over="raise", invalid="raise"):
        y = numpy_cell.sigmoid(z)
        slope = numpy_cell.sigmoid(z.astype(np.float64) + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(y, [0.0, np.exp(-40.0), 0.5, 1.0, 1.0], rtol=1e-6, atol=1e-40)
    np.testing.assert_allclose(slope, [0.0, np.exp(-40.0), 0.25, np.exp(-40.0), 0.0], rtol=1e-12, atol=1e-40)


def constant(value: Any) -> Any:
    return lambda right: value


def keep_taken_for_rate(right: Any) -> Any:
    return lambda site, draw, like: right(site._replace(rate=1 - site.rate), draw, like)


def first_mask_for_all_gates(right: Any) -> Any:
    return lambda self, at, **where: right(self, at, **{**where, "gates": 0})


def states_swapped(right: Any) -> Any:
    def swapped(*arguments: Any) -> Any:
        steps, (h, c) = right(*arguments)
        return steps, (c, h)

    return swapped


SHARED = ("dropout", "numpy.dropout", "shared")
FAULTS: dict[str, tuple[tuple[str, str, str], Any, str, Any]] = {
    "no scale": (SHARED, numpy_noise, "multiplier", constant(lambda site, draw, like: draw * 1.0)),
    "keep taken for rate": (SHARED, numpy_noise, "multiplier", keep_taken_for_rate),
    "a gate's mask reused": (("lstm", "numpy.lstm", "stack"), numpy_lstm.Masks, "part", first_mask_for_all_gates),
    "h and c swapped": (("encoder_decoder", "numpy.encoder_decoder", "tied"), numpy_lstm, "lstm", states_swapped),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_bound_catches_a_planted_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_, owner, attribute, make = FAULTS[name]
    trial = Trial("numpy", *at_)
    monkeypatch.setattr(owner, attribute, make(getattr(owner, attribute)))
    assert trial.job.worst(trial.own) > 1.0


def test_the_bound_catches_a_bias_of_1e_5(monkeypatch: pytest.MonkeyPatch) -> None:
    right = numpy_cell.sigmoid
    monkeypatch.setitem(numpy_cell.RECURRENT, None, lambda z: right(z + 1e-5))
    assert lstm().job.worst(lstm().own) > 1.0
