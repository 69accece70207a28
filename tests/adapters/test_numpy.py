"""The NumPy recipes against the float64 references: two codes for one formula, neither knowing the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from adapter_jobs import FULL, Call, at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.adapters import numpy_cell, numpy_lstm, numpy_noise
from harness.adapters.base import Implementation, Unsupported, implementations
from harness.adapters.numpy_base import complex_step
from harness.adapters.numpy_tap import NumpyTap
from harness.tape import BERNOULLI, UNIFORM, Draw, TapeMismatch
from tests.layers.layer_cases import lstm_calls
from tests.layers.test_recurrent_kinds import calls

NOISES: dict[str, dict[str, Any]] = {
    "dropout": {"rate": 0.4, "shared": ["time"]},
    "gaussian_dropout": {"rate": 0.3},
    "gaussian_noise": {"stddev": 0.5},
    "masked_gaussian_noise": {"rate": 0.4, "stddev": 0.5},
    "alpha_dropout": {"rate": 0.3},
}
EVERYWHERE = [
    at("input", 0.4, "time"),
    at("state.h", 0.3, "time", "gates"),
    at("state.c", 0.25),
    at("output", 0.5, scale="none"),
]
DTYPES = ["float64", "float32", "float16", "bfloat16"]


def arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random inputs by name."""
    generator = np.random.default_rng(2)
    return {name: generator.normal(size=shape) for name, shape in shapes.items()}


def noise(layer: str, dtype: str = "float64", **more: Any) -> Call:
    """A call of one noise layer."""
    config = more.pop("config", NOISES[layer])
    inputs = more.pop("inputs", arrays(x=(5, 6, 4)))
    return Call("numpy", f"numpy.{layer}", layer, config, inputs=inputs, dtype=dtype, **more)


def lstm(dropout: Any = (), dtype: str = "float64", **more: Any) -> Call:
    """A call of the LSTM."""
    config = {**FULL, **more.pop("config", {})}
    inputs = more.pop("inputs", arrays(x=(3, 4, 2), h0=(3, 4), c0=(3, 4)))
    return Call("numpy", "numpy.lstm", "lstm", config, dropout, inputs=inputs, dtype=dtype, **more)


def pair(dropout: Any = (), dtype: str = "float64", **more: Any) -> Call:
    """A call of the encoder and decoder."""
    config = {**FULL, **more.pop("config", {})}
    inputs = arrays(x=(3, 4, 2), z=(3, 2, 2))
    return Call(
        "numpy", "numpy.encoder_decoder", "encoder_decoder", config, dropout, inputs=inputs, dtype=dtype, **more
    )


def test_every_kind_of_this_file_has_its_recipe() -> None:
    for layer in (*NOISES, "lstm", "encoder_decoder"):
        found: Implementation = implementations()["numpy", layer, f"numpy.{layer}"]
        assert found.recipe
        assert found.needs == ("numpy",)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", NOISES)
def test_noise_layers_stay_within_the_derived_bound(layer: str, dtype: str) -> None:
    call = noise(layer, dtype)
    assert call.worst(call.run()) <= 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_lstm_stays_within_the_derived_bound(dtype: str, mode: str) -> None:
    call = lstm(EVERYWHERE, dtype, mode=mode)
    assert call.worst(call.run()) <= 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tied", [False, True])
def test_the_encoder_and_decoder_stay_within_the_derived_bound(dtype: str, tied: bool) -> None:
    dropout = [at("encoder.input", 0.4, "time"), at("decoder.state.h", 0.4), at("decoder.output", 0.5)]
    call = pair(dropout, dtype, config={"tied": tied})
    assert call.worst(call.run()) <= 1.0


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(lstm_calls(batches=(1, 2, 3)), st.integers(0, 99))
def test_any_lstm_with_any_dropout_agrees_with_the_reference(case: Any, seed: int) -> None:
    config, shapes, dropout = case
    inputs = arrays(**{name: shape for name, shape in shapes.items() if name != "lengths"})
    if "lengths" in shapes:
        inputs["lengths"] = np.random.default_rng(seed).integers(1, shapes["x"][1], shapes["lengths"], endpoint=True)
    specs = [spec.model_dump() for spec in dropout]
    call = lstm(specs, config={"return_sequences": False, "return_state": False, **config}, inputs=inputs, seed=seed)
    result = call.run()
    expected = call.reference(result.draws)
    assert set(expected) == set(result.outputs) | {f"d {name}" for name in result.gradients}
    for name, value in result.outputs.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-11, atol=1e-12)
    for name, value in result.gradients.items():
        np.testing.assert_allclose(value, expected[f"d {name}"], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: noise("masked_gaussian_noise"), lambda: lstm(EVERYWHERE)])
def test_a_replayed_tape_is_used_and_reported_as_it_is(make: Any) -> None:
    call = make()
    tape = call.tape()
    result = call.run(tape=tape)
    assert set(result.draws) == set(tape)
    for name, values in tape.items():
        assert np.array_equal(result.draws[name].values, values)
    assert call.worst(result) <= 1.0
    other = call.run(tape=call.tape(seed=12))
    assert np.abs(other.outputs["y"] - result.outputs["y"]).max() > 1e-3


def test_the_tape_must_fit() -> None:
    call = lstm([at("input", 0.5, "time")])
    with pytest.raises(TapeMismatch, match="nothing for site input"):
        call.run(tape={})
    with pytest.raises(Unsupported, match="shares the mask over more"):
        call.run(tape={"input": np.ones((4, 3, 4, 2), dtype=bool)})


