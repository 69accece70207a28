"""Masks of TensorFlow 1 (Python 3.6): graphs or, with the word `eager` as last argument, eager mode."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from recorder import Recorder, main

EAGER = sys.argv[-1] == "eager"
RATES = (0.5, 0.1, 0.3, 0.75)
SHAPES = ((3, 4), (0, 3), (1,), (1001,))
DTYPES = ("float32", "float64", "float16")
SEEDS = (0, 7, 2**31 + 5, -3)

State = tf.nn.rnn_cell.LSTMStateTuple
BATCH, STEPS, DEPTH, UNITS = 3, 4, 5, 6


def kept(y):
    return np.asarray(y, dtype=np.float64) != 0


def eager_dropout(out):
    for seed in SEEDS:
        for dtype in DTYPES:
            for rate in RATES:
                for shape in SHAPES + ((10**6,),) * (seed == 7 and rate == 0.3):
                    for options in ({}, {"op_seed": 5}):
                        tf.set_random_seed(seed)
                        for call in range(2):
                            y = tf.nn.dropout(tf.ones(shape, dtype=dtype), 1 - rate, seed=options.get("op_seed"))
                            out.add("tensorflow.nn.dropout", kept(y), seed, rate, dtype, call, eager=True, **options)


def graph_dropout(out):
    for seed in (None,) + SEEDS:
        for dtype in DTYPES:
            for rate in RATES:
                for shape in SHAPES + ((10**6,),) * (seed == 7 and rate == 0.3):
                    graph_dropouts(out, seed, dtype, rate, shape)


def shared(out):
    """One decision for several elements: the draw has the noise shape."""
    for seed in SEEDS:
        for shape in ((4, 1, 6), (1, 5, 1)):
            with tf.Graph().as_default():
                tf.set_random_seed(seed)
                y = tf.nn.dropout(tf.ones((4, 5, 6)), 0.7, noise_shape=shape, seed=3)
                with tf.Session() as session:
                    for call in range(2):
                        mask = kept(session.run(y))
                        out.add("tensorflow.nn.dropout", mask, seed, 0.3, call=call, op_seed=3, noise_shape=shape)


def graph_dropouts(out, seed, dtype, rate, shape):
    op_seeds = (0, 5, 2**31 + 9)
    options = {"global_seed": False} if seed is None else {}
    with tf.Graph().as_default():
        if seed is not None:
            tf.set_random_seed(seed)
        results = [tf.nn.dropout(tf.ones(shape, dtype=dtype), 1 - rate, seed=op_seed) for op_seed in op_seeds]
        with tf.Session() as session:
            for call in range(2):
                for op_seed, y in zip(op_seeds, session.run(results)):
                    out.add("tensorflow.nn.dropout", kept(y), seed or 0, rate, dtype, call, op_seed=op_seed, **options)
    if seed is None:
        return
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(seed)
        x = tf.ones(shape, dtype=dtype)
        count = graph._last_id
        y = tf.nn.dropout(x, 1 - rate)
        with tf.Session() as session:
            for call in range(2):
                out.add("tensorflow.nn.dropout", kept(session.run(y)), seed, rate, dtype, call, graph_ids=count)


class Ones(tf.nn.rnn_cell.RNNCell):
    """A cell whose output is its input and whose state is one, so that what dropout does to it can be seen."""

    state_size = State(UNITS, UNITS)
    output_size = DEPTH

    def __call__(self, inputs, state, scope=None):
        one = tf.ones([BATCH, UNITS])
        return inputs, State(one, one)


class Seen(tf.nn.rnn_cell.RNNCell):
    """A cell that emits output and states of another side by side."""

    state_size = State(UNITS, UNITS)
    output_size = DEPTH + 2 * UNITS

    def __init__(self, cell):
        self.cell = cell

    def __call__(self, inputs, state, scope=None):
        y, new = self.cell(inputs, state)
        return tf.concat([y, new[0], new[1]], 1), new


def wrapper(seed, slot, variational):
    options = {slot + "_keep_prob": 0.5}
    if variational:
        options.update(variational_recurrent=True, input_size=tf.TensorShape([DEPTH]), dtype=tf.float32)
    return tf.nn.rnn_cell.DropoutWrapper(Ones(), seed=seed, **options)


def unrolled(cell):
    state, seen = State(tf.ones([BATCH, UNITS]), tf.ones([BATCH, UNITS])), []
    for _ in range(STEPS):
        y, state = cell(tf.ones([BATCH, DEPTH]), state)
        seen.append(tf.concat([y, state[0], state[1]], 1))
    return seen


def wrapped(out):
    for global_seed in (None, 11):
        for seed in (0, 42, "abc", -1):
            for variational in (False, True):
                for slot in ("input", "state", "output"):
                    known = (global_seed, seed, slot, variational)
                    if EAGER:
                        if global_seed is not None:
                            tf.set_random_seed(global_seed)
                            cell = wrapper(seed, slot, variational)
                            for call in range(2):
                                note(out, known, "eager", call, unrolled(cell))
                        continue
                    for loop in ("static", "dynamic"):
                        in_graph(out, known, loop)


def in_graph(out, known, loop):
    global_seed, seed, slot, variational = known
    with tf.Graph().as_default():
        if global_seed is not None:
            tf.set_random_seed(global_seed)
        cell = wrapper(seed, slot, variational)
        if loop == "static":
            result = unrolled(cell)
        else:
            start = State(tf.ones([BATCH, UNITS]), tf.ones([BATCH, UNITS]))
            y, _ = tf.nn.dynamic_rnn(
                Seen(cell), tf.ones([STEPS, BATCH, DEPTH]), initial_state=start, parallel_iterations=1, time_major=True
            )
            result = tf.unstack(y)
        with tf.Session() as session:
            for call in range(2):
                note(out, known, loop, call, session.run(result))


def note(out, known, loop, call, seen):
    global_seed, seed, slot, variational = known
    bounds = {
        "input": (0, DEPTH),
        "output": (0, DEPTH),
        "state.c": (DEPTH, DEPTH + UNITS),
        "state.h": (DEPTH + UNITS, None),
    }
    for step in range(STEPS):
        for name, (low, high) in bounds.items():
            mask = kept(seen[step])[:, low:high]
            if not name.startswith(slot):
                continue
            if name == "state.c" and mask.all():
                assert not tf.__version__.startswith("1.3")
                continue  # 1.8 spares c
            options = {"slot": name, "step": step, "steps": STEPS, "variational": variational, "loop": loop}
            if isinstance(seed, str):
                options["wrapper_seed"] = seed
            if global_seed is not None:
                options["global_seed"] = global_seed
            number = 0 if isinstance(seed, str) else seed
            out.add("tensorflow.nn.rnn_cell.DropoutWrapper", mask, number, 0.5, "float32", call, **options)


def probe():
    out = Recorder(tensorflow=tf.__version__)
    if EAGER:
        tf.enable_eager_execution()
        eager_dropout(out)
    else:
        graph_dropout(out)
        shared(out)
    wrapped(out)
    return out


if __name__ == "__main__":
    main(probe)
