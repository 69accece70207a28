"""The TensorFlow tap beside the contract of taps: several loops, a function called twice; lean imports."""

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from harness.frameworks.tensorflow.arrays import HEAVY, lean_imports  # noqa: E402
from harness.frameworks.tensorflow.tap import TensorFlowTap  # noqa: E402
from harness.tape import BERNOULLI, Draw, TapeMismatch, decisions  # noqa: E402

X = tf.ones((2, 3))
KEEP = np.array([[True, False, True], [False, False, True]])


def test_two_loops_need_their_lengths() -> None:
    def loop(steps: int) -> Any:
        return tf.while_loop(lambda step, _: step < steps, lambda step, x: (step + 1, tf.nn.dropout(x, 0.3)), (0, X))

    def run() -> Any:
        return loop(3), loop(2)

    draws = [Draw(BERNOULLI, KEEP)] * (3 + 2)
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
    with pytest.raises(TapeMismatch, match="twice"), TensorFlowTap([Draw(BERNOULLI, KEEP)] * 2):
        print(run(), run())


def test_lean_imports_hide_only_what_is_not_imported_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, HEAVY[0], raising=False)
    monkeypatch.setitem(sys.modules, HEAVY[1], np)
    with lean_imports():
        assert sys.modules[HEAVY[0]] is None
        assert sys.modules[HEAVY[1]] is np
    assert HEAVY[0] not in sys.modules
    assert sys.modules[HEAVY[1]] is np


def test_initial_values_of_variables_are_those_without_a_tap() -> None:
    def variable() -> Any:
        tf.random.set_seed(1)
        return tf.Variable(lambda: tf.random.normal((2, 3))).numpy()

    plain = variable()
    with TensorFlowTap():
        np.testing.assert_array_equal(variable(), plain)
