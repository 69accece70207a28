"""WeightDrop: what a mask cuts, the gradient of the raw weight, and the ways to lose it."""

import numpy as np
import pytest

pytest.importorskip("torch")

from adapter_jobs import FULL, Call, at
from torch_cases import AWD, CASES, MODEL, WORDS, Case, X, call

from harness.adapters.base import Unsupported

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
    with pytest.raises(Unsupported, match="option wrap is .*, not 'hook'"):
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


def test_rows_are_no_mask_on_h() -> None:
    """(1, H) is the tied-weight formula; (4H, 1) is neither that nor the one with a mask for each gate."""
    tied = [at("state.h", 0.5, "gates", "batch", "time")]
    untied = [at("state.h", 0.5, "batch", "time")]
    columns = Call("torch", "recipe.WeightDrop", "lstm", FULL, tied, inputs={"x": X}, options={"as_state": "columns"})
    assert columns.worst(columns.run()) <= 1.0
    assert columns.worst(columns.run(tape=columns.tape())) <= 1.0
    for sites in (tied, untied):
        rows = Call("torch", "recipe.WeightDrop", "lstm", FULL, sites, inputs={"x": X}, options={"as_state": "rows"})
        result = rows.run()
        assert result.draws["state.h"].values.shape == (4, 1, 1, 4)
        assert rows.worst(result) > 1e6
    for options, message in (
        ({}, "drops at weight.recurrent"),
        ({"as_state": "columns"}, "shared"),
        ({"as_state": "x"}, "option as_state is .*, not 'x'"),
    ):
        with pytest.raises(Unsupported, match=message):
            Call("torch", "recipe.WeightDrop", "lstm", FULL, untied, inputs={"x": X}, options=options).run()
