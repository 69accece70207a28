"""Every torch adapter against the float64 reference on its own draws, on a tape, and where it must refuse."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from adapter_jobs import FULL, Call, at

from harness.adapters.base import Unsupported
from harness.layers.base import kinds
from harness.tape import TapeMismatch

X = np.random.default_rng(0).normal(size=(3, 6, 5))
Z = np.random.default_rng(1).normal(size=(3, 4, 5))
H = np.random.default_rng(2).normal(size=(3, 3, 4))

LOCKED = [
    at("input", 0.3, "gates", "time"),
    at("between_layers", 0.5, "time"),
    at("output", 0.4, "time"),
]
STEPWISE = [
    at("input", 0.3, "gates", "time"),
    at("state.h", 0.25, "gates"),
    at("state.c", 0.2, "time"),
    at("between_layers", 0.5, "features"),
    at("output", 0.4),
]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time", "batch"), at("state.c", 0.2, "layers")]
HALVES = [at("encoder.input", 0.3, "gates"), at("decoder.output", 0.3), at("decoder.between_layers", 0.6)]

TWO_WAYS = [at("input", 0.3, "directions", "gates"), at("between_layers", 0.4), at("output")]
LENGTHS = np.array([4, 6, 1])

WORDS = np.random.default_rng(3).integers(0, 7, (3, 6))
TABLE = {"vocabulary": 7, "features": 4}
MODEL = {**TABLE, "units": 5, "layers": 3, "return_state": True}
AWD = [
    at("embedding.rows", 0.3, "batch", "features"),
    at("input", 0.3, "time"),
    at("layer0.weight.recurrent", 0.5),
    at("layer1.weight.recurrent", 0.4, "inputs"),
    at("between_layers", 0.25, "time"),
    at("layer2.weight.recurrent", 0.3, "gates", "units"),
    at("output", 0.4, "time"),
]

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

CASES: list[Case] = [
    ("dropout", "torch.nn.Dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.nn.functional.dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.native_dropout", {"rate": 0.3}, ()),
    ("dropout", "torch.nn.Dropout1d", {"rate": 0.3, "shared": ["time"]}, ()),
    ("dropout", "recipe.LockedDropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("alpha_dropout", "torch.nn.AlphaDropout", {"rate": 0.3}, ()),
    ("alpha_dropout", "torch.nn.functional.alpha_dropout", {"rate": 0.3}, ()),
    ("alpha_dropout", "torch.nn.FeatureAlphaDropout", {"rate": 0.3, "shared": ["time"]}, ()),
    ("gaussian_dropout", "recipe.GaussianDropout", {"rate": 0.3, "shared": ["batch"]}, ()),
    ("gaussian_noise", "recipe.GaussianNoise", {"stddev": 0.3}, ()),
    ("masked_gaussian_noise", "recipe.MaskedGaussianNoise", {"rate": 0.3, "stddev": 0.5}, ()),
    ("lstm", "torch.nn.LSTM", FULL, [at("input", 0.3, "gates"), at("output")]),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 3}, [at("between_layers"), at("output")]),
    ("lstm", "torch.nn.LSTM", {"units": 4}, ()),
    ("lstm", "torch.nn.LSTMCell", {**FULL, "layers": 3}, STEPWISE),
    ("lstm", "recipe.lstm_loop", {**FULL, "layers": 3}, STEPWISE),
    ("lstm", "recipe.lstm_loop", {**FULL, "layers": 2}, GATEWISE),
    ("lstm", "recipe.lstm_loop", FULL, [at("state.h", 0.3, "time", noise="gaussian")]),
    ("lstm", "recipe.LockedDropout", {**FULL, "layers": 3}, LOCKED),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "bidirectional": True}, TWO_WAYS),
    ("lstm", "torch.nn.LSTM", {"units": 4, "bidirectional": True}, [at("output")]),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "projection": 2, "bidirectional": True}, TWO_WAYS),
    ("lstm", "torch.nn.LSTM", {**FULL, "projection": 3, "forget_bias": 1.0}, ()),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "padding": "zeros"}, [at("between_layers"), at("output")]),
    ("lstm", "torch.nn.LSTM", {**FULL, "layers": 2, "bidirectional": True, "padding": "zeros"}, TWO_WAYS),
    ("lstm", "torch.nn.LSTMCell", {**FULL, "forget_bias": 1.0}, [at("state.h", 0.3, "gates", "time")]),
    ("lstm", "recipe.lstm_loop", {**FULL, "peepholes": True, "cell_clip": 0.2, "forget_bias": 1.0}, [at("output")]),
    (
        "lstm",
        "recipe.lstm_loop",
        {**FULL, "layers": 2, "projection": 3, "projection_clip": 0.1},
        [at("state.h", 0.3, "gates"), at("output")],
    ),
    ("lstm", "recipe.lstm_loop", {**FULL, "go_backwards": True}, [at("input", 0.3, "gates"), at("output")]),
    (
        "lstm",
        "recipe.lstm_loop",
        {**FULL, "drop_leaving_state": True},
        [at("state.h", 0.3, "gates"), at("state.c"), at("output")],
    ),
    ("lstm", "recipe.lstm_loop", {**FULL, "recurrent_activation": "hard_sigmoid"}, ()),
    ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5, "inputs")]),
    ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5, "gates", "units")]),
    ("lstm", "recipe.WeightDrop", {**FULL, "layers": 3}, [at("weight.recurrent", 0.5), at("between_layers")]),
    ("lstm", "recipe.WeightDrop", {**FULL, "layers": 2, "bidirectional": True}, [at("weight.recurrent"), *TWO_WAYS]),
    ("lstm", "recipe.AWD_LSTM", {**FULL, "layers": 3}, [at("weight.recurrent", 0.5), *LOCKED]),
    ("lstm", "recipe.AWD_LSTM", FULL, [at("weight.recurrent", 0.5, "inputs"), at("output", 0.3, "time")]),
    ("lstm", "recipe.lstm_loop", {**FULL, "recurrent_activation": "hard_sigmoid_keras2"}, ()),
    ("embedding", "torch.nn.Embedding", TABLE, ()),
    ("embedding", "recipe.embedded_dropout", TABLE, AWD[:1]),
    ("awd_lstm", "recipe.AWD_LSTM", MODEL, AWD),
    ("awd_lstm", "recipe.AWD_LSTM", {**MODEL, "tied": True}, AWD),
    ("awd_lstm", "recipe.AWD_LSTM", {**MODEL, "layers": 1}, AWD[1:3]),
    ("encoder_decoder", "torch.nn.LSTM", {**FULL, "layers": 2}, HALVES),
    ("encoder_decoder", "torch.nn.LSTM", {**FULL, "layers": 2, "tied": True}, HALVES),
    ("encoder_decoder", "torch.nn.LSTMCell", {**FULL, "layers": 2, "tied": True}, HALVES),
    ("encoder_decoder", "recipe.lstm_loop", {**FULL, "layers": 2}, HALVES),
    ("encoder_decoder", "recipe.LockedDropout", FULL, [at("encoder.input", 0.3, "gates", "time")]),
]


def name_of(case: Case) -> str:
    return "-".join(
        [case[0], case[1], *(f"{key}={value}" for key, value in case[2].items() if key in ("layers", "tied"))]
    )


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout = case
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if layer == "lstm" and config.get("layers") == 3:
        inputs |= {"h0": H, "c0": H[::-1]}
    if layer in ("embedding", "awd_lstm"):
        inputs = {"x": WORDS}
    if config.get("padding"):
        inputs |= {"lengths": LENGTHS}
    return Call("torch", name, layer, config, dropout, inputs=more.pop("inputs", inputs), **more)


every_case = pytest.mark.parametrize("case", CASES, ids=name_of)


@every_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_own_draws(case: Case, dtype: str) -> None:
    """Outputs, states and gradients are the reference's on the recorded draws, within the derived bound."""
    job = call(case, dtype=dtype)
    result = job.run()
    assert set(result.draws) == set(job.tape())
    assert job.worst(result) <= 1.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("index", [0, 2, 5, 8, 12, 14, 18])
