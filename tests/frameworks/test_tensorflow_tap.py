"""The TensorFlow tap: what it records and replays, eagerly, in functions and in loops; nothing is drawn unseen."""

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from harness.frameworks.tensorflow.arrays import HEAVY, lean_imports  # noqa: E402
from harness.frameworks.tensorflow.tap import TensorFlowTap, extreme  # noqa: E402
from harness.tape import BERNOULLI, NORMAL, Draw, TapeMismatch, decisions  # noqa: E402

X = tf.ones((2, 3))
KEEP = np.array([[True, False, True], [False, False, True]])


def bernoulli(keep: Any) -> Draw:
    return Draw(BERNOULLI, np.asarray(keep))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("rate", [0.004, 0.3, 0.996])
def test_extremes_decide_whatever_the_rate(dtype: str, rate: float) -> None:
    u = extreme(KEEP, tf.as_dtype(dtype).as_numpy_dtype(0).dtype)
    assert u.dtype.name == dtype
    assert float(u.max()) < 1.0
    np.testing.assert_array_equal(decisions(Draw("uniform", u, "u >= rate"), rate), KEEP)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "traced"])
def test_record_and_replay(wrap: Any) -> None:
    with TensorFlowTap() as tap:
        y = wrap(lambda x: tf.nn.dropout(x, 0.3))(X)
    (draw,) = tap.draws
    assert (draw.kind, draw.rule, draw.values.dtype) == ("uniform", "u >= rate", np.float32)
    np.testing.assert_array_equal(y.numpy() != 0, decisions(draw, 0.3))
    with TensorFlowTap([bernoulli(KEEP)]) as tap:
        y = wrap(lambda x: tf.nn.dropout(x, 0.3))(X)
    np.testing.assert_array_equal(y.numpy() != 0, KEEP)
    assert tap.replay == []


def test_recording_changes_no_value() -> None:
    def values() -> Any:
        tf.random.set_seed(5)
        return tf.function(lambda: (tf.nn.dropout(X, 0.3), tf.random.normal((3,))))()

    plain = values()
    with TensorFlowTap() as tap:
        tapped = values()
    for before, after in zip(plain, tapped, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy())
    np.testing.assert_array_equal(tap.draws[1].values, tapped[1].numpy())


def test_normals_are_standard() -> None:
    with TensorFlowTap([Draw(NORMAL, np.array([0.5, -2.0]))]):
        value = tf.random.normal((2,), mean=1.0, stddev=3.0)
    np.testing.assert_array_equal(value.numpy(), [2.5, -5.0])


def test_a_stateless_draw_and_a_generator_are_seen() -> None:
    with TensorFlowTap() as tap:
        one = tf.random.stateless_uniform((4,), seed=[1, 2])
        two = tf.random.Generator.from_seed(3).uniform((4,))
    np.testing.assert_array_equal([draw.values for draw in tap.draws], [one.numpy(), two.numpy()])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: tf.random.shuffle([1, 2, 3]),
        lambda: tf.random.truncated_normal((2,)),
        lambda: tf.random.uniform((2,), maxval=5, dtype=tf.int32),
        lambda: tf.random.stateless_gamma((2,), seed=[1, 2], alpha=1.0),
        lambda: tf.random.Generator.from_non_deterministic_state(),
    ],
    ids=["shuffle", "truncated", "integers", "gamma", "nondeterministic"],
)
def test_any_other_random_op_is_refused(draw: Any) -> None:
    with pytest.raises(TapeMismatch, match="no dropout is known to use it"), TensorFlowTap():
        draw()


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "traced"])
def test_what_does_not_fit_the_tape(wrap: Any) -> None:
    """Too many draws, another shape, another kind: TapeMismatch, through TensorFlow's own wrapping of errors, too."""
    run = wrap(lambda: tf.nn.dropout(X, 0.3))
    with pytest.raises(TapeMismatch, match="ended"), TensorFlowTap([]):
        run()
    with pytest.raises(TapeMismatch, match="where the tape has"), TensorFlowTap([bernoulli(KEEP.T)]):
        wrap(lambda: tf.nn.dropout(X, 0.3))()
    with pytest.raises(TapeMismatch, match="where the tape has"), TensorFlowTap([Draw(NORMAL, np.zeros((2, 3)))]):
        wrap(lambda: tf.nn.dropout(X, 0.3))()


def test_draws_left_on_the_tape_are_left() -> None:
    with TensorFlowTap([bernoulli(KEEP), bernoulli(~KEEP)]) as tap:
        tf.nn.dropout(X, 0.3)
    assert tap.replay is not None
    assert len(tap.replay) == 1


def looped(steps: int) -> Any:
    def run() -> Any:
        before = tf.nn.dropout(X, 0.3)
        rows = tf.TensorArray(tf.float32, size=steps)

        def body(step: Any, rows: Any) -> Any:
            one, two = tf.nn.dropout(X, 0.3), tf.nn.dropout(X, 0.6)
            return step + 1, rows.write(step, tf.stack([one, two]))

        _, rows = tf.while_loop(lambda step, _: step < steps, body, (0, rows), parallel_iterations=32)
        return before, rows.stack(), tf.nn.dropout(X, 0.3)

    return tf.function(run)


