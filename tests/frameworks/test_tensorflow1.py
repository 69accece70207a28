"""TensorFlow 1.3, 1.8, 2.0 and 2.10 in their own environments, against one reference; skipped where they are not created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from harness.environments import resolve, why_not
from harness.execution.process import Worker
from harness.frameworks.contract.adapter import Unsupported
from harness.records import Arrays
from harness.tape import TapeMismatch
from tests.frameworks.adapter_jobs import at, plain
from tests.frameworks.remote_jobs import RemoteCall

X = np.random.default_rng(0).normal(size=(3, 5, 4))
FULL: dict[str, Any] = {"units": 4, "return_sequences": True, "return_state": True}
WRAPPED = {**FULL, "drop_leaving_state": True}
DEEP = {**WRAPPED, "layers": 2}

STEP = [at("input", 0.3, "gates"), at("state.h", 0.25, "gates"), at("output", 0.4)]
BOTH = [*STEP, at("state.c", 0.25)]
ONCE = ("batch", "time")
VARIATIONAL = [at("input", 0.3, "gates", *ONCE), at("state.h", 0.25, "gates", *ONCE), at("output", 0.4, *ONCE)]
VARIATIONAL_BOTH = [*VARIATIONAL, at("state.c", 0.25, *ONCE)]
GATEWISE = [at("input", 0.3, "time"), at("state.h", 0.25, "time")]
TIED = [at("input", 0.3, "gates", "time"), at("state.h", 0.25, "gates", "time")]
AROUND = [at("between_layers", 0.5), at("output", 0.4, "time")]

BEFORE = {**FULL, "reset_after": False}
GRU_MASKS = [*GATEWISE, at("output", 0.4)]

STATIC: dict[str, Any] = {"runner": "static_rnn"}
EAGER: dict[str, Any] = {"eager": True}
V: dict[str, Any] = {"variational": True}
RNN = "tf.contrib.rnn."
LAYERS = {"GRU": "gru", "SimpleRNN": "simple_rnn"}
WRAPPER = "tf.nn.RNNCellDropoutWrapper"
OLD, OLD_KERAS, KERAS = "tf1.3", "tf.contrib.keras.layers.LSTM", "tf.keras.layers.LSTM"

OLD_GRU, GRU = "tf.contrib.keras.layers.GRU", "tf.keras.layers.GRU"

Case = tuple[str, str, Mapping[str, Any], Sequence[Mapping[str, Any]], Mapping[str, Any]]

CASES: list[Case] = [
    ("tf1.3", RNN + "LSTMCell", WRAPPED, BOTH, {}),
    ("tf1.3", RNN + "LSTMCell", DEEP, [*BOTH, at("between_layers", 0.5)], STATIC),
    ("tf1.3", RNN + "LSTMCell", WRAPPED, VARIATIONAL_BOTH, V),
    ("tf1.3", RNN + "BasicLSTMCell", {**FULL, "forget_bias": 1.0}, [at("output", 0.5)], {}),
    ("tf1.3", RNN + "LSTMBlockCell", WRAPPED, BOTH, {}),
    ("tf1.8", RNN + "LSTMCell", WRAPPED, STEP, {}),
    ("tf1.8", RNN + "LSTMCell", WRAPPED, STEP, {**STATIC, **EAGER}),
    ("tf1.8", RNN + "LSTMCell", WRAPPED, BOTH, EAGER),
    ("tf1.8", RNN + "LSTMCell", DEEP, [*STEP, at("between_layers", 0.5)], {}),
    ("tf1.8", RNN + "LSTMCell", WRAPPED, VARIATIONAL, V),
    ("tf1.8", RNN + "LSTMCell", WRAPPED, VARIATIONAL[1:2], {**V, **EAGER}),
    ("tf1.8", RNN + "LSTMCell", DEEP, [*VARIATIONAL_BOTH, at("between_layers", 0.5, *ONCE)], {**V, **EAGER}),
    ("tf1.8", RNN + "LSTMCell", {**FULL, "peepholes": True, "cell_clip": 0.3, "forget_bias": 1.0}, STEP[:1], {}),
    ("tf1.8", RNN + "LSTMCell", {**WRAPPED, "projection": 3, "projection_clip": 0.2}, STEP, STATIC),
    ("tf1.8", RNN + "LSTMCell", {**WRAPPED, "padding": "zeros"}, STEP, {}),
    ("tf1.8", RNN + "BasicLSTMCell", {"units": 4}, [at("output", 0.5)], EAGER),
    ("tf1.8", RNN + "LSTMBlockCell", {**WRAPPED, "forget_bias": 1.0}, STEP, {}),
    ("tf1.8", RNN + "LSTMBlockCell", {**WRAPPED, "peepholes": True}, STEP, STATIC),
    ("tf1.3", OLD_KERAS, FULL, GATEWISE, {}),
    ("tf1.3", OLD_KERAS, FULL, GATEWISE, {"implementation": 1, "unroll": True}),
    ("tf1.3", OLD_KERAS, FULL, TIED, {"implementation": 2}),
    ("tf1.3", OLD_KERAS, {**FULL, "layers": 2, "recurrent_activation": "hard_sigmoid_keras2"}, GATEWISE + AROUND, {}),
    ("tf1.8", KERAS, FULL, GATEWISE, {}),
    ("tf1.8", KERAS, FULL, TIED, {"implementation": 2}),
    ("tf1.3", OLD_KERAS, {**FULL, "go_backwards": True}, GATEWISE, {}),
    ("tf1.3", OLD_KERAS, {**FULL, "padding": "repeat"}, GATEWISE, {}),
    ("tf1.8", KERAS, {**FULL, "bidirectional": True}, GATEWISE, {}),
    ("tf1.8", KERAS, {**FULL, "padding": "repeat"}, TIED, {"implementation": 2}),
    ("tf2.0", KERAS, {**FULL, "bidirectional": True}, GATEWISE, {"implementation": 1}),
    ("tf2.0", KERAS, {**FULL, "go_backwards": True}, TIED, {}),
    ("tf2.0", KERAS, FULL, [at("input", 0.3, "gates")], {}),
    ("tf2.0", KERAS, FULL, TIED, {}),
    ("tf2.0", KERAS, FULL, TIED, {"tf_function": True}),
    ("tf2.0", KERAS, FULL, GATEWISE, {"implementation": 1, "unroll": True}),
    ("tf2.0", KERAS, {**FULL, "layers": 2}, TIED + AROUND, {"tf_function": True}),
    ("tf1.3", OLD_GRU, BEFORE, GRU_MASKS, {}),
    ("tf1.3", OLD_GRU, BEFORE, TIED, {"implementation": 2, "unroll": True}),
    ("tf1.3", OLD_GRU.replace("GRU", "SimpleRNN"), FULL, GRU_MASKS, {}),
    ("tf1.3", OLD_GRU.replace("GRU", "SimpleRNN"), FULL, GATEWISE, {"implementation": 1}),
    ("tf1.8", GRU, FULL, GRU_MASKS, {}),
    ("tf1.8", GRU.replace("GRU", "SimpleRNN"), FULL, GRU_MASKS, {}),
    ("tf2.0", GRU, FULL, [at("input", 0.3, "gates")], {}),
    ("tf2.0", GRU, BEFORE, GATEWISE, {"implementation": 1, "tf_function": True}),
    ("tf2.0", GRU.replace("GRU", "SimpleRNN"), FULL, GRU_MASKS, {"tf_function": True}),
    ("tf2.10", GRU, BEFORE, GATEWISE, {}),
]


class Workers:
    """One worker an environment, started when it is first asked for."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def of(self, name: str) -> Worker:
        if name not in self._workers:
            if not name:
                pytest.importorskip("tf_keras")
            environment = resolve(name)
            if environment is None:
                pytest.skip(why_not(name))
            self._workers[name] = Worker(environment, "tensorflow")
        return self._workers[name]

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    found = Workers()
    yield found
    found.stop()


