"""Every JAX adapter against the float64 reference on its own draws, on a tape, and where it must refuse."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
from adapter_jobs import FULL, Call, at

from harness.adapters import jax_adapter
from harness.adapters.base import Unsupported, implementations
from harness.layers.base import tape_keys
from harness.tape import TapeMismatch, decisions

X = np.random.default_rng(0).normal(size=(3, 5, 2))
Z = np.random.default_rng(1).normal(size=(3, 4, 2))
TOKENS = np.random.default_rng(3).integers(0, 7, size=(3, 5))
H = np.random.default_rng(2).normal(size=(2, 3, 4))

STACK = {**FULL, "layers": 2}
#: Every site of a cell in a stack, shared as Gal & Ghahramani share it, and not.
LOCKED = [
    at("input", 0.3, "gates", "time"),
    at("state.h", 0.25, "gates", "time"),
    at("state.c", 0.2),
    at("between_layers", 0.5, "time"),
    at("output", 0.4, "batch"),
]
FREE = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates", "batch"), at("state.c", 0.2, "time"), at("output", 0.4)]
GATEWISE = [
    at("input", 0.3, "time"),
    at("state.h", 0.25, "time", noise="gaussian"),
    at("state.c", 0.2, "layers", "batch"),
    at("between_layers", 0.4, scale="none"),
]
HALVES = [at("encoder.input", 0.3, "gates"), at("encoder.output", 0.2), at("decoder.state.h", 0.3, "gates", "time")]

WAYS = [
    at("weight.recurrent", 0.4, "inputs"),
    at("input", 0.3, "gates", "directions"),
    at("state.h", 0.3, "gates", "time"),
]
DROPPED_WEIGHT = [at("weight.recurrent", 0.4), at("state.h", 0.3, "gates")]
LENGTHS = {"lengths": np.array([5, 2, 1])}

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

CELLS = (
    "flax.linen.LSTMCell",
    "flax.linen.OptimizedLSTMCell",
    "flax.nnx.LSTMCell",
    "flax.nnx.OptimizedLSTMCell",
    "equinox.nn.LSTMCell",
)
DROPOUTS = ("jax.random.bernoulli", "flax.linen.Dropout", "flax.nnx.Dropout", "equinox.nn.Dropout")

#: Settings beyond the plain LSTM: who has them, and with which sites.
FLAX = CELLS[:4]
SETTINGS: list[Case] = [
    *(("lstm", name, {**STACK, "bidirectional": True}, WAYS) for name in (*CELLS, "jax.lax.scan")),
    *(("lstm", name, {**FULL, "go_backwards": True}, DROPPED_WEIGHT) for name in (*CELLS, "jax.lax.scan")),
    *(("lstm", name, {**FULL, "padding": "free"}, ()) for name in (*FLAX, "jax.lax.scan")),
    *(("lstm", name, {"units": 4, "recurrent_activation": "hard_sigmoid"}, ()) for name in (*FLAX, "jax.lax.scan")),
    ("lstm", "jax.experimental.rnn.lstm_ref", {**STACK, "bidirectional": True}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "padding": "zeros", "bidirectional": True}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "padding": "repeat"}, [at("state.h", 0.3)]),
    ("lstm", "jax.lax.scan", {"units": 4, "recurrent_activation": "hard_sigmoid_keras2"}, ()),
    ("lstm", "jax.lax.scan", {**FULL, "drop_leaving_state": True}, [at("state.h", 0.3, "gates"), at("state.c", 0.3)]),
    (
        "lstm",
        "jax.lax.scan",
        {**FULL, "forget_bias": 1.0, "peepholes": True, "cell_clip": 0.3, "projection": 3, "projection_clip": 0.2},
        [at("weight.recurrent", 0.4, "gates")],
    ),
]

QUICK: list[Case] = [
    *(("dropout", name, {"rate": 0.3, "shared": ["time"]}, ()) for name in DROPOUTS),
    ("gaussian_dropout", "jax.random.normal", {"rate": 0.3, "shared": ["batch"]}, ()),
    ("gaussian_noise", "jax.random.normal", {"stddev": 0.3}, ()),
    ("masked_gaussian_noise", "jax.random.normal", {"rate": 0.3, "stddev": 0.5}, ()),
    ("alpha_dropout", "jax.random.bernoulli", {"rate": 0.3}, ()),
    ("lstm", "jax.experimental.rnn.lstm_ref", STACK, ()),
    ("lstm", "jax.lax.scan", STACK, GATEWISE),
    *(("lstm", name, STACK, LOCKED) for name in CELLS),
]
RECURRENT = [at("input", 0.3, "gates", "time"), at("output", 0.4)]
ELMAN = [at("input", 0.3, "time"), at("state.h", 0.4), at("output", 0.4)]
GATES = [at("input", 0.3), at("state.h", 0.25, "time")]
ROWS = [at("embedding.rows", 0.4, "batch", "features")]
MODEL = {"vocabulary": 7, "features": 3, "units": 4, "layers": 2, "return_state": True}
AWD = [
    *ROWS,
    at("input", 0.3, "time"),
    at("weight.recurrent", 0.4, "inputs"),
    at("between_layers", 0.4, "time"),
    at("output", 0.3, "time"),
]
OTHERS: list[Case] = [
    *(("gru", name, FULL, RECURRENT) for name in ("jax.lax.scan", "flax.linen.GRUCell", "equinox.nn.GRUCell")),
    ("gru", "jax.lax.scan", {"units": 4, "reset_after": False}, GATES),
    *(("simple_rnn", f"flax.{name}.SimpleCell", FULL, ELMAN) for name in ("linen", "nnx")),
    ("simple_rnn", "jax.lax.scan", {"units": 4}, ELMAN),
    *(
        ("embedding", name, {"vocabulary": 7, "features": 3}, ROWS)
        for name in ("jax.numpy.take", "flax.linen.Embed", "flax.nnx.Embed", "equinox.nn.Embedding")
    ),
    ("embedding", "jax.numpy.take", {"vocabulary": 7, "features": 3}, [at("embedding.rows", 0.4)]),
    *(("awd_lstm", name, {**MODEL, "tied": True}, AWD) for name in (*CELLS, "jax.lax.scan")),
    *(("awd_lstm", name, MODEL, AWD) for name in ("flax.linen.LSTMCell", "flax.nnx.LSTMCell", "equinox.nn.LSTMCell")),
    ("awd_lstm", "jax.lax.scan", MODEL, AWD),
]
SLOW: list[Case] = [
    *(("dropout", name, {"rate": 0.6}, ()) for name in DROPOUTS),
    *(("lstm", name, {"units": 4}, FREE) for name in (*CELLS, "jax.lax.scan")),
    *(("encoder_decoder", name, STACK, HALVES) for name in (*CELLS, "jax.lax.scan")),
    *(("encoder_decoder", name, {**FULL, "tied": True}, HALVES) for name in (*CELLS, "jax.lax.scan")),
    *SETTINGS,
    *OTHERS,
]


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout = case
    for package in implementations()["jax", layer, name].needs:
        pytest.importorskip(package)
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if "vocabulary" in config:
        inputs = {"x": TOKENS}
    if config.get("padding"):
        inputs |= LENGTHS
    if layer == "lstm" and config.get("layers") == 2 and not config.get("bidirectional"):
        inputs |= {"h0": H, "c0": H[::-1]}
    return Call("jax", name, layer, config, dropout, inputs=more.pop("inputs", inputs), **more)


def name_of(case: Case) -> str:
    plain = ("units", "rate", "stddev", "shared", "return_sequences", "return_state")
    return "-".join([case[0], case[1], *(f"{key}={value}" for key, value in case[2].items() if key not in plain)])


every_case = pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)], ids=name_of
)
quick_cases = pytest.mark.parametrize("case", QUICK, ids=name_of)


def masks(job: Call, draws: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What was decided or drawn, by site."""
    rates = {key: site.rate for site in job.sites for key, _ in tape_keys(site)}
    return {key: draw.values if draw.kind == "normal" else decisions(draw, rates[key]) for key, draw in draws.items()}


