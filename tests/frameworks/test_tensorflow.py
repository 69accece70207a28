"""What is plain TensorFlow's own: formulas beside its function, a zero that nobody dropped, and a wrong gate order."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.frameworks.trial import Trial, case


def test_a_formula_draws_what_the_function_draws() -> None:
    """The answer's formula and tf.nn.dropout take the same uniforms from the same seed, and agree to the bit."""
    function, formula = (
        Trial("tensorflow", "dropout", name, case(rate=0.3)).own for name in ("tf.nn.dropout", "recipe.Dropout")
    )
    np.testing.assert_array_equal(function.draws["input"].values, formula.draws["input"].values)
    np.testing.assert_array_equal(function.outputs["y"], formula.outputs["y"])


def test_a_zero_in_the_input_is_not_a_dropped_element() -> None:
    result = Trial("tensorflow", "dropout", "tf.nn.dropout", case(rate=0.5, inputs={"x": np.zeros((4, 50))})).own
    kept = result.draws["input"].values >= 0.5
    assert 0 < kept.sum() < kept.size


def test_a_wrong_gate_order_exceeds_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """BlockLSTM without the translation from i, f, g, o to its i, g, f, o."""
    from harness.frameworks.tensorflow import lstm as tensorflow_lstm

    monkeypatch.setattr(tensorflow_lstm, "igfo", lambda tf, weight: weight)
    trial = Trial("tensorflow", "lstm", "tf.raw_ops.BlockLSTM", "stack")
    assert trial.job.worst(trial.own) > 1.0