def call(workers: Workers, case: Case, **more: Any) -> RemoteCall:
    environment, name, config, dropout, options = case
    inputs = {"x": X, "lengths": np.array([5, 2, 3])} if config.get("padding") else {"x": X}
    layer = "dropout" if "rate" in config else LAYERS.get(name.rsplit(".", 1)[-1], "lstm")
    arguments = {"dtype": "float32", "options": options, **more}
    return RemoteCall(workers.of(environment), "tensorflow", name, layer, config, dropout, inputs=inputs, **arguments)


def same(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left) and set(left) == set(right)


every_case = pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[1]}-{n}" for n, case in enumerate(CASES)])


@every_case
def test_own_draws(workers: Workers, case: Case) -> None:
    """The reference explains outputs and gradients on the recorded draws, which have the case's shape; replay is exact."""
    job = call(workers, case)
    result = job.run()
    assert job.worst(result) <= 1.0
    assert {name: draw.values.shape for name, draw in result.draws.items()} == {s.at: s.shape for s in job.sites}
    replayed = job.run(tape=plain(job.sites, result.draws))
    assert same(result.outputs, replayed.outputs)
    assert same(result.gradients, replayed.gradients)


@every_case
def test_a_tape_decides(workers: Workers, case: Case) -> None:
    job = call(workers, case)
    tape = job.tape()
    result = job.run(tape=tape)
    assert job.worst(result) <= 1.0
    for name, drawn in plain(job.sites, result.draws).items():
        np.testing.assert_array_equal(drawn, tape[name])