def same(first: Any, second: Any) -> None:
    """Bit-equal outputs and gradients."""
    for one, other in ((first.outputs, second.outputs), (first.gradients, second.gradients)):
        assert set(one) == set(other)
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


@every_case
def test_draws_and_replay(case: Case) -> None:
    """Own draws: the reference's values; again: the same bits; a tape, its own draws or others: these masks, bit for bit."""
    job = call(case)
    first = job.run()
    assert set(first.draws) == set(job.tape())
    assert job.worst(first) <= 1.0
    same(first, job.run())
    other = masks(job, job.run(seed=4).draws)
    drawn = masks(job, first.draws)
    for site, values in drawn.items():
        assert not np.array_equal(values, other[site]), site
    again = job.run(tape=drawn, seed=99)
    for site, values in masks(job, again.draws).items():
        np.testing.assert_array_equal(values, drawn[site])
    if case[0] == "dropout":
        same(first, again)
    # Given its draws a program is compiled anew, so elsewhere the values agree within rounding only.
    assert job.worst(again) <= 1.0
    tape = job.tape()
    replayed = job.run(tape=tape)
    for site, values in masks(job, replayed.draws).items():
        np.testing.assert_array_equal(values, np.broadcast_to(tape[site], values.shape))
    assert job.worst(replayed) <= 1.0


