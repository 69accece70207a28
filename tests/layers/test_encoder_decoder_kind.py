"""Encoder and decoder: the hand-over of (h, c), tied weights as one long run, gradients through the hand-over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from harness.layers.base import DropoutSpec
from tests.layers.layer_cases import Scenario, encoder_decoder_scenarios, scenario

FULL = {"units": 3, "return_sequences": True, "return_state": True}
SHAPES = {"x": (2, 3, 4), "z": (2, 5, 4)}


@pytest.mark.parametrize("layers", [1, 2])
def test_tied_weights_give_what_one_long_run_gives(layers: int) -> None:
    config = {**FULL, "layers": layers}
    pair = scenario("encoder_decoder", {**config, "tied": True}, SHAPES)
    x = np.concatenate([pair.inputs["x"], pair.inputs["z"]], axis=1)
    whole = scenario("lstm", config, {"x": (2, 8, 4)})
    dy = np.zeros((2, 8, 3))
    dy[:, 3:] = pair.cotangents["y"]
    cotangents = {"y": dy, "h": pair.cotangents["h"], "c": pair.cotangents["c"]}
    one = whole.run(inputs={"x": x}, weights=pair.weights, cotangents=cotangents)
    two = pair.run(cotangents={name: pair.cotangents[name] for name in ("y", "h", "c")})
    np.testing.assert_array_equal(two.outputs["y"], one.outputs["y"][:, 3:])
    for name in ("h", "c"):
        np.testing.assert_array_equal(two.outputs[name], one.outputs[name])
    np.testing.assert_array_equal(two.outputs["encoder.h"], one.trace["h"][:, :, 2].reshape(two.outputs["h"].shape))
    np.testing.assert_array_equal(two.outputs["encoder.c"], one.trace["c"][:, :, 2].reshape(two.outputs["h"].shape))
    for name in pair.weights:
        np.testing.assert_allclose(two.gradients[name], one.gradients[name], rtol=1e-12, atol=1e-13)
    joined = np.concatenate([two.gradients["x"], two.gradients["z"]], axis=1)
    np.testing.assert_allclose(joined, one.gradients["x"], rtol=1e-12, atol=1e-13)


def test_the_state_is_handed_over_as_h_and_c_in_that_order() -> None:
    pair = scenario("encoder_decoder", FULL, SHAPES)
    encoder = scenario("lstm", FULL, {"x": (2, 3, 4)})
    decoder = scenario("lstm", FULL, {"x": (2, 5, 4), "h0": (2, 3), "c0": (2, 3)})
    weights = {
        half: {name.removeprefix(half): value for name, value in pair.weights.items() if name.startswith(half)}
        for half in ("encoder.", "decoder.")
    }
    state = encoder.run(inputs={"x": pair.inputs["x"]}, weights=weights["encoder."]).outputs
    found = pair.run().outputs

    def decode(h0: np.ndarray, c0: np.ndarray) -> np.ndarray:
        inputs = {"x": pair.inputs["z"], "h0": h0, "c0": c0}
        return decoder.run(inputs=inputs, weights=weights["decoder."]).outputs["y"]

    np.testing.assert_array_equal(found["encoder.h"], state["h"])
    np.testing.assert_array_equal(found["encoder.c"], state["c"])
    np.testing.assert_array_equal(found["y"], decode(state["h"], state["c"]))
    assert np.abs(found["y"] - decode(state["c"], state["h"])).max() > 1e-3  # swapped states are another result


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(encoder_decoder_scenarios())
def test_shapes_and_gradients(case: Scenario) -> None:
    shapes = {name: array.shape for name, array in case.inputs.items()}
    found = case.run()
    promised = case.kind.output_shapes(case.config, shapes)
    assert {name: array.shape for name, array in found.outputs.items()} == promised
    arrays = {**case.inputs, **case.weights}
    assert {name: array.shape for name, array in found.gradients.items()} == {
        name: array.shape for name, array in arrays.items()
    }
    generator = np.random.default_rng(1)
    direction = {name: generator.normal(size=array.shape) for name, array in arrays.items()}

    def loss(step: float) -> float:
        moved = {name: array + step * direction[name] for name, array in arrays.items()}
        inputs, weights = ({name: moved[name] for name in part} for part in (case.inputs, case.weights))
        outputs = case.run(inputs=inputs, weights=weights).outputs
        return float(sum((outputs[name] * case.cotangents[name]).sum() for name in outputs))

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    predicted = sum(float((found.gradients[name] * direction[name]).sum()) for name in arrays)
    size = sum(float(np.abs(found.gradients[name] * direction[name]).sum()) for name in arrays)
    assert abs(slope - predicted) <= 1e-7 * (1.0 + size)


def test_dropout_of_one_half_leaves_the_other_alone() -> None:
    plain = scenario("encoder_decoder", FULL, SHAPES)
    dropped = scenario("encoder_decoder", FULL, SHAPES, [DropoutSpec(at="decoder.input", rate=0.5)])
    first = plain.run().outputs
    second = dropped.run(inputs=plain.inputs, weights=plain.weights).outputs
    np.testing.assert_array_equal(first["encoder.h"], second["encoder.h"])
    assert np.abs(first["y"] - second["y"]).max() > 1e-3


def test_traces_are_kept_by_half() -> None:
    found = scenario("encoder_decoder", FULL, SHAPES).run()
    assert found.trace["encoder.h"].shape == (1, 2, 3, 3)
    assert found.trace["decoder.gates"].shape == (1, 4, 2, 5, 3)