def test_a_loop_is_recorded_step_by_step() -> None:
    """Iterations may run at once: the record is in program order all the same, before, steps, after."""
    for _ in range(5):
        with TensorFlowTap() as tap:
            before, rows, after = looped(6)()
        kept = [decisions(draw, rate) for draw, rate in zip(tap.draws, [0.3, *[0.3, 0.6] * 6, 0.3], strict=True)]
        np.testing.assert_array_equal(before.numpy() != 0, kept[0])
        np.testing.assert_array_equal(rows.numpy().reshape(12, 2, 3) != 0, kept[1:-1])
        np.testing.assert_array_equal(after.numpy() != 0, kept[-1])


def test_a_loop_is_replayed_step_by_step() -> None:
    masks = np.random.default_rng(0).random((14, 2, 3)) < 0.5
    with TensorFlowTap([bernoulli(mask) for mask in masks]) as tap:
        before, rows, after = looped(6)()
    assert tap.replay == []
    np.testing.assert_array_equal(before.numpy() != 0, masks[0])
    np.testing.assert_array_equal(rows.numpy().reshape(12, 2, 3) != 0, masks[1:-1])
    np.testing.assert_array_equal(after.numpy() != 0, masks[-1])


def test_two_loops_need_their_lengths() -> None:
    def run() -> Any:
        return looped(3)(), looped(2)()

    draws = [bernoulli(KEEP)] * (8 + 6)
    with pytest.raises(TapeMismatch, match="several loops of unknown length"), TensorFlowTap(draws):
        tf.function(run)()
    with TensorFlowTap(draws) as tap:
        tap.program.trips = (3, 2)
        tf.function(run)()
    assert tap.replay == []


def test_a_function_called_twice() -> None:
    """Its nodes draw once a call, and are recorded call by call; a tape has no place for the second one."""
    run = tf.function(lambda: (tf.nn.dropout(X, 0.3), tf.nn.dropout(X, 0.3)))
    with TensorFlowTap() as tap:
        found = [*run(), *run()]
    for value, draw in zip(found, tap.draws, strict=True):
        np.testing.assert_array_equal(value.numpy() != 0, decisions(draw, 0.3))
    run = tf.function(lambda: tf.nn.dropout(X, 0.3))
    with pytest.raises(TapeMismatch, match="twice"), TensorFlowTap([bernoulli(KEEP)] * 2):
        print(run(), run())


def test_the_border_is_restored() -> None:
    from tensorflow.python.ops import gen_random_ops

    before = gen_random_ops.random_uniform
    with pytest.raises(ValueError, match="rate"), TensorFlowTap():
        tf.nn.dropout(X, 2.0 if gen_random_ops.random_uniform is not before else 0.5)
    assert gen_random_ops.random_uniform is before


def test_lean_imports_hide_only_what_is_not_imported_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, HEAVY[0], raising=False)
    monkeypatch.setitem(sys.modules, HEAVY[1], np)
    with lean_imports():
        assert sys.modules[HEAVY[0]] is None
        assert sys.modules[HEAVY[1]] is np
    assert HEAVY[0] not in sys.modules
    assert sys.modules[HEAVY[1]] is np


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "traced"])
def test_raw_ops_are_seen_too(wrap: Any) -> None:
    held = tf.raw_ops.RandomUniform

    def draw() -> Any:
        drawn = tf.raw_ops.RandomUniform(shape=[2, 3], dtype=tf.float32), held(shape=[2, 3], dtype=tf.float32)
        return *drawn, tf.raw_ops.StatelessRandomUniformV2(shape=[4], key=[1], counter=[0, 0], alg=1)

    with TensorFlowTap() as tap:
        values = wrap(draw)()
    assert [one.kind for one in tap.draws] == ["uniform"] * 3
    for one, value in zip(tap.draws, values, strict=True):
        np.testing.assert_array_equal(one.values, value.numpy())
    with TensorFlowTap([bernoulli(KEEP), bernoulli(~KEEP), bernoulli([True] * 4)]):
        first, second, _ = wrap(draw)()
    np.testing.assert_array_equal(first.numpy() > 0.5, KEEP)
    np.testing.assert_array_equal(second.numpy() > 0.5, ~KEEP)
    with TensorFlowTap(), pytest.raises(TapeMismatch, match="random_shuffle"):
        tf.raw_ops.RandomShuffle(value=X)
    tf.raw_ops.RandomShuffle(value=X)  # outside of a tap all is as it was
    with TensorFlowTap() as tap:
        tf.raw_ops.StatelessRandomGetAlg()
    assert tap.draws == []


@pytest.mark.parametrize("library", ["tf_keras", "tensorflow"])
def test_initial_values_of_variables_are_no_draws(library: str) -> None:
    module = pytest.importorskip(library)

    def variable() -> Any:
        if library == "tensorflow":
            return tf.Variable(lambda: tf.random.normal((2, 3))) * 1
        return module.layers.Dense(3, kernel_initializer="random_normal")(X)

    tf.random.set_seed(1)
    plain = variable()
    tf.random.set_seed(1)
    with TensorFlowTap() as tap:
        tapped = variable()
        dropped = tf.nn.dropout(X, 0.5)
    if library == "tensorflow":  # tf_keras seeds its initializers from Python's generator
        np.testing.assert_array_equal(plain.numpy(), tapped.numpy())
    assert len(tap.draws) == 1
    np.testing.assert_array_equal(tap.draws[0].values >= 0.5, dropped.numpy() != 0)
    with TensorFlowTap([bernoulli(KEEP)]) as tap:
        variable()
        np.testing.assert_array_equal(tf.nn.dropout(X, 0.5).numpy() != 0, KEEP)
