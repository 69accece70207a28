"""The LSTM's options: each against its printed formula, a plainer run, or a native layer that has it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from harness.layers.base import DropoutSpec, Refused, kinds
from tests.layers.layer_cases import Scenario, scenario

FULL = {"units": 3, "return_sequences": True, "return_state": True}
SHAPES = {"x": (2, 4, 3), "h0": (2, 3), "c0": (2, 3)}


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def with_weights(case: Scenario, other: Scenario) -> Scenario:
    """A scenario on the arrays of another."""
    return dataclasses.replace(case, inputs=other.inputs, weights=other.weights)


def test_one_step_of_tensorflow_1s_cell_with_all_its_options() -> None:
    """Its documented order: peepholes on the old c, clip, peephole on the new c, projection, clip."""
    config = {
        **FULL,
        "forget_bias": 1.0,
        "peepholes": True,
        "cell_clip": 0.5,
        "projection": 2,
        "projection_clip": 0.15,
    }
    case = scenario("lstm", config, {"x": (20, 1, 3), "h0": (20, 2), "c0": (20, 3)})
    w, x, h, c = case.weights, case.inputs["x"][:, 0], case.inputs["h0"], case.inputs["c0"]
    i, f, g, o = np.split(
        np.concatenate([x, h], 1) @ np.concatenate([w["kernel"], w["recurrent_kernel"]]) + w["bias"], 4, 1
    )
    c = sigmoid(f + 1.0 + w["peephole_f"] * c) * c + sigmoid(i + w["peephole_i"] * c) * np.tanh(g)
    assert (np.abs(c) > 0.5).any()
    assert (np.abs(c) < 0.5).any()
    c = np.clip(c, -0.5, 0.5)
    h = (sigmoid(o + w["peephole_o"] * c) * np.tanh(c)) @ w["projection"]
    assert (np.abs(h) > 0.15).any()
    found = case.run().outputs
    np.testing.assert_allclose(found["c"], c, rtol=1e-13)
    np.testing.assert_allclose(found["h"], np.clip(h, -0.15, 0.15), rtol=1e-13)


def test_a_forget_bias_is_a_stored_bias_of_the_forget_gate_alone() -> None:
    added = scenario("lstm", {**FULL, "forget_bias": 1.0}, SHAPES)
    bias = added.weights["bias"] + np.repeat([0.0, 1.0, 0.0, 0.0], 3)
    stored = dataclasses.replace(
        scenario("lstm", FULL, SHAPES), inputs=added.inputs, weights={**added.weights, "bias": bias}
    )
    np.testing.assert_allclose(added.run().outputs["y"], stored.run().outputs["y"], rtol=1e-13)
    plain = with_weights(scenario("lstm", FULL, SHAPES), added)
    assert np.abs(plain.run().outputs["y"] - stored.run().outputs["y"]).max() > 1e-3


@pytest.mark.parametrize(("name", "at_one"), [("hard_sigmoid", 2.0 / 3.0), ("hard_sigmoid_keras2", 0.7)])
def test_hard_sigmoid_of_one(name: str, at_one: float) -> None:
    """Keras 3, torch and JAX: 0.6667; Keras 2: 0.7."""
    case = scenario("lstm", {"units": 1, "recurrent_activation": name}, {"x": (1, 1, 1)})
    weights = {name: np.zeros_like(value) for name, value in case.weights.items()}
    weights["bias"] = np.array([1.0, 0.0, 100.0, -100.0])
    trace = case.run(weights=weights).trace["gates"][0, :, 0, 0, 0]
    np.testing.assert_allclose(trace, [at_one, 0.5, 1.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize("padding", ["zeros", "repeat", "free"])
def test_a_shorter_sequence_ends_where_it_ends(padding: str) -> None:
    """Each row of the batch is what that row alone, cut to its length, gives; then comes the padding."""
    case = scenario("lstm", {**FULL, "padding": padding}, {**SHAPES, "lengths": (2,)})
    case.inputs["lengths"] = np.array([4, 2])
    found = case.run()
    for row, length in enumerate([4, 2]):
        alone = scenario("lstm", FULL, {"x": (1, length, 3), "h0": (1, 3), "c0": (1, 3)})
        inputs = {name: case.inputs[name][row : row + 1] for name in ("x", "h0", "c0")}
        inputs["x"] = inputs["x"][:, :length]
        short = alone.run(inputs=inputs, weights=case.weights).outputs
        np.testing.assert_allclose(found.outputs["y"][row, :length], short["y"][0], rtol=1e-13)
        for name in ("h", "c"):
            np.testing.assert_allclose(found.outputs[name][row], short[name][0], rtol=1e-13)
    after = found.outputs["y"][1, 2:]
    if padding == "zeros":
        assert (after == 0).all()
    elif padding == "repeat":
        np.testing.assert_array_equal(after, np.broadcast_to(found.outputs["y"][1, 1], (2, 3)))
    else:
        whole = with_weights(scenario("lstm", FULL, SHAPES), case).run().outputs["y"]
        np.testing.assert_array_equal(after, whole[1, 2:])
        assert np.abs(after).min() > 0


def test_reading_backward_with_a_padding_starts_at_the_last_valid_step() -> None:
    case = scenario("lstm", {**FULL, "padding": "repeat", "go_backwards": True}, {**SHAPES, "lengths": (2,)})
    case.inputs["lengths"] = np.array([4, 2])
    found = case.run().outputs
    assert (found["y"][1, :2] == 0).all()  # Keras: masked steps before the first valid one give zeros
    alone = scenario("lstm", FULL, {"x": (1, 2, 3), "h0": (1, 3), "c0": (1, 3)})
    inputs = {name: case.inputs[name][1:] for name in ("x", "h0", "c0")}
    inputs["x"] = inputs["x"][:, 1::-1]
    short = alone.run(inputs=inputs, weights=case.weights).outputs
    np.testing.assert_allclose(found["y"][1, 2:], short["y"][0], rtol=1e-13)
    np.testing.assert_allclose(found["h"][1], short["h"][0], rtol=1e-13)


def test_go_backwards_is_a_run_over_the_reversed_sequence() -> None:
    backward = scenario("lstm", {**FULL, "go_backwards": True}, SHAPES)
    forward = with_weights(scenario("lstm", FULL, SHAPES), backward)
    flipped = {**backward.inputs, "x": backward.inputs["x"][:, ::-1]}
    first, second = backward.run(), forward.run(inputs=flipped, cotangents=backward.cotangents)
    for name, value in second.outputs.items():
        np.testing.assert_array_equal(first.outputs[name], value)
    np.testing.assert_allclose(first.gradients["x"], second.gradients["x"][:, ::-1], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(first.gradients["kernel"], second.gradients["kernel"], rtol=1e-13, atol=1e-15)


def test_both_directions_are_a_forward_and_a_backward_run() -> None:
    both = scenario("lstm", {**FULL, "bidirectional": True}, {"x": (2, 4, 3), "h0": (2, 2, 3), "c0": (2, 2, 3)})
    y = []
    for direction, name in enumerate(["forward.", "backward."]):
        one = scenario("lstm", {**FULL, "go_backwards": direction == 1}, SHAPES)
        inputs = {"x": both.inputs["x"], **{key: both.inputs[key][direction] for key in ("h0", "c0")}}
        weights = {key.removeprefix(name): value for key, value in both.weights.items() if key.startswith(name)}
        found = one.run(inputs=inputs, weights=weights).outputs
        y.append(found["y"][:, ::-1] if direction else found["y"])
        for key in ("h", "c"):
            np.testing.assert_array_equal(both.run().outputs[key][direction], found[key])
    np.testing.assert_array_equal(both.run().outputs["y"], np.concatenate(y, axis=-1))
    last = scenario("lstm", {"units": 3, "bidirectional": True}, {"x": (2, 4, 3), "h0": (2, 2, 3), "c0": (2, 2, 3)})
    short = last.run(inputs=both.inputs, weights=both.weights).outputs["y"]
    np.testing.assert_array_equal(short, np.concatenate([y[0][:, -1], y[1][:, 0]], axis=-1))


def test_a_state_dropped_as_it_leaves_keeps_the_first_and_loses_the_last() -> None:
    """TensorFlow 1's DropoutWrapper: the emitted output is whole, the returned state is dropped, h0 is not."""
    dropout = [DropoutSpec(at="state.h", rate=0.5, shared=("gates",)), DropoutSpec(at="state.c", rate=0.5)]
    case = scenario("lstm", {**FULL, "drop_leaving_state": True}, SHAPES, dropout, seed=3)
    h_mask, c_mask = case.draws["state.h"][0] / 0.5, case.draws["state.c"] / 0.5
    step = scenario("lstm", FULL, {"x": (2, 1, 3), "h0": (2, 3), "c0": (2, 3)})
    h, c, y = case.inputs["h0"], case.inputs["c0"], []
    for t in range(4):
        inputs = {"x": case.inputs["x"][:, t : t + 1], "h0": h, "c0": c}
        found = step.run(inputs=inputs, weights=case.weights).outputs
        y.append(found["y"][:, 0])
        h, c = found["h"] * h_mask[:, t], found["c"] * c_mask[:, t]
    found = case.run().outputs
    np.testing.assert_allclose(found["y"], np.stack(y, axis=1), rtol=1e-13)
    np.testing.assert_allclose(found["h"], h, rtol=1e-13)
    np.testing.assert_allclose(found["c"], c, rtol=1e-13)
    assert (found["h"] == 0).any()
    assert (found["y"] != 0).all()
    entering = scenario("lstm", FULL, SHAPES, dropout, seed=3)
    assert np.abs(with_weights(entering, case).run().outputs["y"] - found["y"]).max() > 1e-3


