"""What no question of the contract asks of the JAX libraries: what they draw, what they hold, and how programs are kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("equinox")

import equinox
import flax.linen as nn
import jax
from flax import nnx

from harness.frameworks.contract.adapter import Result
from harness.frameworks.jax import base as jax_adapter
from tests.frameworks.adapter_jobs import at, plain
from tests.frameworks.contract import within
from tests.frameworks.trial import Case, Trial, case, full

CELLS = [
    ("flax_linen", "flax.linen.LSTMCell"),
    ("flax_linen", "flax.linen.OptimizedLSTMCell"),
    ("flax_nnx", "flax.nnx.LSTMCell"),
    ("flax_nnx", "flax.nnx.OptimizedLSTMCell"),
    ("equinox", "equinox.nn.LSTMCell"),
    ("jax", "jax.lax.scan"),
]

#: Each library's dropout as its documentation calls it: plain keys, no tap.
UNTAPPED = {
    ("jax", "jax.random.bernoulli"): lambda seed, x: jax.numpy.where(
        jax.random.bernoulli(jax.random.key(seed), 0.7, x.shape), x / 0.7, 0.0
    ),
    ("flax_linen", "flax.linen.Dropout"): lambda seed, x: nn.Dropout(0.3, deterministic=False).apply(
        {}, x, rngs={"dropout": jax.random.key(seed)}
    ),
    ("flax_nnx", "flax.nnx.Dropout"): lambda seed, x: nnx.Dropout(0.3, rngs=nnx.Rngs(seed))(x),
    ("equinox", "equinox.nn.Dropout"): lambda seed, x: equinox.nn.Dropout(0.3)(x, key=jax.random.key(seed)),
}


def bernoulli(rate: float = 0.5, **changes: Any) -> Any:
    return Trial("jax", "dropout", "jax.random.bernoulli", case(rate=rate)).call(gradients=False, **changes)


def masks(job: Any, result: Result) -> Mapping[str, np.ndarray]:
    return plain(job.sites, result.draws)


@pytest.mark.parametrize(("framework", "name"), UNTAPPED)
def test_the_tap_changes_no_mask(framework: str, name: str) -> None:
    job = Trial(framework, "dropout", name, case(rate=0.3)).call(dtype="float32")
    for seed in (0, 5):
        result = job.run(seed=seed)
        native = np.asarray(UNTAPPED[framework, name](seed, jax.numpy.asarray(job.job.inputs["x"])))
        np.testing.assert_array_equal(masks(job, result)["input"], native != 0)
        # Compiled, a quotient by a constant becomes a product with its reciprocal: one unit in the last place.
        np.testing.assert_allclose(result.outputs["y"], native, rtol=2e-7)


@pytest.mark.parametrize(
    ("framework", "layer", "name"),
    [
        *(pytest.param(*cell[:1], "lstm", *cell[1:], marks=pytest.mark.exhaustive) for cell in CELLS),
        ("flax_nnx", "dropout", "flax.nnx.Dropout"),
    ],
)
def test_what_is_compiled_draws_what_is_not(framework: str, layer: str, name: str) -> None:
    asked = case(rate=0.3) if layer == "dropout" else full(at("input", 0.3, "gates"), at("state.c"), at("output"))
    job, eager = (Trial(framework, layer, name, asked).call(options={"jit": jit}) for jit in (True, False))
    one, other = masks(job, job.run()), eager.run()
    for site, values in masks(eager, other).items():
        np.testing.assert_array_equal(values, one[site])
    within(eager, other)


@pytest.mark.parametrize(("framework", "name"), CELLS)
def test_no_two_draws_share_their_bits(framework: str, name: str) -> None:
    """Every site, layer and step has a key of its own: in float64, no two uniforms of a call are equal."""
    sites = [at("weight.recurrent"), at("input", 0.3, "gates"), at("state.h", 0.3, "gates", "time"), at("output")]
    job = Trial(framework, "lstm", name, full(*sites)).call(gradients=False)
    draws = {site: draw.values for site, draw in job.run().draws.items()}
    draws["state.h"] = draws["state.h"][:, :, 0]
    every = np.concatenate([values.ravel() for values in draws.values()])
    assert len(np.unique(every)) == every.size


def test_nnx_gru_has_no_second_bias() -> None:
    """What the refusal says, seen: the documented b_hn is no parameter."""
    state = nnx.to_flat_state(nnx.state(nnx.GRUCell(2, 4, rngs=nnx.Rngs(0)), nnx.Param))
    assert {"/".join(path) for path, _ in state} == {"dense_i/kernel", "dense_i/bias", "dense_h/kernel"}


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    job = bernoulli(inputs={"x": np.zeros((4, 50))})
    kept = masks(job, job.run())["input"]
    assert 0 < kept.sum() < kept.size


def test_the_probability_s_dtype_decides_the_mask() -> None:
    """float16 and bfloat16 inputs draw as float32 ones do, because the probability is a float; float64 draws other bits."""
    found = {
        dtype: bernoulli(dtype=dtype).run().draws["input"].values
        for dtype in ("float16", "bfloat16", "float32", "float64")
    }
    np.testing.assert_array_equal(found["float16"], found["float32"])
    np.testing.assert_array_equal(found["bfloat16"], found["float32"])
    assert (found["float64"].dtype, found["float32"].dtype) == (np.float64, np.float32)
    assert not np.array_equal(found["float64"] < 0.5, found["float32"] < 0.5)


def test_one_program_serves_every_seed_and_array() -> None:
    job = bernoulli()
    x = job.job.inputs["x"]
    job.run()
    before = len(jax_adapter._PROGRAMS)
    for seed in range(3):
        job.run(seed=seed, inputs={"x": x + seed})
    assert len(jax_adapter._PROGRAMS) == before


def test_programs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax_adapter, "KEPT", 2)
    for size in (1, 2, 3, 4):
        bernoulli(inputs={"x": np.ones((size, 5))}).run()
    assert len(jax_adapter._PROGRAMS) == 2


def held(framework: str, name: str, layer: str, asked: Case) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    job = Trial(framework, layer, name, asked).call(dtype="float32", mode="eval")
    return job.adapter.native(job.job), job.job.weights


@pytest.mark.parametrize("module", ["linen", "nnx"])
def test_every_cell_of_a_stack_tells_what_it_holds(module: str) -> None:
    asked = full(layers=2, bidirectional=True)
    found, weights = held(f"flax_{module}", f"flax.{module}.LSTMCell", "lstm", asked)
    units = weights["layer1.backward.kernel"].shape[1] // 4
    np.testing.assert_array_equal(found["1.backward/ii/kernel"], weights["layer1.backward.kernel"][:, :units])
    assert "state0" not in found
    assert len({name.split("/")[0] for name in found}) == 4


@pytest.mark.parametrize("module", ["linen", "nnx"])
@pytest.mark.parametrize("tied", [False, True])
def test_both_halves_tell_what_they_hold_and_tied_ones_once(module: str, tied: bool) -> None:
    cell = f"flax.{module}.OptimizedLSTMCell"
    found, weights = held(f"flax_{module}", cell, "encoder_decoder", full(tied=tied))
    assert {name.split("/")[0] for name in found} == ({"0"} if tied else {"encoder.0", "decoder.0"})
    assert all(array.size for array in found.values())
    assert len(weights) == (3 if tied else 6)
