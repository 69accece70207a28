"""The LSTM reference against literal loops, complex steps, a native layer, and the documents' claims."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from harness.layers.base import DropoutSpec
from harness.rounding import Rounding
from tests.layers.layer_cases import Scenario, full_masks, literal_lstm, lstm_scenarios, scenario

EVERYWHERE = [
    DropoutSpec(at="input", rate=0.4, shared=("time",)),
    DropoutSpec(at="state.h", rate=0.3),
    DropoutSpec(at="state.c", rate=0.25, shared=("batch",)),
    DropoutSpec(at="output", rate=0.5, scale="none"),
]
FULL = {"units": 3, "return_sequences": True, "return_state": True}
STATEFUL_SHAPES = {"x": (2, 4, 3), "h0": (2, 3), "c0": (2, 3)}


def one_layer(dropout: list[DropoutSpec] = EVERYWHERE, seed: int = 0) -> Scenario:
    """A layer with an initial state and dropout at every site."""
    return scenario("lstm", FULL, STATEFUL_SHAPES, dropout, seed=seed)


def differentiable(case: Scenario) -> dict[str, np.ndarray]:
    """The inputs and weights that have a gradient."""
    return {name: array for name, array in {**case.inputs, **case.weights}.items() if array.dtype.kind == "f"}


def literal(case: Scenario, **changes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The printed equations on the scenario's arrays and masks."""
    inputs = case.inputs
    masks = changes.pop("masks", full_masks(case))
    return literal_lstm(inputs["x"], inputs["h0"], inputs["c0"], case.weights, masks, **changes)


@pytest.mark.parametrize("dropout", [[], EVERYWHERE, *([spec] for spec in EVERYWHERE)])
def test_forward_equals_the_printed_equations(dropout: list[DropoutSpec]) -> None:
    case = one_layer(dropout)
    found = case.run()
    for name, value in zip(("y", "h", "c"), literal(case), strict=True):
        np.testing.assert_allclose(found.outputs[name], value, rtol=1e-13, atol=1e-14)


def test_a_planted_fault_is_seen() -> None:
    """Each fault that the comparison above must not overlook moves the literal result."""
    case = one_layer()
    right = literal(case)[0]
    masks = full_masks(case)
    later = dict(masks, input=np.roll(masks["input"], 1, axis=1))
    rotated = dict(masks, **{"state.h": np.roll(masks["state.h"], 1, axis=0)})
    kept = dict(masks, **{"state.c": np.ones_like(masks["state.c"])})
    for wrong in (
        literal(case, gate_order="figo"),
        literal(case, gate_order="ifog"),
        literal(case, output_into_state=True),
        literal(case, masks=later),
        literal(case, masks=rotated),
        literal(case, masks=kept),
    ):
        assert np.abs(wrong[0] - right).max() > 1e-3


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(lstm_scenarios())
def test_shapes_are_as_promised(case: Scenario) -> None:
    shapes = {name: array.shape for name, array in case.inputs.items()}
    found = case.run()
    promised = case.kind.output_shapes(case.config, shapes)
    assert {name: array.shape for name, array in found.outputs.items()} == promised
    assert list(found.outputs) == list(promised)
    wanted = {name: array.shape for name, array in differentiable(case).items()}
    assert {name: array.shape for name, array in found.gradients.items()} == wanted
    assert all(np.isfinite(array).all() for array in {**found.outputs, **found.gradients}.values())
    batch, steps, _ = shapes["x"]
    config = case.config
    leading = (config.layers, 2) if config.bidirectional else (config.layers,)
    assert found.trace["h"].shape == (*leading, batch, steps, config.projection or config.units)
    assert found.trace["gates"].shape == (*leading, 4, batch, steps, config.units)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(lstm_scenarios(batches=(1, 2)))