@every_case
def test_evaluation(case: Case) -> None:
    """Evaluation draws nothing and computes what no dropout computes."""
    job = call(case, mode="eval")
    result = job.run()
    assert result.draws == {}
    assert job.worst(result) <= 1.0


@pytest.mark.slow
@quick_cases
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_lower_precision(case: Case, dtype: str) -> None:
    job = call(case, dtype=dtype)
    assert job.worst(job.run()) <= 1.0


@pytest.mark.parametrize("case", [QUICK[2], QUICK[9], *(pytest.param(case, marks=pytest.mark.slow) for case in QUICK)])
def test_without_jit(case: Case) -> None:
    """Operation by operation: the same masks, values within the bound."""
    compiled, eager = call(case), call(case, options={"jit": False})
    one, other = compiled.run(), eager.run()
    for site, values in masks(compiled, one.draws).items():
        np.testing.assert_array_equal(values, masks(eager, other.draws)[site])
    assert eager.worst(other) <= 1.0


def test_every_implementation_is_tested() -> None:
    here = {
        key
        for key, found in implementations().items()
        if key[0] == "jax" and found.adapter.__module__.split(".")[-1].split("_")[0] in ("jax", "flax", "equinox")
    }
    refused = {("jax", "gru", "flax.nnx.GRUCell")}
    assert here == {("jax", case[0], case[1]) for case in [*QUICK, *SLOW]} | refused


# What each library draws, seen from its users' side: plain keys, no tap.


def untapped(name: str, seed: int, x: Any) -> Any:
    """The layer as its documentation calls it."""
    key = jax.random.key(seed)
    if name == "flax.linen.Dropout":
        import flax.linen as nn

        return nn.Dropout(0.3, deterministic=False).apply({}, x, rngs={"dropout": key})
    if name == "flax.nnx.Dropout":
        from flax import nnx

        return nnx.Dropout(0.3, rngs=nnx.Rngs(seed))(x)
    if name == "equinox.nn.Dropout":
        import equinox

        return equinox.nn.Dropout(0.3)(x, key=key)
    return jax.numpy.where(jax.random.bernoulli(key, 0.7, x.shape), x / 0.7, 0.0)