class TestWeightDrop:
    """What a mask on the recurrent kernel cuts: the open question of the recurrent-dropout document."""

    @staticmethod
    def dropped(*shared: str) -> Scenario:
        """Two sequences with dropped recurrent weights."""
        spec = DropoutSpec(at="weight.recurrent", rate=0.5, shared=shared)
        return scenario("lstm", FULL, SHAPES, [spec], seed=5)

    def test_every_element_on_its_own(self) -> None:
        """(4H, H) of torch, `variational=False`: the same as running with the masked kernel."""
        case = self.dropped()
        mask = case.draws["weight.recurrent"] / 0.5
        assert mask.shape == (3, 4, 3)
        weights = {**case.weights, "recurrent_kernel": case.weights["recurrent_kernel"] * mask.reshape(3, 12)}
        plain = with_weights(scenario("lstm", FULL, SHAPES), case)
        first, second = case.run(), plain.run(weights=weights, cotangents=case.cotangents)
        np.testing.assert_allclose(first.outputs["y"], second.outputs["y"], rtol=1e-13)
        # The raw weight gets the gradient, through the mask.
        expected = second.gradients["recurrent_kernel"] * mask.reshape(3, 12)
        np.testing.assert_allclose(first.gradients["recurrent_kernel"], expected, rtol=1e-13, atol=1e-15)
        assert np.abs(first.gradients["recurrent_kernel"]).max() > 1e-3

    def test_a_column_of_4h_cuts_all_that_enters_one_gate_of_one_unit(self) -> None:
        """(4H, 1) of torch, `variational=True`: a mask on h U, not on h."""
        case = self.dropped("inputs")
        mask = case.draws["weight.recurrent"] / 0.5
        assert mask.shape == (1, 4, 3)
        kernel = (case.weights["recurrent_kernel"].reshape(3, 4, 3) * mask).reshape(3, 12)
        dead = kernel.reshape(3, 4, 3)[:, ~case.draws["weight.recurrent"][0]]
        assert dead.size
        assert (dead == 0).all()
        plain = with_weights(scenario("lstm", FULL, SHAPES), case)
        expected = plain.run(weights={**case.weights, "recurrent_kernel": kernel}).outputs["y"]
        np.testing.assert_allclose(case.run().outputs["y"], expected, rtol=1e-13)

    def test_a_row_of_h_is_the_tied_state_mask_shared_over_the_batch(self) -> None:
        """(1, H) of torch is Gal's and Keras's tied formula, but for one mask a minibatch; (4H, 1) is not."""
        row = self.dropped("gates", "units")
        mask = row.draws["weight.recurrent"]
        assert mask.shape == (3, 1, 1)
        tied = DropoutSpec(at="state.h", rate=0.5, shared=("gates", "batch", "time"))
        state = with_weights(scenario("lstm", FULL, SHAPES, [tied]), row)
        found = state.run(draws={"state.h": mask.reshape(1, 1, 1, 3)}, cotangents=row.cotangents)
        first = row.run()
        for name, value in found.outputs.items():
            np.testing.assert_allclose(first.outputs[name], value, rtol=1e-13)
        for name, value in found.gradients.items():
            np.testing.assert_allclose(first.gradients[name], value, rtol=1e-12, atol=1e-14)
        column = with_weights(self.dropped("inputs"), row).run().outputs["y"]
        assert np.abs(column - first.outputs["y"]).max() > 1e-3


