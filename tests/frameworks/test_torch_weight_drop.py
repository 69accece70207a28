"""WeightDrop: what a mask cuts, the gradient of the raw weight, and the ways to lose it."""

import functools

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.frameworks.adapter_jobs import at
from tests.frameworks.trial import Trial, full

trial = functools.partial(Trial, "torch", "lstm", "recipe.WeightDrop")
DROPPED = full(at("weight.recurrent", 0.5, "inputs"), layers=2)


def test_weight_drop_cuts_gates_or_units() -> None:
    """A mask over [inputs] cuts rows of weight_hh, whole gates; one over [gates, units] cuts columns, whole units of h."""
    for word, size, turn in (("rows", 16, np.transpose), ("columns", 4, np.asarray)):
        result = trial(word).own
        dropped = ~result.draws["weight.recurrent"].values.reshape(size)
        assert 0 < dropped.sum() < size
        gradient = turn(result.gradients["recurrent_kernel"])
        assert not gradient[dropped].any()
        assert gradient[~dropped].all()


def test_a_mask_on_columns_is_a_mask_on_h() -> None:
    """Tied weights of Gal & Ghahramani: dropping columns of weight_hh is dropping h, one mask for all steps and examples."""
    weights = trial("columns").job
    states = Trial("torch", "lstm", "torch.nn.LSTMCell", full(at("state.h", 0.5, "gates", "time", "batch"))).job
    mask = np.array([True, False, True, False])
    by_weight = weights.run(tape={"weight.recurrent": mask.reshape(4, 1, 1)})
    by_state = states.run(tape={"state.h": mask.reshape(1, 1, 1, 4)})
    np.testing.assert_allclose(by_weight.outputs["y"], by_state.outputs["y"], rtol=0, atol=1e-15)
    kernels = [result.gradients["recurrent_kernel"] for result in (by_weight, by_state)]
    np.testing.assert_allclose(*kernels, rtol=0, atol=1e-14)


def test_wrapped_in_a_parameter_the_raw_weight_gets_no_gradient() -> None:
    """The outputs are right, and training would leave the recurrent weights where they began."""
    right = trial(DROPPED).own
    job = trial(DROPPED).call(options={"wrap": "parameter"})
    result = job.run()
    for layer in ("layer0", "layer1"):
        assert not result.gradients[f"{layer}.recurrent_kernel"].any()
        assert right.gradients[f"{layer}.recurrent_kernel"].any()
    np.testing.assert_array_equal(result.outputs["y"], right.outputs["y"])
    assert job.worst(result) > 1.0
    kernels = {name: array for name, array in right.gradients.items() if name.endswith("recurrent_kernel")}
    assert job.worst(result._replace(gradients={**result.gradients, **kernels})) <= 1.0


def test_the_published_variational_code_drops_in_evaluation_too() -> None:
    job = trial(DROPPED).still
    assert job.run().draws == {}
    always = job.run(options={"always": True})
    assert set(always.draws) == {"weight.recurrent"}
    assert job.worst(always._replace(draws={})) > 1.0


def test_a_language_model_that_wraps_its_dropped_weights_does_not_train_them() -> None:
    result = Trial("torch", "awd_lstm", "recipe.AWD_LSTM", "model").call(options={"wrap": "parameter"}).run()
    for layer in range(3):
        assert not result.gradients[f"layer{layer}.recurrent_kernel"].any()
        assert result.gradients[f"layer{layer}.kernel"].any()


def test_rows_are_no_mask_on_h() -> None:
    """(1, H) is the tied-weight formula; (4H, 1) is neither that nor the one with a mask for each gate."""
    for shared in (("gates", "batch", "time"), ("batch", "time")):
        rows = trial(full(at("state.h", 0.5, *shared), options={"as_state": "rows"}))
        assert rows.own.draws["state.h"].values.shape == (4, 1, 1, 4)
        assert rows.job.worst(rows.own) > 1e6
