"""Masks of TensorFlow 2: eager, in functions, stateless, Generator. Runs on 2.0 too (Python 3.7)."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from recorder import Recorder, main

OLD = tf.__version__.startswith("2.0")
SEEDS = (0, 7, -5, 2**31 - 1, 2**31, 2**33 + 1, -(2**31))
DTYPES = ("float32", "float64", "float16", "bfloat16")
RATES = (0.5, 0.1, 0.37)
SHAPES = ((3, 4), (0, 3), (1,), (), (1001,))


def ones(shape, dtype="float32"):
    return tf.ones(shape, dtype=dtype)


def kept(y):
    return np.asarray(tf.cast(y, tf.float32)) != 0


def eager(out):
    for seed in SEEDS:
        for dtype in DTYPES:
            for rate in RATES:
                for shape in SHAPES:
                    for op_seed in (None, 0, 3, 2**31 + 5, -1):
                        options = {} if op_seed is None else {"op_seed": op_seed}
                        tf.random.set_seed(seed)
                        for call in range(3):
                            mask = kept(tf.nn.dropout(ones(shape, dtype), rate, seed=op_seed))
                            out.add("tensorflow.nn.dropout", mask, seed, rate, dtype, call, **options)
        # Sizes before matter where ops share an op seed; where they don't, only their number does.
        tf.random.set_seed(seed)
        tf.nn.dropout(ones((17,)), 0.5, seed=3)
        out.add(
            "tensorflow.nn.dropout", kept(tf.nn.dropout(ones((50,)), 0.5, seed=3)), seed, 0.5, op_seed=3, before=[17]
        )
        tf.random.set_seed(seed)
        tf.random.uniform((17,))
        tf.random.normal((5,))
        out.add("tensorflow.nn.dropout", kept(tf.nn.dropout(ones((50,)), 0.5)), seed, 0.5, before=[17, 5])
    for dtype in DTYPES:
        tf.random.set_seed(1)
        out.add("tensorflow.nn.dropout", kept(tf.nn.dropout(ones((10**6,), dtype), 0.3)), 1, 0.3, dtype)


def shared(out):
    """One decision for several elements: the draw has the noise shape."""
    x = ones((4, 5, 6))
    for seed in SEEDS[:3]:
        for shape in ((4, 1, 6), (1, 5, 1)):
            for op_seed in (None, 3):
                options = {"noise_shape": shape} if op_seed is None else {"noise_shape": shape, "op_seed": op_seed}
                tf.random.set_seed(seed)
                for call in range(2):
                    mask = kept(tf.nn.dropout(x, 0.3, noise_shape=shape, seed=op_seed))
                    out.add("tensorflow.nn.dropout", mask, seed, 0.3, call=call, **options)
            if OLD:
                continue
            function = tf.function(lambda x, shape=shape: tf.nn.dropout(x, 0.3, noise_shape=shape))
            tf.random.set_seed(seed)
            for call in range(2):
                out.add("tensorflow.function", kept(function(x)), seed, 0.3, call=call, noise_shape=shape)
            y = tf.nn.experimental.stateless_dropout(x, 0.3, noise_shape=shape, seed=[seed, 4])
            out.add("tensorflow.nn.experimental.stateless_dropout", kept(y), seed, 0.3, noise_shape=shape, seed2=4)


def two_unseeded_one_seeded(rate):
    nodes = []

    @tf.function
    def function(x):
        graph = tf.compat.v1.get_default_graph()
        results = []
        for _ in range(2):
            nodes.append(graph._last_id if OLD else None)
            results.append(tf.nn.dropout(x, rate))
        return results + [tf.nn.dropout(x, rate, seed=9)]

    return function, nodes


def traced(out):
    for seed in SEEDS:
        for dtype in DTYPES:
            for rate in RATES:
                function, nodes = two_unseeded_one_seeded(rate)
                tf.random.set_seed(seed)
                for call in range(2):
                    *unseeded, seeded = function(ones((101,), dtype))
                    for node, y in enumerate(unseeded):
                        options = {"graph_ids": nodes[node]} if OLD else {"node": node}
                        out.add("tensorflow.function", kept(y), seed, rate, dtype, call, **options)
                    out.add("tensorflow.function", kept(seeded), seed, rate, dtype, call, op_seed=9)
    if OLD:
        return

    @tf.function
    def inner(x):
        return tf.nn.dropout(x, 0.5)

    @tf.function
    def outer(x):
        return tf.nn.dropout(x, 0.5), inner(x), inner(x), tf.nn.dropout(x, 0.5)

    tf.random.set_seed(1)
    for call in range(2):
        # A nested function numbers its nodes from 0 again, and each call of it has kernels of its own.
        for node, y in zip((0, 0, 0, 1), outer(ones((101,)))):
            out.add("tensorflow.function", kept(y), 1, 0.5, call=call, node=node)


def stateless(out):
    for dtype in DTYPES:
        for rate in RATES:
            for shape in SHAPES:
                for first, second in ((1, 2), (-3, 2**40), (0, 0), (-(2**63), 2**63 - 1)):
                    seed = tf.constant((first, second), tf.int64)
                    mask = kept(tf.nn.experimental.stateless_dropout(ones(shape, dtype), rate, seed=seed))
                    out.add("tensorflow.nn.experimental.stateless_dropout", mask, first, rate, dtype, seed2=second)
        for shape in ((3, 4), (1,), (10**6,)):
            compiled = tf.function(
                lambda x: tf.nn.experimental.stateless_dropout(x, 0.3, seed=[5, 6]), jit_compile=True
            )
            mask = kept(compiled(ones(shape, dtype)))
            out.add("tensorflow.nn.experimental.stateless_dropout", mask, 5, 0.3, dtype, seed2=6, xla=True)


def generators(out):
    for seed in SEEDS + (2**64 - 1, 2**64 + 3, -(2**70)):
        for dtype in DTYPES:
            for shape in ((3, 4), (1,), (0,), (1001,)):
                generator = tf.random.Generator.from_seed(seed)
                for call in range(2):
                    mask = np.asarray(generator.uniform(shape, dtype=dtype) >= tf.cast(0.37, dtype))
                    out.add("tensorflow.random.Generator", mask, seed, 0.37, dtype, call)


def probe():
    out = Recorder(tensorflow=tf.__version__)
    eager(out)
    shared(out)
    traced(out)
    if not OLD:
        stateless(out)
        generators(out)
    return out


if __name__ == "__main__":
    main(probe)