def test_low_precision(index: int, dtype: str) -> None:
    job = call(CASES[index], dtype=dtype)
    assert job.worst(job.run()) <= 1.0


@every_case
def test_replay(case: Case) -> None:
    """A tape's masks are used bit for bit, forward and backward, and the same seed gives the same result again."""
    job = call(case)
    tape = job.tape()
    result = job.run(tape=tape)
    assert set(result.draws) == set(tape)
    for site, draw in result.draws.items():
        drawn = np.ones(draw.values.shape, dtype=bool)
        if "lengths" in job.job.inputs and site == "between_layers":
            # A packed sequence has no padding to draw for.
            drawn &= (np.arange(X.shape[1]) < LENGTHS[:, None])[:, :, None]
            assert not draw.values[~drawn].any()
        np.testing.assert_array_equal(draw.values[drawn], tape[site][drawn])
    assert job.worst(result) <= 1.0
    again = job.run(tape=tape)
    for name, array in result.outputs.items():
        np.testing.assert_array_equal(array, again.outputs[name])


@every_case
def test_replay_of_own_draws_changes_nothing(case: Case) -> None:
    job = call(case)
    first = job.run()
    second = job.run(tape={site: draw.values for site, draw in first.draws.items()}, seed=99)
    for name, array in {**first.outputs, **first.gradients}.items():
        np.testing.assert_array_equal(array, {**second.outputs, **second.gradients}[name])