def test_the_seed_decides() -> None:
    call = lstm([at("input", 0.5)])
    first, again, other = call.run(), call.run(), call.run(seed=4)
    assert np.array_equal(first.outputs["y"], again.outputs["y"])
    assert np.array_equal(first.draws["input"].values, again.draws["input"].values)
    assert not np.array_equal(first.draws["input"].values, other.draws["input"].values)


def test_a_draw_is_a_uniform_with_its_rule() -> None:
    draw = noise("dropout").run().draws["input"]
    assert (draw.kind, draw.rule, draw.values.shape) == (UNIFORM, "u >= rate", (5, 1, 4))
    assert np.array_equal(draw.values, np.random.default_rng(3).uniform(size=(5, 1, 4)))


@pytest.mark.parametrize("layer", NOISES)
def test_evaluation_mode_draws_nothing_and_changes_nothing(layer: str) -> None:
    call = noise(layer, mode="eval")
    result = call.run()
    assert result.draws == {}
    assert np.array_equal(result.outputs["y"], call.job.inputs["x"])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_ends_of_the_rate(rate: float) -> None:
    result = noise("dropout", config={"rate": rate}).run()
    assert np.array_equal(result.outputs["y"] == 0, np.full((5, 6, 4), rate == 1.0))
    assert np.isfinite(result.gradients["x"]).all()


def test_an_empty_batch() -> None:
    result = lstm([at("input", 0.5)], inputs=arrays(x=(0, 4, 2))).run()
    assert result.outputs["y"].shape == (0, 4, 4)
    assert result.gradients["x"].shape == (0, 4, 2)
    assert (result.gradients["bias"] == 0).all()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(Unsupported, match="no option 'jit'"):
        lstm(options={"jit": True}).run()


def test_a_gradient_that_would_take_minutes_is_refused_and_the_forward_is_not() -> None:
    inputs = arrays(x=(8, 20, 64))
    with pytest.raises(Unsupported, match="gradients: false"):
        lstm(config={"units": 128}, inputs=inputs).run()
    assert lstm(config={"units": 128}, inputs=inputs, gradients=False).run().outputs["y"].shape == (8, 20, 128)


def test_a_dtype_that_numpy_lacks_is_refused() -> None:
    call = noise("dropout", "bfloat16")
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


def planted(name: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A call of a recipe with one fault planted in it."""
    if name == "no scale":
        monkeypatch.setattr(numpy_noise, "multiplier", lambda site, draw, like: draw * 1.0)
        return noise("dropout")
    if name == "keep taken for rate":
        right = numpy_noise.multiplier
        monkeypatch.setattr(
            numpy_noise, "multiplier", lambda site, draw, like: right(site._replace(rate=1 - site.rate), draw, like)
        )
        return noise("dropout")
    if name == "a gate's mask reused":
        right_part = numpy_lstm.Masks.part
        monkeypatch.setattr(
            numpy_lstm.Masks, "part", lambda self, at, **where: right_part(self, at, **{**where, "gates": 0})
        )
        return lstm([at("input", 0.5, "time")])
    if name == "h and c swapped":
        right_lstm = numpy_lstm.lstm

        def swapped(*arguments: Any) -> Any:
            steps, (h, c) = right_lstm(*arguments)
            return steps, (c, h)

        monkeypatch.setattr(numpy_lstm, "lstm", swapped)
        return pair()
    right_sigmoid = numpy_cell.sigmoid
    monkeypatch.setitem(numpy_cell.RECURRENT, None, lambda z: right_sigmoid(z + 1e-5))
    return lstm()


@pytest.mark.parametrize(
    "name", ["no scale", "keep taken for rate", "a gate's mask reused", "h and c swapped", "a bias of 1e-5"]
)
def test_the_bound_catches_a_planted_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = planted(name, monkeypatch)
    assert call.worst(call.run()) > 1.0


@pytest.mark.parametrize("layer", ["gru", "simple_rnn", "embedding", "awd_lstm"])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_other_recurrent_kinds_agree_with_their_references(layer: str, data: st.DataObject) -> None:
    config, shapes, dropout = data.draw(calls(layer))
    generator = np.random.default_rng(4)
    inputs = arrays(**shapes)
    if "vocabulary" in config:
        inputs["x"] = generator.integers(0, config["vocabulary"], shapes["x"])
    specs = [spec.model_dump() for spec in dropout]
    call = Call("numpy", f"numpy.{layer}", layer, config, specs, inputs=inputs, seed=data.draw(st.integers(0, 99)))
    result = call.run()
    expected = call.reference(result.draws)
    assert set(expected) == set(result.outputs) | {f"d {name}" for name in result.gradients}
    for name, value in {**result.outputs, **{f"d {name}": value for name, value in result.gradients.items()}}.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", ["gru", "simple_rnn", "awd_lstm"])
def test_the_other_recurrent_kinds_stay_within_the_derived_bound(layer: str, dtype: str) -> None:
    config: dict[str, Any] = dict(FULL)
    inputs = arrays(x=(3, 4, 2))
    dropout = [at("input", 0.3, "time")]
    if layer == "awd_lstm":
        config = {"vocabulary": 6, "features": 3, "units": 4, "layers": 2, "tied": True, "return_state": True}
        inputs = {"x": np.random.default_rng(0).integers(0, 6, (3, 4))}
        dropout += [at("embedding.rows", 0.3, "batch", "features"), at("weight.recurrent", 0.5)]
    call = Call("numpy", f"numpy.{layer}", layer, config, dropout, inputs=inputs, dtype=dtype)
    assert call.worst(call.run()) <= 1.0
