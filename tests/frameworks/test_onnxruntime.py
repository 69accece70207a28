"""What is ONNX Runtime's own: its gate orders, the precision of a rate, what its Dropout draws, and its own errors."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.onnxruntime import recurrent
from harness.frameworks.onnxruntime.graph import Node, run
from tests.frameworks.trial import Trial, X, case

dropout = functools.partial(Trial, "onnxruntime", "dropout", "onnxruntime.Dropout")


@pytest.mark.parametrize(("operator", "kind"), [("LSTM", "lstm"), ("GRU", "gru")])
def test_a_wrong_gate_order_is_noticed(operator: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = getattr(recurrent, operator).order
    monkeypatch.setattr(getattr(recurrent, operator), "order", (order[1], order[0], *order[2:]))
    trial = Trial("onnxruntime", kind, f"onnxruntime.{operator}", "layer")
    assert trial.job.worst(trial.own) > 100


def test_the_ratio_of_float64_arrays_is_a_float32_number() -> None:
    result = dropout(case(rate=0.3, dtype="float64")).own
    kept = result.draws["input"].values
    expected = X[kept] / (1 - np.float64(np.float32(0.3)))
    np.testing.assert_allclose(result.outputs["y"][kept], expected, rtol=4e-16)
    assert np.max(np.abs(expected - X[kept] / 0.7)) > 1e-9


def minstd(seed: int, count: int) -> np.ndarray:
    """Uniforms of C++'s minstd_rand0 (Park & Miller, CACM 31 (1988)): x' = 16807 x mod 2**31 - 1; seed 0 counts as 1."""
    value, found = seed % 2147483647 or 1, []
    for _ in range(count):
        value = value * 16807 % 2147483647
        found.append((value - 1) / 2147483646)
    return np.array(found)


@pytest.mark.parametrize("seed", [0, 1, 5, 1000, 2147483647, 2147483648])
def test_the_seed_explains_the_mask(seed: int) -> None:
    mask = dropout("plain").job.run(seed=seed).draws["input"].values
    assert np.array_equal(mask.ravel(), minstd(seed, mask.size) >= 0.3)
    assert not np.array_equal(mask.ravel(), minstd(seed + 2, mask.size) >= 0.3)


def test_errors_of_its_own_are_not_taken_for_a_missing_kernel() -> None:
    node = Node("Dropout", ("x", "ratio", "training"), ("y",), {})
    given = {"ratio": np.float32(1.5), "training": np.asarray(True)}
    with pytest.raises(Exception, match="in the range") as caught:
        run([node], given, {"x": np.ones(3, np.float32)}, ["y"])
    assert not isinstance(caught.value, Unsupported)