@every_case
def test_seeds(case: Case) -> None:
    """The same seed draws the same masks, another seed others; without gradients nothing changes."""
    job = call(case)
    first, again, other, without = job.run(), job.run(), job.run(seed=4), job.run(cotangents={})
    assert not without.gradients
    for name, array in first.outputs.items():
        np.testing.assert_array_equal(array, without.outputs[name])
    for site, draw in first.draws.items():
        np.testing.assert_array_equal(draw.values, again.draws[site].values)
        np.testing.assert_array_equal(draw.values, without.draws[site].values)
        assert not np.array_equal(draw.values, other.draws[site].values)


@every_case
def test_evaluation(case: Case) -> None:
    """Evaluation draws nothing and computes what no dropout computes."""
    job = call(case, mode="eval")
    result = job.run()
    assert result.draws == {}
    assert job.worst(result) <= 1.0


def test_every_implementation_is_tested() -> None:
    from harness.adapters.base import implementations

    here = {key[2] for key in implementations() if key[0] == "torch" and key[1] in {case[0] for case in CASES}}
    of_torch = {name for name in here if name.startswith(("torch.", "recipe."))}
    spatial = {"torch.nn.Dropout2d", "torch.nn.Dropout3d"}
    assert of_torch == {case[1] for case in CASES} | spatial


@pytest.mark.parametrize(("name", "shape"), [("Dropout2d", (2, 3, 4, 5)), ("Dropout3d", (2, 3, 2, 2, 5))])
def test_spatial_layers_drop_channels(name: str, shape: tuple[int, ...]) -> None:
    """The canonical last axis is torch's axis 1: whole channels go, the other axes share."""
    x = np.random.default_rng(0).normal(size=shape)
    shared = ["depth", "height", "width"][-(len(shape) - 2) :]
    job = Call("torch", f"torch.nn.{name}", "dropout", {"rate": 0.5, "shared": shared}, inputs={"x": x})
    result = job.run()
    mask = result.draws["input"].values
    assert mask.shape == (2, *(1,) * (len(shape) - 2), 5)
    np.testing.assert_array_equal(result.outputs["y"] != 0.0, np.broadcast_to(mask, shape))
    assert job.worst(result) <= 1.0