def test_the_gradient_is_the_directional_derivative(case: Scenario) -> None:
    """Central differences along a random direction, for every input and weight at once."""
    generator = np.random.default_rng(1)
    arrays = differentiable(case)
    direction = {name: generator.normal(size=array.shape) for name, array in arrays.items()}

    def loss(step: float) -> float:
        moved = {name: array + step * direction[name] for name, array in arrays.items()}
        inputs = {name: moved.get(name, array) for name, array in case.inputs.items()}
        weights = {name: moved[name] for name in case.weights}
        found = case.run(inputs=inputs, weights=weights)
        return float(sum((found.outputs[name] * case.cotangents[name]).sum() for name in found.outputs))

    slopes = [(loss(step) - loss(-step)) / (2 * step) for step in (1e-5, 3e-6)]
    # A kink (a clip, a hard sigmoid) within the step makes two steps disagree, and says nothing.
    assume(abs(slopes[0] - slopes[1]) <= 1e-6 * (1.0 + abs(slopes[0])))
    slope = slopes[0]
    found = case.run().gradients
    assert set(found) == set(arrays)
    predicted = sum(float((found[name] * direction[name]).sum()) for name in found)
    size = sum(float(np.abs(found[name] * direction[name]).sum()) for name in found)
    assert abs(slope - predicted) <= 1e-7 * (1.0 + size)


@pytest.mark.parametrize("dropout", [[], EVERYWHERE])
def test_the_gradient_equals_complex_steps_through_the_printed_equations(dropout: list[DropoutSpec]) -> None:
    case = one_layer(dropout)
    arrays = {**case.inputs, **case.weights}
    found = case.run().gradients
    masks = full_masks(case)
    for name, array in arrays.items():
        expected = np.zeros(array.size)
        for index in range(array.size):
            moved = array.astype(complex).ravel()
            moved[index] += 1e-30j
            now = {**arrays, name: moved.reshape(array.shape)}
            results = literal_lstm(now["x"], now["h0"], now["c0"], now, masks)
            losses = zip(results, ("y", "h", "c"), strict=True)
            expected[index] = sum((value.imag * case.cotangents[key]).sum() for value, key in losses) / 1e-30
        np.testing.assert_allclose(found[name], expected.reshape(array.shape), rtol=1e-11, atol=1e-12)


