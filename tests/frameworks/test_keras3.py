"""Every Keras 3 adapter against the float64 reference on its own draws and on a tape.

A process has one Keras backend: this file runs on the one that KERAS_BACKEND names (default: tensorflow), and
`test_on_another_backend` runs it again on the others, each in a process of its own.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
if importlib.util.find_spec(BACKEND) is None:
    pytest.skip(f"{BACKEND} is not installed", allow_module_level=True)

from harness.frameworks.contract.adapter import Unsupported, implementations  # noqa: E402
from harness.tape import TapeMismatch  # noqa: E402
from tests.frameworks.adapter_jobs import FULL, Call, at, plain  # noqa: E402

X = np.random.default_rng(0).normal(size=(3, 5, 4))
Z = np.random.default_rng(1).normal(size=(3, 2, 4))
H = np.random.default_rng(2).normal(size=(3, 4))

LOCKED = [at("input", 0.3, "gates", "time")]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
STACKED = [*GATEWISE, at("between_layers", 0.5), at("output", 0.4, "time")]
HALVES = [{**entry, "at": half + entry["at"]} for half in ("encoder.", "decoder.") for entry in STACKED]
TIED = [entry for entry in HALVES if "between" not in entry["at"]]
DEEP = {**FULL, "layers": 2}

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]], Mapping[str, Any]]

CASES: list[Case] = [
    ("dropout", "Dropout", {"rate": 0.3}, (), {}),
    ("dropout", "Dropout", {"rate": 0.3, "shared": ["time"]}, (), {}),
    ("dropout", "SpatialDropout1D", {"rate": 0.3, "shared": ["time"]}, (), {}),
    ("alpha_dropout", "AlphaDropout", {"rate": 0.3, "shared": ["batch"]}, (), {}),
    ("gaussian_dropout", "GaussianDropout", {"rate": 0.3}, (), {}),
    ("gaussian_noise", "GaussianNoise", {"stddev": 0.3}, (), {}),
    ("lstm", "LSTM", FULL, LOCKED, {}),
    ("lstm", "LSTM", FULL, GATEWISE, {}),
    ("lstm", "LSTM", {**FULL, "layers": 3}, STACKED, {}),
    ("lstm", "LSTM", {"units": 4}, GATEWISE[1:], {"unroll": True}),
    ("lstm", "LSTM", FULL, GATEWISE[:1], {"implementation": 1, "use_cudnn": False}),
    ("lstm", "LSTMCell", FULL, LOCKED, {}),
    ("lstm", "LSTMCell", DEEP, STACKED, {"unroll": True}),
    ("lstm", "LSTMCell", FULL, GATEWISE[:1], {"implementation": 1}),
    ("lstm", "LSTM", {**FULL, "go_backwards": True}, GATEWISE, {}),
    ("lstm", "LSTM", {**FULL, "recurrent_activation": "hard_sigmoid"}, LOCKED, {}),
    ("lstm", "LSTM", {**FULL, "layers": 2, "padding": "repeat"}, STACKED, {}),
    ("lstm", "LSTM", {**FULL, "layers": 2, "bidirectional": True}, STACKED, {}),
    ("lstm", "LSTM", {**FULL, "bidirectional": True, "padding": "zeros"}, GATEWISE, {}),
    ("lstm", "LSTMCell", {"units": 4, "bidirectional": True}, GATEWISE, {}),
    ("gru", "GRU", FULL, [at("input", 0.3, "gates", "time")], {}),
    ("gru", "GRU", FULL, [*GATEWISE, at("output", 0.4, "time")], {}),
    ("gru", "GRU", {"units": 4, "reset_after": False}, GATEWISE, {"unroll": True}),
    ("simple_rnn", "SimpleRNN", FULL, GATEWISE, {}),
    ("encoder_decoder", "LSTM", DEEP, HALVES, {}),
    ("encoder_decoder", "LSTM", {"units": 4, "tied": True, "return_state": True}, TIED, {}),
    ("encoder_decoder", "LSTMCell", DEEP, HALVES, {}),
]

if BACKEND == "tensorflow":
    CASES += [
        ("dropout", "Dropout", {"rate": 0.3}, (), {"tf_function": True}),
        ("lstm", "LSTM", DEEP, STACKED, {"tf_function": True}),
    ]
if BACKEND == "jax":
    CASES += [("lstm", "LSTM", FULL, GATEWISE, {"jit": False})]


def call(case: Case, **more: Any) -> Call:
    layer, name, config, dropout, options = case
    inputs = {"x": X, "z": Z} if layer == "encoder_decoder" else {"x": X}
    if config.get("padding"):
        inputs["lengths"] = np.array([5, 2, 3])
    arguments = {"dtype": "float32", "options": options, **more}
    return Call(BACKEND, f"keras.layers.{name}", layer, config, dropout, inputs=inputs, **arguments)


def same(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left) and set(left) == set(right)


every_case = pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}-{n}" for n, case in enumerate(CASES)])


@every_case
def test_own_draws(case: Case) -> None:
    """Outputs and gradients are the reference's on the recorded draws; a recorded run replayed is the same to the bit.

    On JAX it is another program to XLA, whose gradients may be rounded otherwise.
    """
    job = call(case)
    result = job.run()
    assert job.worst(result) <= 1.0
    assert {name.split("/")[0] for name in result.draws} == {site.at for site in job.sites}
    again = job.run()
    assert same(result.outputs, again.outputs)
    replayed = job.run(tape=plain(job.sites, result.draws))
    assert same(result.outputs, replayed.outputs)
    assert job.worst(replayed) <= 1.0
    assert BACKEND == "jax" or same(result.gradients, replayed.gradients)


@every_case
def test_a_tape_decides(case: Case) -> None:
    """What is replayed is what the layer then has, in every dropout site; another seed changes nothing."""
    job = call(case)
    if case[0] in ("lstm", "gru", "encoder_decoder") and any("gates" in site.shared for site in job.sites):
        pytest.skip("covered by the gatewise cases")
    tape = job.tape()
    result = job.run(tape=tape)
    assert job.worst(result) <= 1.0
    for name, drawn in plain(job.sites, result.draws).items():
        np.testing.assert_allclose(drawn, np.broadcast_to(tape[name], drawn.shape), rtol=1e-5, atol=1e-6)
    assert same(result.outputs, job.run(tape=tape, seed=99).outputs)


@every_case
def test_evaluation(case: Case) -> None:
    """Evaluation is the layer without dropout, although a recurrent layer draws its masks in evaluation, too."""
    job = call(case, mode="eval")
    assert job.worst(job.run()) <= 1.0


def test_another_seed_gives_another_mask() -> None:
    job = call(CASES[0])
    assert not np.array_equal(job.run(seed=1).outputs["y"], job.run(seed=8).outputs["y"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype: str) -> None:
    assert call(CASES[0], dtype=dtype).worst(call(CASES[0], dtype=dtype).run()) <= 1.0
    job = call(CASES[6], dtype=dtype, gradients=False)
    result = job.run()
    assert result.outputs["y"].dtype.name == dtype
    if dtype != "float64":
        assert job.worst(result) <= 1.0


def test_float64_is_partly_float32_where_keras_promotes_so() -> None:
    """`keras.backend.result_type` knows no 64-bit float but on TensorFlow: the general loop computes parts in float32."""
    job = call(CASES[11], dtype="float64")
    error = job.worst(job.run())
    assert error <= 1.0 if BACKEND == "tensorflow" else error > 1e3


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_edges_of_the_rate(rate: float) -> None:
    """Nothing is drawn at rate 0 and 1."""
    job = Call(BACKEND, "keras.layers.Dropout", "dropout", {"rate": rate}, inputs={"x": X}, dtype="float32")
    result = job.run()
    assert result.draws == {}
    np.testing.assert_array_equal(result.outputs["y"], X.astype(np.float32) if rate == 0.0 else np.zeros_like(X))


def test_an_lstm_at_rate_one() -> None:
    """Keras 3's `LSTM(dropout=1.0)` zeroes the input in torch's fast path; the general loop ignores the dropout."""
    job = call(("lstm", "LSTM", FULL, [at("input", 1.0, "gates", "time")], {}))
    dropped = job.worst(job.run()) <= 1.0
    assert dropped == (BACKEND == "torch")


def test_one_dimension_of_sharing_too_many_is_refused() -> None:
    job = call(("lstm", "LSTM", FULL, [at("input", 0.3, "time")], {}))
    with pytest.raises(Unsupported, match="shares the mask over "):
        job.run(tape=job.tape())
    with pytest.raises(TapeMismatch, match="nothing for site input"):
        call(CASES[0]).run(tape={})


REFUSED: list[tuple[Case, str]] = [
    (("dropout", "SpatialDropout1D", {"rate": 0.3}, (), {}), r"shared over \[time\]"),
    (("dropout", "SpatialDropout2D", {"rate": 0.3}, (), {}), "rank 4"),
    (("gaussian_dropout", "GaussianDropout", {"rate": 0.3, "shared": ["time"]}, (), {}), "no noise_shape"),
    (("lstm", "LSTM", FULL, [at("state.c")], {}), "no dropout at 'state.c'"),
    (("lstm", "LSTM", FULL, [at("input", 0.3, noise="gaussian")], {}), "no gaussian noise"),
    (("lstm", "LSTM", FULL, [at("input", 0.3, scale="none")], {}), "no dropout without a scale"),
    (("lstm", "LSTM", FULL, (), {"implementation": 0}), "null, 1 or 2, not 0"),
    (("lstm", "LSTM", FULL, GATEWISE[:1], {"implementation": 1}), "takes the list of four masks for one"),
    (("lstm", "LSTM", {**FULL, "peepholes": True}, (), {}), "no setting peepholes"),
    (("lstm", "LSTM", {**FULL, "padding": "zeros"}, (), {}), "repeats the last output"),
    (
        ("lstm", "LSTM", {**FULL, "recurrent_activation": "hard_sigmoid_keras2"}, (), {}),
        "recurrent_activation is hard_sigmoid, not",
    ),
    (("dropout", "Dropout", {"rate": 0.3}, (), {"training": "tensor"}), "tf_function: true"),
    (("dropout", "Dropout", {"rate": 0.3}, (), {"speed": 1}), "no option 'speed'"),
    (("gru", "GRU", FULL, GATEWISE[:1], {"implementation": 1}), "list of three masks for one"),
    (("simple_rnn", "SimpleRNN", FULL, (), {"implementation": 1}), "option implementation is null, not 1"),
    (("encoder_decoder", "LSTM", {"units": 4, "tied": True}, HALVES[:1], {}), "one dropout"),
]
OTHER = {"tensorflow": ("jit", "on jax"), "torch": ("jit", "on jax"), "jax": ("tf_function", "on tensorflow")}
REFUSED.append((("dropout", "Dropout", {"rate": 0.3}, (), {OTHER[BACKEND][0]: True}), OTHER[BACKEND][1]))


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[f"{case[1]}-{n}" for n, (case, _) in enumerate(REFUSED)])
def test_refused(case: Case, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(case).run()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a training flag that is a tensor is TensorFlow's")
def test_keras3_refuses_a_training_flag_that_is_a_tensor() -> None:
    with pytest.raises(Unsupported, match="symbolic"):
        call(("dropout", "Dropout", {"rate": 0.3}, (), {"tf_function": True, "training": "tensor"})).run()


def test_every_implementation_is_tested() -> None:
    kinds = {case[0] for case in CASES}
    names = {key[2] for key in implementations() if key[0] == BACKEND and key[1] in kinds}
    here = {name.removeprefix("keras.layers.") for name in names if name.startswith("keras.layers.")}
    assert here == {case[1] for case in CASES} | {"SpatialDropout2D", "SpatialDropout3D"}


@pytest.mark.parametrize(("name", "shape"), [("SpatialDropout2D", (2, 3, 4, 5)), ("SpatialDropout3D", (2, 3, 2, 2, 5))])
def test_spatial_layers_drop_channels(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    shared = ["depth", "height", "width"][-(len(shape) - 2) :]
    config = {"rate": 0.5, "shared": shared}
    job = Call(BACKEND, f"keras.layers.{name}", "dropout", config, inputs={"x": x}, dtype="float32")
    result = job.run()
    assert result.draws["input"].values.shape == (2, *(1,) * (len(shape) - 2), 5)
    assert job.worst(result) <= 1.0


# Planted faults: each must push the measured error over its bound.


def test_faults_exceed_the_bound() -> None:
    job = call(CASES[8])
    result = job.run()
    good = result.outputs
    swapped = result._replace(outputs={**good, "h": good["c"], "c": good["h"]})
    assert job.worst(swapped) > 1.0
    unscaled = result._replace(outputs={**good, "y": good["y"] * np.float32(0.6)})
    assert job.worst(unscaled) > 1.0
    weights = dict(job.job.weights)
    weights["layer1.bias"] = np.roll(weights["layer1.bias"], 4)
    assert job.worst(job.run(weights=weights)) > 1.0
    for site in ("state.h", "input", "between_layers"):
        draws = dict(result.draws)
        draws[site] = draws[site]._replace(values=np.roll(draws[site].values, 1, axis=-1))
        assert job.worst(result._replace(draws=draws)) > 1.0, site


def test_a_layer_that_draws_more_than_its_slots_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    job = call(CASES[7])
    monkeypatch.setattr(type(job.adapter), "layer_slots", lambda *_: [])
    with pytest.raises(TapeMismatch, match="where 0 were expected"):
        job.run()


@pytest.mark.exhaustive
@pytest.mark.skipif(BACKEND != "tensorflow", reason="started by the run on tensorflow")
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_on_another_backend(backend: str) -> None:
    """This file, on Keras's other backends."""
    pytest.importorskip(backend)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
