"""Every torch adapter against the float64 reference on its own draws, on a tape, and where it must refuse."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from adapter_jobs import FULL, Call, at
from torch_cases import AWD, CASES, LENGTHS, MODEL, STACKED, TABLE, Case, X, call, name_of

from harness.adapters.base import Unsupported
from harness.layers.base import kinds
from harness.tape import TapeMismatch

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
@pytest.mark.parametrize("case", CASES[::3], ids=name_of)
def test_low_precision(case: Case, dtype: str) -> None:
    job = call(case, dtype=dtype)
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
    # A small mask may be the same by luck, all of them not.
    same = [np.array_equal(draw.values, other.draws[site].values) for site, draw in first.draws.items()]
    assert not same or not all(same)


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
    spatial = {"torch.nn.Dropout3d"}
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


def test_dropout1d_on_a_batch_major_array_drops_time_steps() -> None:
    """What `shared: [features]` asks for is what the layer does to the array as it is; no transpose is made."""
    import torch

    job = Call("torch", "torch.nn.Dropout1d", "dropout", {"rate": 0.5, "shared": ["features"]}, inputs={"x": X})
    torch.manual_seed(job.job.seed)
    direct = torch.nn.Dropout1d(0.5)(torch.from_numpy(X)).numpy()
    result = job.run()
    np.testing.assert_array_equal(result.outputs["y"], direct)
    assert result.draws["input"].values.shape == (3, 6, 1)


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
    dropout, lstm = call(CASES[0]), call(STACKED)
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
    (("dropout", "torch.nn.Dropout3d", {"rate": 0.3, "shared": ["time"]}, ()), "rank"),
    (("dropout", "recipe.LockedDropout", {"rate": 0.3}, ()), "shared"),
    (("lstm", "torch.nn.LSTM", FULL, [at("state.h", 0.3, "gates")]), "no dropout at 'state.h'"),
    (("lstm", "torch.nn.LSTM", FULL, [at("input", 0.3)]), "shared"),
    (("lstm", "torch.nn.LSTM", {**FULL, "layers": 2}, [at("between_layers", 0.3, "time")]), "shared"),
    (("lstm", "torch.nn.LSTM", FULL, [at("output", 0.3, scale="none")]), "scale"),
    (("lstm", "torch.nn.LSTM", FULL, [at("output", 0.3, noise="gaussian")]), "no gaussian noise"),
    (("lstm", "torch.nn.LSTMCell", FULL, [at("state.h", 0.3, "time")]), "one state.h for all gates"),
    (("lstm", "recipe.LockedDropout", FULL, [at("output", 0.3)]), "shared"),
    (("lstm", "torch.nn.LSTM", {**FULL, "peepholes": True}, ()), "no setting peepholes"),
    (("gru", "torch.nn.GRU", {**FULL, "reset_after": False}, ()), "resets after"),
    (("gru", "torch.nn.GRU", FULL, [at("state.h", 0.3, "gates")]), "no dropout at 'state.h'"),
    (("simple_rnn", "torch.nn.RNN", FULL, [at("input", 0.3, "time")]), "shared"),
    (("embedding", "torch.nn.Embedding", TABLE, AWD[:1]), "no dropout at 'embedding.rows'"),
    (("embedding", "recipe.embedded_dropout", TABLE, [at("embedding.rows", 0.3)]), "shared"),
    (("awd_lstm", "recipe.AWD_LSTM", MODEL, [at("output")]), "shared"),
    (("awd_lstm", "recipe.AWD_LSTM", MODEL, [at("weight.recurrent", 0.3, "units")]), "shared"),
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
    job = call(STACKED, dtype="float32")
    result = job.run()
    good = result.outputs
    assert broken(job, result, h=good["c"], c=good["h"]) > 1.0
    assert broken(job, result, y=np.roll(good["y"], 1, axis=1)) > 1.0
    assert broken(job, result, y=good["y"] * np.float32(0.6)) > 1.0
    gradients = {**result.gradients, "layer0.kernel": np.roll(result.gradients["layer0.kernel"], 4, axis=1)}
    assert job.worst(result._replace(gradients=gradients)) > 1.0


def test_faults_in_an_adapter_exceed_the_bound() -> None:
    """Wrong gate order, wrong rate, a mask that is not transposed: each against the same reference."""
    job = call(STACKED)
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
    job = call(STACKED)
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


def test_torch_rounds_the_gradient_of_hardsigmoid_to_float32() -> None:
    """Why the loop writes the formula out. When this fails, torch has mended it."""
    import torch

    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.hardsigmoid(x).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == float(np.float32(1.0 / 6.0))