@pytest.mark.parametrize("name", DROPOUTS)
def test_the_tap_changes_no_mask(name: str) -> None:
    job = call(("dropout", name, {"rate": 0.3}, ()), dtype="float32")
    for seed in (0, 5):
        result = job.run(seed=seed)
        plain = np.asarray(untapped(name, seed, jax.numpy.asarray(job.job.inputs["x"])))
        np.testing.assert_array_equal(masks(job, result.draws)["input"], plain != 0)
        # Compiled, a quotient by a constant becomes a product with its reciprocal: one unit in the last place.
        np.testing.assert_allclose(result.outputs["y"], plain, rtol=2e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_mask_shared_over_time_is_drawn_at_every_step_and_stays(cell: str) -> None:
    """All steps are recorded, so that a library that forgot to share would be seen."""
    shared = call(("lstm", cell, FULL, [at("state.h", 0.5, "gates", "time")]), gradients=False)
    draw = masks(shared, shared.run().draws)["state.h"]
    assert draw.shape == (1, 3, 5, 4)
    assert (draw == draw[:, :, :1]).all()
    free = call(("lstm", cell, FULL, [at("state.h", 0.5, "gates")]), gradients=False)
    draw = masks(free, free.run().draws)["state.h"]
    assert not (draw == draw[:, :, :1]).all()


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_edges_of_the_rate(name: str, rate: float) -> None:
    """Only Equinox draws at rate 1, where its gradient is 0 / 0; the others have zeros."""
    job = call(("dropout", name, {"rate": rate}, ()))
    result = job.run()
    draws = name == "equinox.nn.Dropout" and rate == 1.0
    assert bool(result.draws) == draws
    np.testing.assert_array_equal(result.outputs["y"], X if rate == 0.0 else np.zeros_like(X))
    if draws:
        assert np.isnan(result.gradients["x"]).all()
    else:
        assert job.worst(result) <= 1.0


@pytest.mark.parametrize("name", [*CELLS, "jax.lax.scan"])
def test_no_two_draws_share_their_bits(name: str) -> None:
    """Every site, layer and step has a key of its own: in float64, no two uniforms of a call are equal."""
    dropout = [at("weight.recurrent"), at("input", 0.3, "gates"), at("state.h", 0.3, "gates", "time"), at("output")]
    job = call(("lstm", name, FULL, dropout), gradients=False)
    draws = {site: draw.values for site, draw in job.run().draws.items()}
    draws["state.h"] = draws["state.h"][:, :, 0]
    every = np.concatenate([values.ravel() for values in draws.values()])
    assert len(np.unique(every)) == every.size


@pytest.mark.parametrize("name", [*CELLS, "jax.lax.scan"])
def test_the_raw_weight_gets_the_gradient(name: str) -> None:
    """Dropped connections get none, the others theirs: WeightDrop as published, not a new parameter beside the raw one."""
    job = call(("lstm", name, FULL, [at("weight.recurrent", 0.5)]))
    result = job.run()
    kept = masks(job, result.draws)["weight.recurrent"].reshape(4, 16)
    np.testing.assert_array_equal(result.gradients["recurrent_kernel"] != 0, kept)
    assert job.worst(result) <= 1.0


def test_nnx_gru_has_no_second_bias() -> None:
    """What the refusal says, seen: the documented b_hn is no parameter."""
    nnx = pytest.importorskip("flax").nnx
    state = nnx.to_flat_state(nnx.state(nnx.GRUCell(2, 4, rngs=nnx.Rngs(0)), nnx.Param))
    assert {"/".join(path) for path, _ in state} == {"dense_i/kernel", "dense_i/bias", "dense_h/kernel"}


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    job = call(("dropout", "jax.random.bernoulli", {"rate": 0.5}, ()), inputs={"x": np.zeros((4, 50))})
    kept = masks(job, job.run().draws)["input"]
    assert 0 < kept.sum() < kept.size


def test_the_probability_s_dtype_decides_the_mask() -> None:
    """float16 and bfloat16 inputs draw as float32 ones do, because the probability is a float; float64 draws other bits."""
    found = {}
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        job = call(("dropout", "jax.random.bernoulli", {"rate": 0.5}, ()), dtype=dtype, gradients=False)
        found[dtype] = job.run().draws["input"].values
    np.testing.assert_array_equal(found["float16"], found["float32"])
    np.testing.assert_array_equal(found["bfloat16"], found["float32"])
    assert (found["float64"].dtype, found["float32"].dtype) == (np.float64, np.float32)
    assert not np.array_equal(found["float64"] < 0.5, found["float32"] < 0.5)


def test_one_program_serves_every_seed_and_array() -> None:
    job = call(QUICK[0])
    job.run()
    before = len(jax_adapter._PROGRAMS)
    for seed in range(3):
        job.run(seed=seed, inputs={"x": X + seed})
    assert len(jax_adapter._PROGRAMS) == before


def test_programs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax_adapter, "KEPT", 2)
    for size in (1, 2, 3, 4):
        call(QUICK[0], inputs={"x": X[:size]}, gradients=False).run()
    assert len(jax_adapter._PROGRAMS) == 2