@every_case
def test_evaluation(workers: Workers, case: Case) -> None:
    job = call(workers, case, mode="eval")
    result = job.run()
    assert result.draws == {}
    assert job.worst(result) <= 1.0


def test_surviving_outputs_are_the_plain_outputs_over_keep_prob(workers: Workers) -> None:
    """The question of document 000: DropoutWrapper(output_keep_prob=0.5), eagerly in 1.8."""
    case: Case = ("tf1.8", RNN + "LSTMCell", FULL, [at("output", 0.5)], EAGER)
    job = call(workers, case)
    dropped = job.run()
    whole = job.run(mode="eval").outputs["y"]
    kept = plain(job.sites, dropped.draws)["output"]
    np.testing.assert_array_equal(dropped.outputs["y"], np.where(kept, whole / np.float32(0.5), 0.0))
    np.testing.assert_array_equal(dropped.outputs["h"], whole[:, -1])


def test_static_rnn_in_a_graph_repeats_its_mask(workers: Workers) -> None:
    """Every step is an op with the same seed; dynamic_rnn and eager execution go on with one counter."""
    draws = {}
    for name, options in {"static": STATIC, "dynamic": {}, "eager": {**STATIC, **EAGER}}.items():
        job = call(workers, ("tf1.8", RNN + "LSTMCell", FULL, [at("output", 0.5)], options))
        draws[name] = plain(job.sites, job.run().draws)["output"]
    assert all(np.array_equal(draws["static"][:, :1], draws["static"][:, step : step + 1]) for step in range(5))
    assert not np.array_equal(draws["dynamic"][:, 0], draws["dynamic"][:, 1])
    assert np.array_equal(draws["dynamic"], draws["eager"])


def test_seeds(workers: Workers) -> None:
    job = call(workers, CASES[5])
    assert same(job.run(seed=4).outputs, job.run(seed=4).outputs)
    assert not same(job.run(seed=4).outputs, job.run(seed=5).outputs)


def test_keep_prob_is_rounded_to_float32_in_a_float64_layer(workers: Workers) -> None:
    """A known difference: survivors are divided by float32(keep_prob), so a float64 layer is off by 1e-8."""
    job = call(workers, ("tf1.8", RNN + "LSTMCell", FULL, [at("output", 0.4)], {}), dtype="float64")
    result = job.run()
    kept = plain(job.sites, result.draws)["output"]
    ratio = result.outputs["y"][kept] / job.run(mode="eval").outputs["y"][kept]
    np.testing.assert_allclose(ratio, 1.0 / np.float64(np.float32(0.6)), rtol=1e-15)


@pytest.mark.parametrize("options", [{}, STATIC, V], ids=["dynamic", "static", "variational"])
def test_the_old_wrapper_drops_c_unasked(workers: Workers, options: Mapping[str, Any]) -> None:
    """1.3 drops both states also for a case that names h alone: its mask of c is recorded, and it acts."""
    alone, both = (STEP, BOTH) if options != V else (VARIATIONAL, VARIATIONAL_BOTH)
    job = call(workers, ("tf1.3", RNN + "LSTMCell", WRAPPED, alone, options))
    result = job.run()
    assert set(result.draws) == {"input", "state.h", "output", "state.c"}
    assert job.worst(result._replace(draws={site.at: result.draws[site.at] for site in job.sites})) > 1.0
    asked = call(workers, ("tf1.3", RNN + "LSTMCell", WRAPPED, both, options))
    assert same(asked.run().outputs, result.outputs)
    assert asked.worst(result) <= 1.0
    with pytest.raises(TapeMismatch, match=r"nothing for site state\.c"):
        job.run(tape=job.tape())


