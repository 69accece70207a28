"""What Flax's cells hold in a stack: every layer's own arrays, of both halves of an encoder and decoder, tied ones once."""

import numpy as np
import pytest

pytest.importorskip("flax")

from tests.frameworks.adapter_jobs import FULL, Call

X = np.random.default_rng(0).normal(size=(3, 5, 4))
Z = np.random.default_rng(1).normal(size=(3, 2, 4))


def held(name: str, layer: str, **config: object) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    job = Call("jax", name, layer, {**FULL, **config}, (), inputs=inputs, dtype="float32", mode="eval")
    return job.adapter.native(job.job), job.job.weights


@pytest.mark.parametrize("module", ["linen", "nnx"])
def test_every_cell_of_a_stack(module: str) -> None:
    found, weights = held(f"flax.{module}.LSTMCell", "lstm", layers=2, bidirectional=True)
    units = weights["layer1.backward.kernel"].shape[1] // 4
    np.testing.assert_array_equal(found["1.backward/ii/kernel"], weights["layer1.backward.kernel"][:, :units])
    assert "state0" not in found
    assert len({name.split("/")[0] for name in found}) == 4


@pytest.mark.parametrize("module", ["linen", "nnx"])
@pytest.mark.parametrize("tied", [False, True])
def test_both_halves(module: str, tied: bool) -> None:
    found, weights = held(f"flax.{module}.OptimizedLSTMCell", "encoder_decoder", tied=tied)
    assert {name.split("/")[0] for name in found} == ({"0"} if tied else {"encoder.0", "decoder.0"})
    flat = {array.shape[-1] for array in found.values()}
    assert flat and len(weights) == (3 if tied else 6)