@pytest.mark.parametrize("name", ["torch.nn.Dropout", "torch.nn.functional.dropout", "torch.native_dropout"])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_edges_of_the_rate(name: str, rate: float) -> None:
    """Rate 0 is the identity and rate 1 gives zeros; only the fused operator draws at them."""
    job = Call("torch", name, "dropout", {"rate": rate}, inputs={"x": X})
    result = job.run()
    assert bool(result.draws) == (name == "torch.native_dropout")
    np.testing.assert_array_equal(result.outputs["y"], X if rate == 0.0 else np.zeros_like(X))
    assert job.worst(result) <= 1.0
    replayed = job.run(tape={"input": np.full(X.shape, rate == 0.0)})
    np.testing.assert_array_equal(replayed.outputs["y"], result.outputs["y"])


def test_locked_dropout_at_rate_one_is_nan() -> None:
    """The published recipe divides 0 by 0 there."""
    job = Call("torch", "recipe.LockedDropout", "dropout", {"rate": 1.0, "shared": ["time"]}, inputs={"x": X})
    assert np.isnan(job.run().outputs["y"]).all()


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    x = np.zeros((4, 50))
    job = Call("torch", "torch.nn.Dropout", "dropout", {"rate": 0.5}, inputs={"x": x})
    kept = job.run().draws["input"].values
    assert 0 < kept.sum() < kept.size


def test_options() -> None:
    """`inplace` and `batch_first` change nothing that the reference could see; others are refused."""
    dropout, lstm = call(CASES[0]), call(CASES[12])
    for job, option in ((dropout, "inplace"), (lstm, "batch_first")):
        assert job.worst(job.run(options={option: True})) <= 1.0
    with pytest.raises(Unsupported, match="no option 'jit'"):
        dropout.run(options={"jit": True})


def test_batch_first_draws_between_layers_time_major() -> None:
    """The same seed gives the same masks with and without batch_first: torch draws on its inner (T, B, H) array."""
    job = Call("torch", "torch.nn.LSTM", "lstm", {**FULL, "layers": 2}, [at("between_layers")], inputs={"x": X})
    plain, first = job.run(), job.run(options={"batch_first": True})
    np.testing.assert_array_equal(plain.draws["between_layers"].values, first.draws["between_layers"].values)


REFUSED: list[tuple[Case, str]] = [
    (("dropout", "torch.nn.Dropout", {"rate": 0.3, "shared": ["time"]}, ()), "shared"),
    (("dropout", "torch.nn.Dropout1d", {"rate": 0.3}, ()), "shared"),
    (("dropout", "torch.nn.Dropout2d", {"rate": 0.3, "shared": ["time"]}, ()), "rank"),
    (("dropout", "recipe.LockedDropout", {"rate": 0.3}, ()), "shared"),
    (("lstm", "torch.nn.LSTM", FULL, [at("state.h", 0.3, "gates")]), "no dropout at 'state.h'"),
    (("lstm", "torch.nn.LSTM", FULL, [at("input", 0.3)]), "shared"),
    (("lstm", "torch.nn.LSTM", {**FULL, "layers": 2}, [at("between_layers", 0.3, "time")]), "shared"),
    (("lstm", "torch.nn.LSTM", FULL, [at("output", 0.3, scale="none")]), "scale"),
    (("lstm", "torch.nn.LSTM", FULL, [at("output", 0.3, noise="gaussian")]), "no gaussian noise"),
    (("lstm", "torch.nn.LSTMCell", FULL, [at("state.h", 0.3, "time")]), "one state.h for all gates"),
    (("lstm", "recipe.LockedDropout", FULL, [at("output", 0.3)]), "shared"),
    (("lstm", "torch.nn.LSTM", {**FULL, "peepholes": True}, ()), "no setting peepholes"),
    (("embedding", "torch.nn.Embedding", TABLE, AWD[:1]), "no dropout at 'embedding.rows'"),
    (("embedding", "recipe.embedded_dropout", TABLE, [at("embedding.rows", 0.3)]), "shared"),
    (("awd_lstm", "recipe.AWD_LSTM", MODEL, [at("output")]), "shared"),
    (("awd_lstm", "recipe.AWD_LSTM", MODEL, [at("layer1.weight.recurrent", 0.3, "units")]), "shared"),
    (("lstm", "torch.nn.LSTM", {**FULL, "go_backwards": True}, ()), "no setting go_backwards"),
    (("lstm", "torch.nn.LSTM", {**FULL, "padding": "repeat"}, ()), "padded with zeros"),
    (("lstm", "torch.nn.LSTMCell", {**FULL, "bidirectional": True}, ()), "no setting bidirectional"),
    (("lstm", "torch.nn.LSTMCell", {**FULL, "projection": 2}, ()), "no setting projection"),
    (("lstm", "recipe.lstm_loop", {**FULL, "padding": "zeros"}, ()), "no setting padding"),
]


