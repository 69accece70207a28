"""A dropout layer beside layers whose initial weights are drawn in the call, in tf_keras; and raw ops."""

import tensorflow as tf
import tf_keras


def built_in_the_call(case):
    x = case.inputs["x"]
    tf_keras.layers.Dense(3, kernel_initializer="random_normal")(x)
    tf_keras.layers.LSTM(3)(x[None] if x.ndim == 2 else x)
    return {"y": tf_keras.layers.Dropout(case.rate("input"))(x, training=case.training)}


def raw(case):
    """Inverted dropout from `tf.raw_ops`, which no function of tf.random stands before."""
    x, rate = case.inputs["x"], case.rate("input")
    if not case.training:
        return {"y": x}
    kept = tf.raw_ops.RandomUniform(shape=tf.shape(x), dtype=x.dtype, seed=case.seed + 1, seed2=7) >= rate
    return {"y": tf.where(kept, x / (1 - rate), 0 * x)}


def raw_beside(case):
    """Raw draws that are no dropout of the case."""
    x = case.inputs["x"]
    noise = tf.raw_ops.RandomStandardNormal(shape=tf.shape(x), dtype=x.dtype, seed=1) if case.training else 0.0
    return {"y": tf.nn.dropout(x, case.rate("input")) + 0.01 * noise if case.training else x}


def noise_for_a_weight(case):
    """A draw in every call that is no initial value, though a layer is built beside it."""
    x = case.inputs["x"]
    layer = tf_keras.layers.Dense(3)
    layer(x)
    layer.kernel.assign_add(tf.random.normal(layer.kernel.shape))
    return {"y": tf_keras.layers.Dropout(case.rate("input"))(x, training=case.training)}
