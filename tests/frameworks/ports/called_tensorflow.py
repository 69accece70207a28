"""Dropout in TensorFlow: a mask that is kept, a function that is called again, and time-major draws."""

import tensorflow as tf


class Locked(tf.Module):
    mask = None

    def __call__(self, x, rate):
        if self.mask is None:
            self.mask = tf.nn.dropout(tf.ones_like(x), rate)
        return x * self.mask


def cached(case):
    x = case.inputs["x"]
    return {"y": case.keep(Locked)(x, case.rate("input")) if case.training else x}


def in_a_function(case):
    def make():
        return tf.function(lambda x: tf.nn.dropout(x, case.rate("input")))

    return {"y": case.keep(make)(case.inputs["x"])}


def initialised(case):
    case.keep(lambda: tf.random.uniform((3, 4)))
    return {"y": tf.nn.dropout(case.inputs["x"], case.rate("input"))}


def time_major(case, named=True):
    y = tf.transpose(case.inputs["x"], [1, 0, 2])
    if named:
        with case.site("input", axes=("time", "batch", "features")):
            y = tf.nn.dropout(y, case.rate("input"))
    else:
        y = tf.nn.dropout(y, case.rate("input"))
    return {"y": tf.transpose(y, [1, 0, 2])}


def unnamed(case):
    return time_major(case, named=False)


def named_in_a_function(case):
    return {"y": tf.function(lambda: time_major(case)["y"])()}


def step_by_step(case):
    steps = []
    for step in tf.unstack(case.inputs["x"], axis=1):
        with case.site("input"):
            steps.append(tf.nn.dropout(step, case.rate("input")))
    return {"y": tf.stack(steps, 1)}
