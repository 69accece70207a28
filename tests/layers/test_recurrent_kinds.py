"""GRU, simple RNN, embedding and AWD-LSTM: printed formulas, native layers, gradients, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.layers.base import DropoutSpec, Refused, kinds
from harness.rounding import Rounding
from tests.layers.layer_cases import Scenario, dropout_lists, scenario

SEQUENCE = ("batch", "time", "features")
RETURNS = {"return_sequences": True, "return_state": True}


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def calls(layer: str) -> Any:
    """A strategy for settings, shapes and a `dropout` list of one of these kinds."""
    return {"gru": simple_calls, "simple_rnn": simple_calls, "embedding": embedding_calls, "awd_lstm": awd_calls}[
        layer
    ](layer)


@st.composite
def simple_calls(draw: Any, layer: str) -> tuple[dict[str, Any], dict[str, tuple[int, ...]], list[DropoutSpec]]:
    units, batch = draw(st.integers(1, 3)), draw(st.sampled_from([0, 1, 3]))
    config: dict[str, Any] = {"units": units, **{name: draw(st.booleans()) for name in RETURNS}}
    gates = ("gates", *SEQUENCE) if layer == "gru" else SEQUENCE
    if layer == "gru":
        config["reset_after"] = draw(st.booleans())
    shapes: dict[str, tuple[int, ...]] = {"x": (batch, draw(st.integers(1, 4)), draw(st.integers(1, 3)))}
    if draw(st.booleans()):
        shapes["h0"] = (batch, units)
    return config, shapes, draw(dropout_lists({"input": gates, "state.h": gates, "output": SEQUENCE}))


@st.composite
def embedding_calls(draw: Any, layer: str) -> tuple[dict[str, Any], dict[str, tuple[int, ...]], list[DropoutSpec]]:
    config = {"vocabulary": draw(st.integers(1, 5)), "features": draw(st.integers(1, 3))}
    shapes = {"x": (draw(st.sampled_from([0, 1, 3])), draw(st.integers(1, 4)))}
    return config, shapes, draw(dropout_lists({"embedding.rows": ("batch", "vocabulary", "features")}))


@st.composite
def awd_calls(draw: Any, layer: str) -> tuple[dict[str, Any], dict[str, tuple[int, ...]], list[DropoutSpec]]:
    layers, batch = draw(st.integers(1, 3)), draw(st.sampled_from([0, 1, 2]))
    config = {
        "vocabulary": draw(st.integers(1, 4)),
        "features": draw(st.integers(1, 3)),
        "units": draw(st.integers(1, 3)),
        "layers": layers,
        "tied": draw(st.booleans()),
        "return_state": draw(st.booleans()),
    }
    axes: dict[str, tuple[str, ...]] = {
        "embedding.rows": ("batch", "vocabulary", "features"),
        "input": SEQUENCE,
        "output": SEQUENCE,
        "weight.recurrent": ("inputs", "gates", "units"),
    }
    if layers > 1:
        axes["between_layers"] = ("layers", *SEQUENCE)
    shapes: dict[str, tuple[int, ...]] = {"x": (batch, draw(st.integers(1, 3)))}
    last = config["features"] if config["tied"] else config["units"]
    if draw(st.booleans()):
        shapes[f"layer{layers - 1}.h0"] = (batch, last)
    return config, shapes, draw(dropout_lists(axes))


@pytest.mark.parametrize("layer", ["gru", "simple_rnn", "embedding", "awd_lstm"])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_shapes_gradients_and_rounding(layer: str, data: st.DataObject) -> None:
    config, shapes, dropout = data.draw(calls(layer))
    case = scenario(layer, config, shapes, dropout, seed=data.draw(st.integers(0, 1000)))
    found = case.run()
    assert {name: value.shape for name, value in found.outputs.items()} == case.kind.output_shapes(case.config, shapes)
    arrays = {name: value for name, value in {**case.inputs, **case.weights}.items() if value.dtype.kind == "f"}
    assert {name: value.shape for name, value in found.gradients.items()} == {
        name: value.shape for name, value in arrays.items()
    }
    silent = case.run(rounding=Rounding(0.0, np.random.default_rng(0)))
    for name, value in found.outputs.items():
        assert np.array_equal(silent.outputs[name], value)
    generator = np.random.default_rng(1)
    direction = {name: generator.normal(size=value.shape) for name, value in arrays.items()}

    def loss(step: float) -> float:
        moved = {name: value + step * direction[name] for name, value in arrays.items()}
        inputs, weights = (
            {name: moved.get(name, value) for name, value in part.items()} for part in (case.inputs, case.weights)
        )
        outputs = case.run(inputs=inputs, weights=weights).outputs
        return float(sum((outputs[name] * case.cotangents[name]).sum() for name in outputs))

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    predicted = sum(float((found.gradients[name] * direction[name]).sum()) for name in arrays)
    size = sum(float(np.abs(found.gradients[name] * direction[name]).sum()) for name in arrays)
    assert abs(slope - predicted) <= 1e-7 * (1.0 + size)


@pytest.mark.parametrize("layer", ["gru", "simple_rnn", "embedding", "awd_lstm"])
def test_rounding_noise_reaches_everything(layer: str) -> None:
    config: dict[str, Any] = {"units": 3, **RETURNS}
    shapes: dict[str, tuple[int, ...]] = {"x": (2, 4, 3)}
    dropout = [DropoutSpec(at="input", rate=0.3)]
    if layer in ("embedding", "awd_lstm"):
        config = {"vocabulary": 4, "features": 3}
        shapes, dropout = {"x": (2, 4)}, [DropoutSpec(at="embedding.rows", rate=0.3)]
    if layer == "awd_lstm":
        config |= {"units": 3, "return_state": True}
    case = scenario(layer, config, shapes, dropout, seed=8)
    clean, noisy = case.run(), case.run(rounding=Rounding.of("float32", 0))
    for name, value in {**clean.outputs, **clean.gradients}.items():
        error = np.abs({**noisy.outputs, **noisy.gradients}[name] - value).max()
        assert 2.0**-28 < error < 2.0**-14, name


@pytest.mark.parametrize("after", [True, False])
def test_the_printed_gru_step(after: bool) -> None:
    dropout = [DropoutSpec(at="input", rate=0.5), DropoutSpec(at="state.h", rate=0.5)]
    case = scenario("gru", {"units": 3, "reset_after": after, **RETURNS}, {"x": (4, 1, 2), "h0": (4, 3)}, dropout)
    x_masks, h_masks = (case.draws[at][:, :, 0] / 0.5 for at in ("input", "state.h"))
    w, u, b = (np.split(case.weights[name], 3, axis=-1) for name in ("kernel", "recurrent_kernel", "bias"))
    v = np.split(case.weights["recurrent_bias"], 3) if after else [np.zeros(3)] * 3
    x, h = case.inputs["x"][:, 0], case.inputs["h0"]
    xs = [(x * x_masks[gate]) @ w[gate] + b[gate] for gate in range(3)]
    hs = [h * h_masks[gate] for gate in range(3)]
    z = sigmoid(xs[0] + hs[0] @ u[0] + v[0])
    r = sigmoid(xs[1] + hs[1] @ u[1] + v[1])
    n = np.tanh(xs[2] + (r * (hs[2] @ u[2] + v[2]) if after else (r * hs[2]) @ u[2]))
    np.testing.assert_allclose(case.run().outputs["h"], z * h + (1 - z) * n, rtol=1e-13)


def test_the_printed_simple_step() -> None:
    case = scenario("simple_rnn", {"units": 3, **RETURNS}, {"x": (4, 2, 2)}, [DropoutSpec(at="output", rate=0.5)])
    h = np.zeros((4, 3))
    for t in range(2):
        h = np.tanh(
            case.inputs["x"][:, t] @ case.weights["kernel"]
            + h @ case.weights["recurrent_kernel"]
            + case.weights["bias"]
        )
        expected = h * case.draws["output"][:, t] / 0.5
        np.testing.assert_allclose(case.run().outputs["y"][:, t], expected, rtol=1e-13)
    np.testing.assert_allclose(case.run().outputs["h"], h, rtol=1e-13)


@pytest.mark.parametrize("layer", ["gru", "simple_rnn"])
def test_torch_agrees(layer: str) -> None:
    torch = pytest.importorskip("torch")
    case = scenario(layer, {"units": 4, **RETURNS}, {"x": (3, 5, 2), "h0": (3, 4)})
    order = [1, 0, 2] if layer == "gru" else [0]  # torch's gates are r, z, n
    native = {
        name: np.concatenate([np.split(value, len(order), axis=-1)[gate] for gate in order], axis=-1).T.copy()
        for name, value in case.weights.items()
    }
    module = (torch.nn.GRU if layer == "gru" else torch.nn.RNN)(2, 4, batch_first=True).double()
    module.weight_ih_l0.data, module.weight_hh_l0.data = (
        torch.tensor(native[name]) for name in ("kernel", "recurrent_kernel")
    )
    module.bias_ih_l0.data = torch.tensor(native["bias"])
    module.bias_hh_l0.data = torch.tensor(native.get("recurrent_bias", np.zeros(4)))
    x, h0 = (torch.tensor(case.inputs[name], requires_grad=True) for name in ("x", "h0"))
    y, h = module(x, h0[None])
    loss = (y * torch.tensor(case.cotangents["y"])).sum() + (h[0] * torch.tensor(case.cotangents["h"])).sum()
    loss.backward()
    found = case.run()
    np.testing.assert_allclose(found.outputs["y"], y.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.gradients["x"], x.grad.numpy(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.gradients["h0"], h0.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_a_dropped_word_is_zero_wherever_it_occurs() -> None:
    dropout = [DropoutSpec(at="embedding.rows", rate=0.5, shared=("batch", "features"))]
    case = scenario("embedding", {"vocabulary": 6, "features": 3}, {"x": (4, 9)}, dropout)
    kept = case.draws["embedding.rows"]
    assert kept.shape == (1, 6, 1)
    tokens = case.inputs["x"]
    expected = (case.weights["embedding"] * kept[0] / 0.5)[tokens]
    found = case.run()
    np.testing.assert_array_equal(found.outputs["y"], expected)
    assert (found.outputs["y"][~kept[0, tokens, 0]] == 0).all()
    assert (found.gradients["embedding"][~kept[0, :, 0]] == 0).all()


def test_a_mask_for_each_sequence_is_gals() -> None:
    dropout = [DropoutSpec(at="embedding.rows", rate=0.5, shared=("features",))]
    case = scenario("embedding", {"vocabulary": 6, "features": 3}, {"x": (4, 9)}, dropout)
    kept = case.draws["embedding.rows"]
    assert kept.shape == (4, 6, 1)
    y = case.run().outputs["y"]
    for b in range(4):
        np.testing.assert_array_equal(y[b], (case.weights["embedding"] * kept[b] / 0.5)[case.inputs["x"][b]])


def literal_model(case: Scenario) -> np.ndarray:
    """The language model from lstm scenarios: embedding, layer by layer, decoder."""
    masks = {site.at: case.draws[site.at] / site.keep for site in case.sites}
    x = (case.weights["embedding"] * masks["embedding.rows"][0])[case.inputs["x"]] * masks["input"]
    for layer in range(case.config.layers):
        prefix = f"layer{layer}."
        weights = {name.removeprefix(prefix): value for name, value in case.weights.items() if name.startswith(prefix)}
        kernel = weights["recurrent_kernel"]
        mask = np.broadcast_to(masks[f"{prefix}weight.recurrent"], (len(kernel), 4, len(kernel)))
        weights["recurrent_kernel"] = kernel * mask.reshape(kernel.shape)
        one = scenario("lstm", {"units": len(kernel), "return_sequences": True}, {"x": x.shape})
        x = one.run(inputs={"x": x}, weights=weights).outputs["y"]
        x = x * (masks["output"] if layer == case.config.layers - 1 else masks["between_layers"][layer])
    decoder = case.weights["embedding"].T if case.config.tied else case.weights["decoder.kernel"]
    return x @ decoder + case.weights["decoder.bias"]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shared", [(), ("inputs",), ("gates", "units")])
def test_the_language_model_is_its_parts(tied: bool, shared: tuple[str, ...]) -> None:
    config = {"vocabulary": 7, "features": 3, "units": 4, "layers": 3, "tied": tied}
    locked = {"rate": 0.4, "shared": ("time",)}
    dropout = [
        DropoutSpec(at="embedding.rows", rate=0.3, shared=("batch", "features")),
        DropoutSpec(at="input", **locked),
        DropoutSpec(at="between_layers", **locked),
        DropoutSpec(at="output", **locked),
        DropoutSpec(at="weight.recurrent", rate=0.5, shared=shared),
    ]
    case = scenario("awd_lstm", config, {"x": (2, 5)}, dropout, seed=3)
    found = case.run()
    np.testing.assert_allclose(found.outputs["y"], literal_model(case), rtol=1e-12, atol=1e-13)
    assert ("decoder.kernel" in found.gradients) is not tied
    assert case.weights["layer2.bias"].shape == ((12,) if tied else (16,))


@pytest.mark.parametrize(
    ("layer", "config", "shapes", "dropout", "path", "words"),
    [
        ("gru", {"units": 4}, {"x": (5, 7)}, [], ("inputs", "x"), ["(batch, time, features)"]),
        ("gru", {"units": 4}, {"x": (5, 7, 3), "h0": (5, 3)}, [], ("inputs", "h0"), ["(5, 4)"]),
        ("gru", {"units": 4}, {"x": (5, 7, 3)}, ["state.c"], ("dropout", 0, "at"), ["state.h"]),
        ("simple_rnn", {"units": 4}, {"x": (5, 7, 3)}, ["output", "output"], ("dropout", 1, "at"), ["twice"]),
        ("embedding", {"vocabulary": 4, "features": 2}, {"x": (5, 7, 3)}, [], ("inputs", "x"), ["(batch, time)"]),
        (
            "embedding",
            {"vocabulary": 4, "features": 2},
            {"x": (5, 7)},
            ["rows"],
            ("dropout", 0, "at"),
            ["embedding.rows"],
        ),
        (
            "awd_lstm",
            {"vocabulary": 4, "features": 2, "units": 3},
            {"x": (5, 7)},
            ["layer0.weight.recurrent"],
            ("dropout", 0, "at"),
            ["weight.recurrent"],
        ),
        (
            "awd_lstm",
            {"vocabulary": 4, "features": 2, "units": 3, "tied": True},
            {"x": (5, 7), "layer2.h0": (5, 3)},
            [],
            ("inputs", "layer2.h0"),
            ["(5, 2)"],
        ),
        (
            "awd_lstm",
            {"vocabulary": 4, "features": 2, "units": 3, "layers": 1},
            {"x": (5, 7)},
            ["between_layers"],
            ("dropout", 0, "at"),
            ["no site"],
        ),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str,
    config: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    dropout: list[str],
    path: tuple[Any, ...],
    words: list[str],
) -> None:
    kind = kinds()[layer]
    with pytest.raises(Refused) as caught:
        kind.sites(kind.Config(**config), [DropoutSpec(at=at, rate=0.5) for at in dropout], shapes)
    assert caught.value.path == path
    for word in words:
        assert word in caught.value.message


def test_tokens_are_integers_of_the_vocabulary() -> None:
    kind = kinds()["embedding"]
    config = kind.Config(vocabulary=9, features=2)
    assert kind.integer_inputs(config, {"x": (5, 7)}) == {"x": (0, 8)}