@pytest.mark.parametrize(
    ("config", "inputs", "path", "words"),
    [
        ({"go_backwards": True, "layers": 2}, {}, ("config", "go_backwards"), ["one layer"]),
        ({"go_backwards": True, "bidirectional": True}, {}, ("config", "go_backwards"), ["one direction"]),
        ({"projection_clip": 1.0}, {}, ("config", "projection_clip"), ["`projection`"]),
        ({"padding": "free", "bidirectional": True}, {"lengths": (5,)}, ("config", "padding"), ["forward"]),
        ({"padding": "zeros"}, {"lengths": (4,)}, ("inputs", "lengths"), ["(5,)", "(4,)"]),
        ({"projection": 2}, {"h0": (5, 4)}, ("inputs", "h0"), ["(5, 2)"]),
        ({"bidirectional": True}, {"c0": (5, 4)}, ("inputs", "c0"), ["directions", "(2, 5, 4)"]),
    ],
)
def test_settings_at_odds_are_refused(
    config: dict[str, Any], inputs: dict[str, tuple[int, ...]], path: tuple[str, ...], words: list[str]
) -> None:
    kind = kinds()["lstm"]
    with pytest.raises(Refused) as caught:
        kind.weight_shapes(kind.Config(units=4, **config), {"x": (5, 7, 3), **inputs})
    assert caught.value.path == path
    for word in words:
        assert word in caught.value.message