@pytest.mark.parametrize("environment", ["tf2.0", "tf2.10", ""], ids=["2.0", "2.10", "current"])
def test_the_new_wrapper_drops_the_c_of_a_keras_cell(workers: Workers, environment: str) -> None:
    """Its state is a list, not the LSTMStateTuple whose c is spared; a visitor that knows the list spares it."""
    job = call(workers, (environment, WRAPPER, WRAPPED, STEP, {}))
    result = job.run()
    assert set(result.draws) == {"input", "state.h", "output", "state.c"}
    assert np.mean(result.outputs["c"] == 0.0) > 0.0
    assert job.worst(result._replace(draws={site.at: result.draws[site.at] for site in job.sites})) > 1.0
    assert call(workers, (environment, WRAPPER, WRAPPED, BOTH, {})).worst(result) <= 1.0
    spared = call(workers, (environment, WRAPPER, WRAPPED, STEP, {"dropout_state_filter_visitor": "h"})).run()
    assert np.all(spared.outputs["c"] != 0.0)


@pytest.mark.parametrize(
    ("case", "blended"),
    [
        (("tf1.3", OLD_GRU, BEFORE, TIED[1:], {"implementation": 2}), False),
        (("tf1.8", GRU, BEFORE, TIED[1:], {"implementation": 2}), True),
        (("tf2.0", GRU, BEFORE, TIED[1:], {}), True),
        (("tf2.0", GRU, FULL, TIED[1:], {"tf_function": True}), True),
        (("tf2.0", GRU, BEFORE, GATEWISE[1:], {"implementation": 1}), False),
    ],
)
def test_implementation_2_of_a_gru_blends_the_masked_h(workers: Workers, case: Case, blended: bool) -> None:
    """In 1.8 and 2.0 each step is a plain GRU's step from the masked h, which is then lost for the blend too."""
    job = call(workers, case)
    result = job.run()
    assert (job.worst(result) > 1.0) == blended
    if not blended:
        return
    (site,) = job.sites
    mask = plain(job.sites, result.draws)["state.h"][0, :, 0] / (1.0 - site.rate)
    h = np.zeros((X.shape[0], 4))
    for step in range(X.shape[1]):
        inputs: Arrays = {"x": X.astype(np.float32)[:, step : step + 1], "h0": mask * h}
        h = job.kind.evaluate(job.config, inputs, job.job.weights, (), {}, train=False).outputs["h"]
        np.testing.assert_allclose(result.outputs["y"][:, step], h, atol=1e-6)


@pytest.mark.parametrize(
    ("case", "kept"),
    [
        (("tf1.3", RNN + "LSTMCell", WRAPPED, VARIATIONAL_BOTH, V), False),
        (("tf1.8", RNN + "LSTMCell", WRAPPED, STEP, {}), False),
        (("tf1.8", RNN + "LSTMCell", WRAPPED, STEP, STATIC), False),
        (("tf1.3", OLD_KERAS, FULL, GATEWISE, {}), False),
        (("tf1.8", GRU, BEFORE, GATEWISE, {}), False),
        (("tf2.0", WRAPPER, WRAPPED, VARIATIONAL_BOTH, V), True),
        (("tf2.0", WRAPPER, WRAPPED, BOTH, {}), False),
    ],
)
def test_a_second_call(workers: Workers, case: Case, kept: bool) -> None:
    """A graph draws anew in every run, variational masks too; TensorFlow 2's wrapper keeps those that it was made with."""
    job = call(workers, case)
    first, second = job.run(calls=1), job.run(calls=2)
    assert job.worst(second) <= 1.0
    for name, draw in first.draws.items():
        assert np.array_equal(draw.values, second.draws[name].values) == kept, name


PAIR: dict[str, Any] = {"units": 4, "return_sequences": True, "return_state": True}
PAIR_SITES = [at("encoder.input", 0.3, "gates"), at("decoder.input", 0.3, "gates"), at("decoder.output", 0.5)]
PAIR_DEEP = [*PAIR_SITES, at("decoder.between_layers", 0.4)]