@pytest.mark.parametrize(
    ("case", "message"), REFUSED, ids=[f"{name_of(case)}-{index}" for index, (case, _) in enumerate(REFUSED)]
)
def test_refused(case: Case, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(case).run()


def test_a_tape_of_another_shape_is_refused() -> None:
    job = call(CASES[3])
    with pytest.raises(Unsupported, match="shares the mask over more"):
        job.run(tape={"input": np.ones(X.shape, dtype=bool)})
    with pytest.raises(TapeMismatch, match="nothing for site input"):
        job.run(tape={})


# Planted faults: each must push the measured error over its bound.


def broken(job: Call, result: Any, **arrays: np.ndarray) -> float:
    return job.worst(result._replace(outputs={**result.outputs, **arrays}))


def test_faults_in_a_result_exceed_the_bound() -> None:
    job = call(CASES[12], dtype="float32")
    result = job.run()
    good = result.outputs
    assert broken(job, result, h=good["c"], c=good["h"]) > 1.0
    assert broken(job, result, y=np.roll(good["y"], 1, axis=1)) > 1.0
    assert broken(job, result, y=good["y"] * np.float32(0.6)) > 1.0
    gradients = {**result.gradients, "layer0.kernel": np.roll(result.gradients["layer0.kernel"], 4, axis=1)}
    assert job.worst(result._replace(gradients=gradients)) > 1.0


def test_faults_in_an_adapter_exceed_the_bound() -> None:
    """Wrong gate order, wrong rate, a mask that is not transposed: each against the same reference."""
    job = call(CASES[12])
    weights = dict(job.job.weights)
    swapped = np.concatenate([weights["layer1.bias"][8:12], weights["layer1.bias"][4:8]])
    weights["layer1.bias"] = np.concatenate([swapped, weights["layer1.bias"][:4], weights["layer1.bias"][12:]])
    assert job.worst(job.run(weights=weights)) > 1.0

    result = job.run()
    kept_for_dropped = {site: draw._replace(values=~draw.values) for site, draw in result.draws.items()}
    assert job.worst(result._replace(draws=kept_for_dropped)) > 1.0
    locked = {
        site: draw._replace(values=np.broadcast_to(draw.values[..., :1, :], draw.values.shape))
        for site, draw in result.draws.items()
    }
    assert job.worst(result._replace(draws=locked)) > 1.0


def test_a_draw_that_no_slot_foresees_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap that missed or an adapter that forgot a draw cannot pass."""
    job = call(CASES[12])
    slots = job.adapter.slots
    monkeypatch.setattr(job.adapter, "slots", lambda this: slots(this)[:-1])
    with pytest.raises(TapeMismatch, match="drew 3 times where 2 were expected"):
        job.run()
    monkeypatch.setattr(job.adapter, "slots", lambda this: [*slots(this), slots(this)[0]])
    with pytest.raises(TapeMismatch, match="drew 3 times where 4 were expected"):
        job.run()
    with pytest.raises(TapeMismatch, match="never taken"):
        job.run(tape=job.tape())


def test_kinds_cover_the_cases() -> None:
    assert {case[0] for case in CASES} <= set(kinds())


# torch.compile beside eager calls.

COMPILED = pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])


@COMPILED
@pytest.mark.parametrize("index", [0, 5])
def test_compiled_layers(index: int, backend: str) -> None:
    """The compiled graph takes its masks from the tape; with the seed of eager torch it draws what eager torch draws."""
    job = call(CASES[index], options={"compile": backend})
    eager = call(CASES[index]).run()
    result = job.run()
    np.testing.assert_array_equal(result.draws["input"].values, eager.draws["input"].values)
    assert job.worst(result) <= 1.0
    replayed = job.run(tape=job.tape())
    np.testing.assert_array_equal(replayed.draws["input"].values, job.tape()["input"])
    assert job.worst(replayed) <= 1.0


@pytest.mark.slow
def test_a_compiled_loop() -> None:
    inputs = {"x": X[:, :2]}
    sites = [at("input", 0.3, "gates", "time"), at("state.h", 0.3, "gates"), at("output")]
    job = Call("torch", "torch.nn.LSTMCell", "lstm", FULL, sites, inputs=inputs, options={"compile": "aot_eager"})
    assert job.worst(job.run()) <= 1.0
    assert job.worst(job.run(tape=job.tape())) <= 1.0


def test_a_compiled_lstm_runs_eagerly_by_default() -> None:
    job = call(CASES[12], options={"compile": "aot_eager"})
    assert job.worst(job.run()) <= 1.0


@pytest.mark.slow
def test_a_compiled_lstm_loses_its_dropout() -> None:
    """With `allow_rnn` torch 2.13 traces nn.LSTM by a decomposition that never applies the dropout between its layers."""
    job = call(CASES[12], options={"compile": "aot_eager", "allow_rnn": True})
    with pytest.raises(TapeMismatch, match="drew 1 times where 3 were expected"):
        job.run()
    silent = call(("lstm", "torch.nn.LSTM", {**FULL, "layers": 3}, ()), options=job.job.options)
    assert silent.worst(silent.run()) <= 1.0


def test_compile_backends() -> None:
    with pytest.raises(Unsupported, match="no torch.compile backend 'xla'"):
        call(CASES[0]).run(options={"compile": "xla"})


def test_torch_rounds_the_gradient_of_hardsigmoid_to_float32() -> None:
    """Why the loop writes the formula out. When this fails, torch has mended it."""
    import torch

    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.hardsigmoid(x).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == float(np.float32(1.0 / 6.0))


# WeightDrop: the gradient of the raw weight, and the ways to lose it.

DROPPED: Case = ("lstm", "recipe.WeightDrop", {**FULL, "layers": 2}, [at("weight.recurrent", 0.5, "inputs")])


def test_weight_drop_cuts_gates_or_units() -> None:
    """A mask over [inputs] cuts rows of weight_hh, whole gates; one over [gates, units] cuts columns, whole units of h."""
    rows = Call("torch", "recipe.WeightDrop", "lstm", FULL, [at("weight.recurrent", 0.5, "inputs")], inputs={"x": X})
    result = rows.run()
    dropped = ~result.draws["weight.recurrent"].values.reshape(16)
    assert 0 < dropped.sum() < 16
    assert not result.gradients["recurrent_kernel"][:, dropped].any()
    assert result.gradients["recurrent_kernel"][:, ~dropped].all()

    sites = [at("weight.recurrent", 0.5, "gates", "units")]
    columns = Call("torch", "recipe.WeightDrop", "lstm", FULL, sites, inputs={"x": X})
    result = columns.run()
    dropped = ~result.draws["weight.recurrent"].values.reshape(4)
    assert 0 < dropped.sum() < 4
    assert not result.gradients["recurrent_kernel"][dropped].any()
    assert result.gradients["recurrent_kernel"][~dropped].all()


def test_a_mask_on_columns_is_a_mask_on_h() -> None:
    """Tied weights of Gal & Ghahramani: dropping columns of weight_hh is dropping h, one mask for all steps and examples."""
    weights = Call(
        "torch", "recipe.WeightDrop", "lstm", FULL, [at("weight.recurrent", 0.5, "gates", "units")], inputs={"x": X}
    )
    states = Call(
        "torch", "torch.nn.LSTMCell", "lstm", FULL, [at("state.h", 0.5, "gates", "time", "batch")], inputs={"x": X}
    )
    mask = np.array([True, False, True, False])
    one = weights.run(tape={"weight.recurrent": mask.reshape(4, 1, 1)})
    other = states.run(tape={"state.h": mask.reshape(1, 1, 1, 4)})
    np.testing.assert_allclose(one.outputs["y"], other.outputs["y"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(
        one.gradients["recurrent_kernel"], other.gradients["recurrent_kernel"], rtol=0, atol=1e-14
    )


def test_wrapped_in_a_parameter_the_raw_weight_gets_no_gradient() -> None:
    """The outputs are right, and training would leave the recurrent weights where they began."""
    job = call(DROPPED, options={"wrap": "parameter"})
    result, right = job.run(), call(DROPPED).run()
    for layer in ("layer0", "layer1"):
        assert not result.gradients[f"{layer}.recurrent_kernel"].any()
        assert right.gradients[f"{layer}.recurrent_kernel"].any()
    np.testing.assert_array_equal(result.outputs["y"], right.outputs["y"])
    assert job.worst(result) > 1.0
    kernels = {name: array for name, array in right.gradients.items() if name.endswith("recurrent_kernel")}
    assert job.worst(result._replace(gradients={**result.gradients, **kernels})) <= 1.0


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_parametrised_lstm_is_dropped_and_trained(index: int) -> None:
    """In torch 2.13, inside parametrize.cached, one mask a call reaches the weights and the gradient the raw ones."""
    dropped = [case for case in CASES if case[1] == "recipe.WeightDrop"]
    job = call(dropped[index], options={"wrap": "parametrize"})
    assert job.worst(job.run()) <= 1.0
    assert job.worst(job.run(tape=job.tape())) <= 1.0


def test_the_published_variational_code_drops_in_evaluation_too() -> None:
    job = call(DROPPED, mode="eval")
    assert job.run().draws == {}
    always = job.run(options={"always": True})
    assert set(always.draws) == {"weight.recurrent"}
    assert job.worst(always._replace(draws={})) > 1.0


def test_weight_drop_options() -> None:
    with pytest.raises(Unsupported, match="no wrap 'hook'"):
        call(DROPPED).run(options={"wrap": "hook"})
    unshared: Case = ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5)])
    with pytest.raises(Unsupported, match="only the variational"):
        call(unshared).run(options={"always": True})
    gates: Case = ("lstm", "recipe.WeightDrop", FULL, [at("weight.recurrent", 0.5, "gates")])
    with pytest.raises(Unsupported, match="shared"):
        call(gates).run()


def test_a_language_model_that_wraps_its_dropped_weights_does_not_train_them() -> None:
    model: Case = ("awd_lstm", "recipe.AWD_LSTM", MODEL, AWD)
    result = call(model, options={"wrap": "parameter"}).run()
    for layer in range(3):
        assert not result.gradients[f"layer{layer}.recurrent_kernel"].any()
        assert result.gradients[f"layer{layer}.kernel"].any()


def test_initial_states_of_a_language_model() -> None:
    states = {f"layer{layer}.{name}0": np.full((3, 5), 0.5) for layer in range(3) for name in "hc"}
    job = Call("torch", "recipe.AWD_LSTM", "awd_lstm", MODEL, AWD, inputs={"x": WORDS, **states})
    assert job.worst(job.run()) <= 1.0
