"""TensorFlow's random border: how it is asked, eagerly and traced, and the random ops that dropout is made of."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from harness.frameworks.tensorflow.tap import TensorFlowTap
from harness.tape import UNIFORM

#: The lowest rate that is asked, and 1 minus it.
LOWEST = dict.fromkeys(("float16", "bfloat16", "float32", "float64"), 0.004)


class Border:
    Tap, kind, rule = TensorFlowTap, UNIFORM, "u >= rate"

    def __init__(self, dtype: str, traced: bool) -> None:
        self.dtype, self.wrap = dtype, tf.function if traced else lambda function: function

    def ones(self, shape: tuple[int, ...], rate: float) -> Any:
        return tf.nn.dropout(tf.ones(shape, self.dtype), rate)

    def normal(self, shape: tuple[int, ...]) -> Any:
        return tf.random.normal(shape, dtype=self.dtype)

    def loop(self, steps: int, body: Callable[[Any], list[Any]]) -> Any:
        def step(index: Any, rows: Any) -> Any:
            return index + 1, rows.write(index, tf.stack(body(self)))

        # Iterations may run at once.
        rows = tf.TensorArray(self.dtype, size=steps)
        _, rows = tf.while_loop(lambda index, _: index < steps, step, (0, rows), parallel_iterations=32)
        return rows.stack()

    def run(self, program: Callable[[Any], list[Any]], seed: int, tap: Any) -> list[np.ndarray]:
        tf.random.set_seed(seed)
        return [tensor.numpy() for tensor in self.wrap(lambda: list(program(self)))()]


HELD = tf.raw_ops.RandomUniform
GENERATOR = tf.random.Generator.from_seed(3)
S = (2, 3)


def generator(self: Border) -> Any:
    GENERATOR.reset_from_seed(3)
    return GENERATOR.uniform(S, dtype=self.dtype)


FUNCTIONS = {
    "dropout": (lambda self: tf.nn.dropout(tf.ones(S, self.dtype), 0.4), S, 0.4),
    "normal": (lambda self: tf.random.normal(S, 2.0, 0.5, self.dtype), S, (2.0, 0.5)),
    "stateless uniform": (lambda self: tf.random.stateless_uniform(S, [1, 2], dtype=self.dtype), S, 0.4),
    "generator": (generator, S, 0.4),
    "raw op": (lambda self: tf.raw_ops.RandomUniform(shape=S, dtype=self.dtype), S, 0.4),
    "held raw op": (lambda self: HELD(shape=S, dtype=self.dtype), S, 0.4),
    "raw stateless op": (
        lambda self: tf.raw_ops.StatelessRandomUniformV2(shape=S, key=[1], counter=[0, 0], alg=1, dtype=self.dtype),
        S, 0.4),
}  # fmt: skip

#: These take no seed from TensorFlow's own.
UNSEEDED = {"raw op", "held raw op"}

UNKNOWN = {
    "shuffle": lambda: tf.random.shuffle([1, 2, 3]),
    "truncated": lambda: tf.random.truncated_normal((2,)),
    "integers": lambda: tf.random.uniform((2,), maxval=5, dtype=tf.int32),
    "gamma": lambda: tf.random.stateless_gamma((2,), seed=[1, 2], alpha=1.0),
    "not deterministic": lambda: tf.random.Generator.from_non_deterministic_state(),
    "raw shuffle": lambda: tf.raw_ops.RandomShuffle(value=tf.ones(3)),
}
REFUSAL = "no dropout is known to use it"


def dense() -> None:
    if importlib.util.find_spec("tf_keras") is None:
        return
    import tf_keras

    tf_keras.layers.Dense(3, kernel_initializer="random_normal")(tf.ones(S))


SILENT = {
    "algorithm": lambda: tf.raw_ops.StatelessRandomGetAlg(),
    "variable": lambda: tf.Variable(lambda: tf.random.normal(S)),
    "layer": dense,
    "rate 0": lambda: tf.nn.dropout(tf.ones(S), 0.0),
}