def test_a_leaving_state_has_no_mask_a_gate() -> None:
    kind = kinds()["lstm"]
    config = kind.Config(units=4, drop_leaving_state=True)
    with pytest.raises(Refused, match="add `gates`") as caught:
        kind.sites(config, [DropoutSpec(at="state.h", rate=0.5)], {"x": (5, 7, 3)})
    assert caught.value.path == ("dropout", 0, "shared")


def test_lengths_are_wanted_exactly_where_there_is_a_padding() -> None:
    kind = kinds()["lstm"]
    assert kind.input_names(kind.Config(units=4)) == (("x",), ("h0", "c0"))
    padded = kind.Config(units=4, padding="zeros")
    assert kind.input_names(padded) == (("x", "lengths"), ("h0", "c0"))
    assert kind.integer_inputs(padded, {"x": (5, 7, 3), "lengths": (5,)}) == {"lengths": (1, 7)}


def test_torch_agrees_with_packing_projection_layers_and_directions() -> None:
    torch = pytest.importorskip("torch")
    config = {**FULL, "units": 4, "layers": 2, "bidirectional": True, "projection": 3, "padding": "zeros"}
    shapes = {"x": (3, 5, 2), "h0": (2, 2, 3, 3), "c0": (2, 2, 3, 4), "lengths": (3,)}
    case = scenario("lstm", config, shapes)
    case.inputs["lengths"] = np.array([2, 5, 3])
    module = torch.nn.LSTM(2, 4, 2, batch_first=True, bidirectional=True, proj_size=3).double()
    native = {
        "kernel": "weight_ih",
        "recurrent_kernel": "weight_hh",
        "projection": "weight_hr",
        "bias": "bias_ih",
    }
    leaves = {}
    for layer in range(2):
        for direction, suffix in (("forward.", ""), ("backward.", "_reverse")):
            for name, word in native.items():
                parameter = getattr(module, f"{word}_l{layer}{suffix}")
                parameter.data = torch.tensor(case.weights[f"layer{layer}.{direction}{name}"].T.copy())
                leaves[f"layer{layer}.{direction}{name}"] = parameter
            getattr(module, f"bias_hh_l{layer}{suffix}").data.zero_()
    tensors = {
        name: torch.tensor(value, requires_grad=True) for name, value in case.inputs.items() if name != "lengths"
    }
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        tensors["x"], torch.tensor(case.inputs["lengths"]), batch_first=True, enforce_sorted=False
    )
    y, (h, c) = module(packed, (tensors["h0"].reshape(4, 3, 3), tensors["c0"].reshape(4, 3, 4)))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    outputs = {"y": y, "h": h.reshape(2, 2, 3, 3), "c": c.reshape(2, 2, 3, 4)}
    sum((value * torch.tensor(case.cotangents[name])).sum() for name, value in outputs.items()).backward()
    found = case.run()
    for name, value in outputs.items():
        np.testing.assert_allclose(found.outputs[name], value.detach().numpy(), rtol=1e-12, atol=1e-13)
    assert set(found.gradients) == {*tensors, *leaves}
    for name, tensor in {**tensors, **leaves}.items():
        expected = tensor.grad.numpy()
        np.testing.assert_allclose(
            found.gradients[name], expected.T if name in leaves else expected, rtol=1e-11, atol=1e-12
        )