@pytest.mark.parametrize(
    ("case", "options", "message"),
    [
        (("dropout", "flax.nnx.Dropout", {"rate": 0.3}, ()), {"fast": True}, "no option 'fast'"),
        (("dropout", "flax.nnx.Dropout", {"rate": 0.3}, ()), {"jit": 1}, "option jit"),
        (("lstm", "flax.nnx.LSTMCell", FULL, [at("input", 0.3)]), {}, "one mask for all gates"),
        (("lstm", "flax.linen.LSTMCell", FULL, [at("output", 0.3, scale="none")]), {}, "always scales"),
        (("lstm", "equinox.nn.LSTMCell", STACK, [at("state.c", 0.3, "layers")]), {}, "a dropout of its own"),
        (("lstm", "equinox.nn.LSTMCell", FULL, [at("state.c", 0.3, "features")]), {}, "all features of a state"),
        (("lstm", "flax.nnx.LSTMCell", FULL, [at("output", 0.3, noise="gaussian")]), {}, "no gaussian noise"),
        (("lstm", "flax.nnx.LSTMCell", {**FULL, "padding": "zeros"}, ()), {}, "padding is free, not zeros"),
        (("lstm", "flax.nnx.LSTMCell", {"units": 4, "recurrent_activation": "hard_sigmoid_keras2"}, ()), {}, "gate_fn"),
        (("lstm", "equinox.nn.LSTMCell", {**FULL, "padding": "free"}, ()), {}, "no setting padding"),
        (("lstm", "jax.lax.scan", FULL, ()), {"unroll": 0}, "option unroll"),
        (("gru", "flax.nnx.GRUCell", FULL, ()), {}, "no bias in the recurrent product"),
        (("gru", "flax.linen.GRUCell", {"units": 4, "reset_after": False}, ()), {}, "resets after"),
        (("gru", "equinox.nn.GRUCell", {"units": 4, "reset_after": False}, ()), {}, "resets after"),
        (("gru", "equinox.nn.GRUCell", FULL, [at("state.h", 0.3, "gates")]), {}, "no dropout at 'state.h'"),
        (("embedding", "flax.nnx.Embed", {"vocabulary": 7, "features": 3}, [at("embedding.rows")]), {}, "on the table"),
        (("lstm", "jax.experimental.rnn.lstm_ref", FULL, [at("output", 0.3)]), {}, "no dropout at 'output'"),
    ],
)
def test_what_cannot_be_expressed_is_refused(case: Case, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(case, options=options).run()


def test_a_mask_that_varies_where_the_layer_shares_is_refused() -> None:
    job = call(("dropout", "equinox.nn.Dropout", {"rate": 0.3, "shared": ["time"]}, ()))
    with pytest.raises(Unsupported, match="shares the mask"):
        job.run(tape={"input": np.ones(X.shape, bool)})
    with pytest.raises(TapeMismatch, match="nothing for site input"):
        job.run(tape={})


# Faults: what the tests above would see.


def test_a_wrong_gate_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    job = call(("lstm", "flax.nnx.LSTMCell", FULL, ()))
    monkeypatch.setattr("harness.adapters.flax_nnx.GATES", ("i", "g", "f", "o"))
    monkeypatch.setattr(jax_adapter, "_PROGRAMS", type(jax_adapter._PROGRAMS)())
    assert job.worst(job.run()) > 1e3


def test_swapped_states_are_seen() -> None:
    job = call(QUICK[-1])
    result = job.run()
    outputs = {**result.outputs, "h": result.outputs["c"], "c": result.outputs["h"]}
    assert job.worst(result._replace(outputs=outputs)) > 1e3


def test_another_mask_is_seen() -> None:
    job = call(QUICK[0])
    result = job.run()
    assert job.worst(result._replace(draws=job.run(seed=4).draws)) > 1e3