def pair(
    workers: Workers, environment: str, name: str, more: Mapping[str, Any], options: Mapping[str, Any]
) -> RemoteCall:
    inputs = {"x": X, "z": np.random.default_rng(1).normal(size=(3, 5, 4))}
    dropout = PAIR_DEEP if more.get("layers") else PAIR_SITES
    arguments = ("tensorflow", RNN + name, "encoder_decoder", {**PAIR, **more}, dropout)
    return RemoteCall(workers.of(environment), *arguments, inputs=inputs, dtype="float32", options=options)


@pytest.mark.parametrize(
    ("environment", "name", "more", "options"),
    [
        ("tf1.3", "LSTMCell", {}, STATIC),
        ("tf1.3", "BasicLSTMCell", {"tied": True}, {}),
        ("tf1.8", "LSTMCell", {"layers": 2}, {}),
        ("tf1.8", "LSTMCell", {"layers": 2, "return_sequences": False}, {**STATIC, **EAGER}),
        ("tf1.8", "LSTMBlockCell", {}, {}),
    ],
)
def test_an_encoder_and_a_decoder(
    workers: Workers, environment: str, name: str, more: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Values, gradients, replay and evaluation; a state that is handed over in the wrong order is far off."""
    job = pair(workers, environment, name, more, options)
    result = job.run()
    assert job.worst(result) <= 1.0
    replayed = job.run(tape=plain(job.sites, result.draws))
    assert same(result.outputs, replayed.outputs) and same(result.gradients, replayed.gradients)
    assert job.worst(job.run(tape=job.tape())) <= 1.0
    still = pair(workers, environment, name, more, options)
    still.job = still.job._replace(mode="eval")
    assert still.worst(still.run()) <= 1.0
    swapped = {**result.outputs, "encoder.h": result.outputs["encoder.c"], "encoder.c": result.outputs["encoder.h"]}
    assert job.worst(result._replace(outputs=swapped)) > 1.0
    encoder, decoder = (result.draws[half + ".input"].values for half in ("encoder", "decoder"))
    assert not np.array_equal(encoder, decoder)


@pytest.mark.parametrize("site", [at("encoder.state.h", 0.5, "gates"), at("encoder.output", 0.5)])
def test_what_an_encoder_has_no_dropout_at(workers: Workers, site: Mapping[str, Any]) -> None:
    inputs = {"x": X, "z": X}
    arguments = ("tensorflow", RNN + "LSTMCell", "encoder_decoder", PAIR, [site])
    with pytest.raises(Unsupported, match=f"has no dropout at '{site['at']}'"):
        RemoteCall(workers.of("tf1.8"), *arguments, inputs=inputs, dtype="float32").run()


def test_a_second_call_eagerly_is_refused(workers: Workers) -> None:
    with pytest.raises(Unsupported, match="not called twice"):
        call(workers, ("tf1.8", RNN + "LSTMCell", WRAPPED, STEP, EAGER)).run(calls=2)


def slope(job: RemoteCall) -> tuple[float, float, float]:
    """Along a direction: (central difference of the cell's own outputs, by its own gradients, by the reference's)."""
    generator = np.random.default_rng(8)
    # Float32 outputs: between their rounding over the step, and the clips that the step crosses.
    step = 5e-4
    direction = {name: generator.standard_normal(array.shape) for name, array in job.job.weights.items()}

    def loss(sign: float) -> float:
        weights = {n: (a + sign * step * direction[n]).astype(np.float32) for n, a in job.job.weights.items()}
        found = job.run(weights=weights, cotangents={}).outputs
        return sum(float(np.vdot(job.job.cotangents[n].astype(np.float64), found[n])) for n in found)

    result = job.run()
    own = sum(float(np.vdot(result.gradients[name], direction[name])) for name in direction)
    reference = job.reference(result.draws)
    expected = sum(float(np.vdot(reference[f"d {name}"], direction[name])) for name in direction)
    return (loss(1.0) - loss(-1.0)) / (2.0 * step), own, expected


@pytest.mark.parametrize(
    ("environment", "name", "more", "right"),
    [
        ("tf1.3", "LSTMBlockCell", {"peepholes": True}, False),
        ("tf1.8", "LSTMBlockCell", {"peepholes": True}, True),
        ("tf1.8", "LSTMBlockCell", {"cell_clip": 0.2}, False),
        ("tf1.8", "LSTMCell", {"cell_clip": 0.2}, True),
        ("tf1.3", "LSTMCell", {"peepholes": True}, True),
    ],
)
def test_which_gradients_are_those_of_the_outputs(
    workers: Workers, environment: str, name: str, more: Mapping[str, Any], right: bool
) -> None:
    """1.3's LSTMBlockCell exchanges two peepholes in its backward pass; 1.8's does not see the clip there."""
    job = call(workers, (environment, RNN + name, {**FULL, **more}, (), {}))
    numeric, own, reference = slope(job)
    assert reference == pytest.approx(numeric, rel=5e-3, abs=5e-3)
    assert (abs(own - numeric) < 0.02 * abs(numeric)) == right
    result = job.run()
    assert (job.worst(result) <= 1.0) == right
    forward = call(workers, (environment, RNN + name, {**FULL, **more}, (), {}), gradients=False)
    assert forward.worst(forward.run()) <= 1.0


REFUSED: list[tuple[Case, str]] = [
    (("tf1.3", RNN + "LSTMCell", FULL, (), EAGER), "no eager execution"),
    (("tf1.8", RNN + "LSTMCell", FULL, STEP, {}), "set drop_leaving_state"),
    (("tf1.8", RNN + "LSTMCell", WRAPPED, [STEP[1], at("state.c", 0.5)], {}), "one state_keep_prob"),
    (("tf1.8", RNN + "LSTMCell", FULL, [at("output", 1.0)], {}), "no rate 1"),
    (("tf1.8", RNN + "LSTMCell", FULL, (), {**STATIC, "parallel_iterations": 4}), "elsewhere the steps run one after"),
    (("tf1.8", RNN + "LSTMCell", FULL, (), {**EAGER, "parallel_iterations": 4}), "elsewhere the steps run one after"),
    (("tf1.8", RNN + "BasicLSTMCell", {**FULL, "peepholes": True}, (), {}), "no setting peepholes"),
    (("tf1.3", RNN + "LSTMBlockCell", {**FULL, "cell_clip": 0.5}, (), {}), "clips c at 3"),
    (("tf1.8", KERAS, FULL, GATEWISE, {"implementation": 0}), "has no implementation 0"),
    (("tf1.3", OLD_KERAS, {**FULL, "bidirectional": True}, (), {}), "neither takes nor gives states"),
    (("tf1.8", OLD_KERAS, FULL, (), {}), "has no tf.contrib.keras"),
    (("tf2.0", RNN + "LSTMCell", FULL, (), {}), "name an environment"),
    (("tf1.3", OLD_GRU, FULL, (), {}), "resets before the product"),
    (("tf1.8", GRU, FULL, (), {"implementation": 0}), "has no implementation 0"),
    (("tf1.8", OLD_GRU, FULL, (), {}), "has no tf.contrib.keras"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[f"{case[1]}-{n}" for n, (case, _) in enumerate(REFUSED)])
def test_refused(workers: Workers, case: Case, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        call(workers, case).run()


def test_the_current_tensorflow_refuses_them() -> None:
    pytest.importorskip("tensorflow")
    from tests.frameworks.adapter_jobs import Call

    for name in (RNN + "LSTMCell", OLD_KERAS, KERAS):
        with pytest.raises(Unsupported, match=r"name an environment|has no tf\.contrib|Keras 3 here"):
            Call("tensorflow", name, "lstm", FULL, inputs={"x": X}, dtype="float32").run()


# Planted faults.


def test_faults_exceed_the_bound(workers: Workers) -> None:
    """Dropped c for kept c, a mask of another step, the state's order: each against the same reference."""
    job = call(workers, CASES[7])
    result = job.run()
    good = result.outputs
    assert job.worst(result._replace(outputs={**good, "h": good["c"], "c": good["h"]})) > 1.0
    for site, draw in result.draws.items():
        draws = {**result.draws, site: draw._replace(values=np.roll(draw.values, 1, axis=-2))}
        assert job.worst(result._replace(draws=draws)) > 1.0, site
    kept = np.ones_like(result.draws["state.c"].values)
    assert (
        job.worst(result._replace(draws={**result.draws, "state.c": result.draws["state.c"]._replace(values=kept)}))
        > 1.0
    )