def test_the_stack_is_layers_upon_layers() -> None:
    """Two layers in one are one layer, its masked output, and another layer."""
    shapes = {"x": (2, 4, 3), "h0": (2, 2, 3), "c0": (2, 2, 3)}
    dropout = [
        DropoutSpec(at="input", rate=0.4),
        DropoutSpec(at="between_layers", rate=0.5, shared=("time",)),
        DropoutSpec(at="state.h", rate=0.3, shared=("gates",)),
        DropoutSpec(at="output", rate=0.5),
    ]
    both = scenario("lstm", {**FULL, "layers": 2}, shapes, dropout)
    found = both.run()
    masks = {site.at: both.draws[site.at] / site.keep for site in both.sites}
    x = both.inputs["x"]
    for layer in range(2):
        own = {
            "input": masks["input"] if layer == 0 else np.ones((4, 2, 4, 3)),
            "state.h": np.broadcast_to(masks["state.h"][layer], (4, 2, 4, 3)),
            "state.c": np.ones((2, 4, 3)),
            "output": np.broadcast_to(masks["between_layers"][0], (2, 4, 3)) if layer == 0 else masks["output"],
        }
        weights = {name.removeprefix(f"layer{layer}."): value for name, value in both.weights.items()}
        x, h, c = literal_lstm(x, both.inputs["h0"][layer], both.inputs["c0"][layer], weights, own)
        np.testing.assert_allclose(found.outputs["h"][layer], h, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(found.outputs["c"][layer], c, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found.outputs["y"], x, rtol=1e-13, atol=1e-14)


def test_output_dropout_is_the_plain_output_over_keep() -> None:
    """The question of the DropoutWrapper document: survivors are y / 0.5, and the states are those of the plain run."""
    plain = scenario("lstm", FULL, STATEFUL_SHAPES, [])
    wrapped = scenario("lstm", FULL, STATEFUL_SHAPES, [DropoutSpec(at="output", rate=0.5)])
    dropped = wrapped.run(inputs=plain.inputs, weights=plain.weights).outputs
    clean = plain.run().outputs
    kept = wrapped.draws["output"]
    assert kept.any()
    assert not kept.all()
    assert np.array_equal(dropped["y"][kept], clean["y"][kept] / 0.5)
    assert (dropped["y"][~kept] == 0).all()
    assert np.array_equal(dropped["h"], clean["h"])
    assert np.array_equal(dropped["c"], clean["c"])


def test_the_last_step_is_h_and_c_is_neither() -> None:
    """The question of the return_state document."""
    case = scenario("lstm", FULL, {"x": (2, 4, 3)}, [])
    found = case.run()
    assert np.array_equal(found.outputs["y"][:, -1], found.outputs["h"])
    assert np.abs(found.outputs["y"] - found.outputs["c"][:, None]).min(axis=(0, 1, 2)) > 0
    np.testing.assert_array_equal(found.trace["c"][0, :, -1], found.outputs["c"])
    alone = scenario("lstm", {"units": 3}, {"x": (2, 4, 3)}, []).run()
    np.testing.assert_array_equal(alone.outputs["y"], found.outputs["h"])
    assert list(alone.outputs) == ["y"]


def test_tied_masks_are_gals_equation() -> None:
    """Gal & Ghahramani 2016, equation 7: (i, f, o, g) = (sigm, sigm, sigm, tanh)((x * z_x, h * z_h) W), one z a sequence."""
    dropout = [DropoutSpec(at=at, rate=0.5, shared=("time", "gates")) for at in ("input", "state.h")]
    case = scenario("lstm", FULL, {"x": (2, 4, 3)}, dropout)
    z_x, z_h = (case.draws[at][0, :, 0] / 0.5 for at in ("input", "state.h"))
    weight = np.concatenate([case.weights["kernel"], case.weights["recurrent_kernel"]])
    h, c = np.zeros((2, 3)), np.zeros((2, 3))
    for t in range(4):
        entering = np.concatenate([case.inputs["x"][:, t] * z_x, h * z_h], axis=1)
        i, f, g, o = np.split(entering @ weight + case.weights["bias"], 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        np.testing.assert_allclose(case.run().outputs["y"][:, t], h, rtol=1e-13)


def test_evaluation_mode_is_the_layer_without_dropout() -> None:
    case = one_layer()
    plain = scenario("lstm", FULL, STATEFUL_SHAPES, [])
    found = case.run(train=False, draws={})
    bare = plain.run(inputs=case.inputs, weights=case.weights, cotangents=case.cotangents)
    for name, value in bare.outputs.items():
        assert np.array_equal(found.outputs[name], value)
    for name, value in bare.gradients.items():
        assert np.array_equal(found.gradients[name], value)


def test_rate_one_at_every_entrance_leaves_the_bias_alone() -> None:
    dropout = [DropoutSpec(at=at, rate=1.0) for at in ("input", "state.h", "state.c")]
    case = scenario("lstm", FULL, {"x": (2, 4, 3)}, dropout)
    found = case.run()
    i, _, g, o = np.split(case.weights["bias"], 4)
    c = np.tanh(g) / (1 + np.exp(-i))
    np.testing.assert_allclose(found.outputs["c"], np.broadcast_to(c, (2, 3)), rtol=1e-13)
    np.testing.assert_allclose(found.outputs["h"][0], np.tanh(c) / (1 + np.exp(-o)), rtol=1e-13)
    assert (found.gradients["kernel"] == 0).all()
    assert (found.gradients["recurrent_kernel"] == 0).all()


def test_a_missing_cotangent_is_zero() -> None:
    case = one_layer()
    some = {"c": case.cotangents["c"]}
    zeros = {name: np.zeros_like(value) for name, value in case.cotangents.items()}
    first, second = case.run(cotangents=some), case.run(cotangents={**zeros, **some})
    for name, value in second.gradients.items():
        assert np.array_equal(first.gradients[name], value)


def test_the_batch_is_independent_rows() -> None:
    case = one_layer([])
    whole = case.run().outputs["y"]
    rows = [
        case.run(
            inputs={name: value[row : row + 1] for name, value in case.inputs.items()},
            cotangents={name: value[row : row + 1] for name, value in case.cotangents.items()},
        ).outputs["y"]
        for row in range(2)
    ]
    np.testing.assert_allclose(np.concatenate(rows), whole, rtol=1e-14)


def test_saturated_gates_do_not_warn() -> None:
    case = one_layer([])
    huge = {name: value * 1e4 for name, value in case.weights.items()}
    with np.errstate(all="raise", under="ignore"):
        found = case.run(weights=huge)
    assert all(np.isfinite(value).all() for value in {**found.outputs, **found.gradients}.values())


def test_rounding_noise_of_size_zero_changes_nothing() -> None:
    case = one_layer()
    clean, silent = case.run(), case.run(rounding=Rounding(0.0, np.random.default_rng(0)))
    for name, value in clean.outputs.items():
        assert np.array_equal(silent.outputs[name], value)
    for name, value in clean.gradients.items():
        assert np.array_equal(silent.gradients[name], value)


def test_rounding_noise_reaches_everything_and_scales_with_u() -> None:
    case = one_layer()
    clean = case.run()

    def deviations(u: float) -> dict[str, float]:
        noisy = case.run(rounding=Rounding(u, np.random.default_rng(0)))
        pairs = {**noisy.outputs, **noisy.gradients}
        return {
            name: float(np.abs(value - {**clean.outputs, **clean.gradients}[name]).max())
            for name, value in pairs.items()
        }

    large, small = deviations(2.0**-24), deviations(2.0**-30)
    for name, value in large.items():
        assert 2.0**-26 < value < 2.0**-15, name
        assert value / small[name] == pytest.approx(64, rel=0.01)


def test_inputs_and_weights_may_be_of_any_dtype() -> None:
    case = one_layer()
    as_float32 = {name: value.astype(np.float32) for name, value in case.weights.items()}
    same = {name: value.astype(np.float64) for name, value in as_float32.items()}
    assert np.array_equal(case.run(weights=as_float32).outputs["y"], case.run(weights=same).outputs["y"])
    assert case.run(weights=as_float32).outputs["y"].dtype == np.float64


def test_finer_draws_than_the_site_asks_for_are_taken_as_they_are() -> None:
    """A layer that draws anew at every step is judged on what it drew, also where the case shares over time."""
    case = scenario("lstm", FULL, {"x": (2, 4, 3)}, [DropoutSpec(at="input", rate=0.5, shared=("time",))])
    anew = np.random.default_rng(7).random((4, 2, 4, 3)) < 0.5
    y = literal_lstm(
        case.inputs["x"],
        np.zeros((2, 3)),
        np.zeros((2, 3)),
        case.weights,
        {
            "input": anew / 0.5,
            "state.h": np.ones((4, 2, 4, 3)),
            "state.c": np.ones((2, 4, 3)),
            "output": np.ones((2, 4, 3)),
        },
    )[0]
    np.testing.assert_allclose(case.run(draws={"input": anew}).outputs["y"], y, rtol=1e-13)


@pytest.mark.parametrize("layers", [1, 2])
def test_torch_agrees_in_float64(layers: int) -> None:
    torch = pytest.importorskip("torch")
    state = (2, 3, 4) if layers == 2 else (3, 4)
    config = {**FULL, "units": 4, "layers": layers}
    case = scenario("lstm", config, {"x": (3, 5, 2), "h0": state, "c0": state}, [])
    module = torch.nn.LSTM(2, 4, layers, batch_first=True).double()
    leaves: dict[str, Any] = {}
    for layer in range(layers):
        prefix = f"layer{layer}." if layers > 1 else ""
        names = {"kernel": "weight_ih", "recurrent_kernel": "weight_hh", "bias": "bias_ih"}
        for name, native in names.items():
            parameter = getattr(module, f"{native}_l{layer}")
            parameter.data = torch.tensor(case.weights[prefix + name].T.copy())
            leaves[prefix + name] = parameter
        getattr(module, f"bias_hh_l{layer}").data.zero_()
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in case.inputs.items()}
    h0, c0 = (tensors[name].reshape(layers, 3, 4) for name in ("h0", "c0"))
    y, (h, c) = module(tensors["x"], (h0, c0))
    outputs = {"y": y, "h": h.reshape(state), "c": c.reshape(state)}
    loss = sum((value * torch.tensor(case.cotangents[name])).sum() for name, value in outputs.items())
    loss.backward()
    found = case.run()
    for name, value in outputs.items():
        np.testing.assert_allclose(found.outputs[name], value.detach().numpy(), rtol=1e-12, atol=1e-13)
    for name, tensor in {**tensors, **leaves}.items():
        expected = tensor.grad.numpy()
        expected = expected.T if name in leaves else expected
        np.testing.assert_allclose(found.gradients[name], expected, rtol=1e-11, atol=1e-12)


def test_dropping_no_draw_is_an_error_not_a_guess() -> None:
    case = dataclasses.replace(one_layer(), draws={})
    with pytest.raises(ValueError, match="no draw for site"):
        case.run()
