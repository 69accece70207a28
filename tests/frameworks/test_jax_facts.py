"""What each JAX library draws and refuses, the edges, and faults that the contract tests would see."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
from jax_cases import CELLS, DROPOUTS, QUICK, STACK, Case, X, call, masks

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.jax import base as jax_adapter
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import FULL, at

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
    monkeypatch.setattr("harness.frameworks.flax_nnx.layers.GATES", ("i", "g", "f", "o"))
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
