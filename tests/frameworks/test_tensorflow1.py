"""What TensorFlow 1's cells and old Keras layers do that the contract's questions (tables/tensorflow1.py) do not ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from harness.frameworks.contract.adapter import Unsupported
from harness.records import Arrays
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import Call, at, plain
from tests.frameworks.contract import same
from tests.frameworks.tables import tensorflow1 as one
from tests.frameworks.tables.tensorflow import FILTERED
from tests.frameworks.trial import WORKERS, Case, Trial, full

LSTM, BLOCK, WRAPPER = "tf.contrib.rnn.LSTMCell", "tf.contrib.rnn.LSTMBlockCell", "tf.nn.RNNCellDropoutWrapper"


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    yield
    WORKERS.stop()


def call(name: str, environment: str | None, *dropout: Mapping[str, Any], layer: str = "lstm", **words: Any) -> Call:
    """The job of a case that stands in no table; without an environment in this process."""
    if environment is None:
        pytest.importorskip("tf_keras")
    framework = "tensorflow" if name == WRAPPER else "tensorflow1"
    return Trial(framework, layer, name, full(*dropout, environment=environment, **words)).job


def test_surviving_outputs_are_the_plain_outputs_over_keep_prob() -> None:
    """The question that this project began with: DropoutWrapper(output_keep_prob=0.5), eagerly in 1.8."""
    job = call(LSTM, "tf1.8", at("output", 0.5), options=one.EAGER)
    dropped = job.run()
    whole = job.run(mode="eval").outputs["y"]
    kept = plain(job.sites, dropped.draws)["output"]
    np.testing.assert_array_equal(dropped.outputs["y"], np.where(kept, whole / np.float32(0.5), 0.0))
    np.testing.assert_array_equal(dropped.outputs["h"], whole[:, -1])
    with pytest.raises(Unsupported, match="not called twice"):
        job.run(calls=2)


def test_static_rnn_in_a_graph_repeats_its_mask() -> None:
    """Every step is an op with the same seed; dynamic_rnn and eager execution go on with one counter."""
    draws = {}
    for name, options in {"static": one.STATIC, "dynamic": {}, "eager": {**one.STATIC, **one.EAGER}}.items():
        job = call(LSTM, "tf1.8", at("output", 0.5), options=options)
        draws[name] = plain(job.sites, job.run().draws)["output"]
    assert all(np.array_equal(draws["static"][:, :1], draws["static"][:, step : step + 1]) for step in range(5))
    assert not np.array_equal(draws["dynamic"][:, 0], draws["dynamic"][:, 1])
    assert np.array_equal(draws["dynamic"], draws["eager"])


def test_an_encoder_and_its_decoder_draw_from_other_seeds() -> None:
    draws = call(LSTM, "tf1.8", *one.PAIR, layer="encoder_decoder", inputs={"z": np.ones((3, 5, 6))}).run().draws
    assert not np.array_equal(draws["encoder.input"].values, draws["decoder.input"].values)


def test_keep_prob_is_rounded_to_float32_in_a_float64_layer() -> None:
    """A known difference: survivors are divided by float32(keep_prob), so a float64 layer is off by 1e-8."""
    job = call(LSTM, "tf1.8", at("output", 0.4), dtype="float64")
    result = job.run()
    kept = plain(job.sites, result.draws)["output"]
    ratio = result.outputs["y"][kept] / job.run(mode="eval").outputs["y"][kept]
    np.testing.assert_allclose(ratio, 1.0 / np.float64(np.float32(0.6)), rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "environment", "options"),
    [
        (LSTM, "tf1.3", {}),
        (LSTM, "tf1.3", one.STATIC),
        (LSTM, "tf1.3", one.V),
        (WRAPPER, "tf2.0", {}),
        (WRAPPER, "tf2.10", {}),
        (WRAPPER, None, {}),
    ],
)
def test_which_wrappers_drop_c_unasked(name: str, environment: str | None, options: Mapping[str, Any]) -> None:
    """1.3's drops both states. 2's spares the c of an LSTMStateTuple, and a Keras cell's state is a list.

    A case that names h alone gets a recorded mask of c, which acts.
    """
    alone, both = (one.VARIATIONAL, one.VARIATIONAL_BOTH) if options == one.V else (one.STEP, one.BOTH)
    words = {**one.WRAPPED, "options": options}
    job = call(name, environment, *alone, **words)
    result = job.run()
    assert set(result.draws) == {"input", "state.h", "output", "state.c"}
    assert job.worst(result._replace(draws={site.at: result.draws[site.at] for site in job.sites})) > 1.0
    asked = call(name, environment, *both, **words)
    same(asked.run(), result)
    assert asked.worst(result) <= 1.0
    with pytest.raises(TapeMismatch, match=r"nothing for site state\.c"):
        job.run(tape=job.tape())
    if name == WRAPPER:
        # A visitor that knows the list spares c.
        spared = call(name, environment, *alone, **{**words, "options": FILTERED}).run()
        assert np.any(result.outputs["c"] == 0.0)
        assert np.all(spared.outputs["c"] != 0.0)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("tf1.8", {"reset_after": False, "options": one.TWO}),
        ("tf2.0", {"reset_after": False}),
        ("tf2.0", {"options": one.FUNCTION}),
    ],
)
def test_implementation_2_of_a_gru_blends_the_masked_h(environment: str, words: Mapping[str, Any]) -> None:
    """In 1.8 and 2.0 each step is a plain GRU's step from the masked h, which is then lost for the blend too."""
    job = call(one.KERAS + "GRU", environment, one.TIED[1], layer="gru", **words)
    result = job.run()
    assert job.worst(result) > 1.0
    (site,) = job.sites
    mask = plain(job.sites, result.draws)["state.h"][0, :, 0] / (1.0 - site.rate)
    x = job.job.inputs["x"]
    h = np.zeros((len(x), 4))
    for step in range(x.shape[1]):
        inputs: Arrays = {"x": x[:, step : step + 1], "h0": mask * h}
        h = job.kind.evaluate(job.config, inputs, job.job.weights, (), {}, train=False).outputs["h"]
        np.testing.assert_allclose(result.outputs["y"][:, step], h, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "case", "kept"),
    [
        (LSTM, full(*one.VARIATIONAL_BOTH, **one.WRAPPED, environment="tf1.3", options=one.V), False),
        (LSTM, full(*one.STEP, **one.WRAPPED, environment="tf1.8", options=one.STATIC), False),
        (one.OLD + "LSTM", full(*one.GATEWISE, environment="tf1.3"), False),
        (one.KERAS + "LSTM", full(*one.GATEWISE, environment="tf1.8"), False),
        (WRAPPER, full(*one.VARIATIONAL_BOTH, **one.WRAPPED, environment="tf2.0", options=one.V), True),
        (WRAPPER, full(*one.BOTH, **one.WRAPPED, environment="tf2.0"), False),
    ],
)
def test_a_second_call(name: str, case: Case, kept: bool) -> None:
    """A graph draws anew in every run, variational masks too; TensorFlow 2's wrapper keeps those that it was made with."""
    job = Trial("tensorflow" if name == WRAPPER else "tensorflow1", "lstm", name, case).job
    first, second = job.run(), job.run(calls=2)
    assert job.worst(second) <= 1.0
    for site, draw in first.draws.items():
        assert np.array_equal(draw.values, second.draws[site].values) == kept, site


@pytest.mark.parametrize(
    ("environment", "words"), [("tf1.3", {"peepholes": True}), ("tf1.8", {"cell_clip": 0.2})], ids=["1.3", "1.8"]
)
def test_whose_gradients_are_not_those_of_its_outputs(environment: str, words: Mapping[str, Any]) -> None:
    """1.3's LSTMBlockCell exchanges two peepholes in its backward pass; 1.8's does not see the clip there."""
    job = call(BLOCK, environment, **words)
    generator = np.random.default_rng(8)
    # Float32 outputs: between their rounding over the step, and the clips that the step crosses.
    step = 5e-4
    direction = {name: generator.standard_normal(array.shape) for name, array in job.job.weights.items()}

    def loss(sign: float) -> float:
        weights = {n: (a + sign * step * direction[n]).astype(np.float32) for n, a in job.job.weights.items()}
        found = job.run(weights=weights, cotangents={}).outputs
        return sum(float(np.vdot(job.job.cotangents[n].astype(np.float64), found[n])) for n in found)

    result = job.run()
    reference = job.reference(result.draws)
    numeric = (loss(1.0) - loss(-1.0)) / (2.0 * step)
    own = sum(float(np.vdot(result.gradients[name], direction[name])) for name in direction)
    assert sum(float(np.vdot(reference[f"d {name}"], direction[name])) for name in direction) == pytest.approx(
        numeric, rel=5e-3, abs=5e-3
    )
    assert abs(own - numeric) > 0.02 * abs(numeric)
    assert job.worst(result) > 1.0
    job.job = job.job._replace(cotangents={})
    assert job.worst(job.run()) <= 1.0  # without gradients
