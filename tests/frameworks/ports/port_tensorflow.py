"""The same in TensorFlow."""

import tensorflow as tf


def run(case):
    x = case.inputs["x"]
    batch, time, features = x.shape
    kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    rate = case.rate("input")
    if rate:
        x = tf.nn.dropout(x, rate, noise_shape=(batch, 1, features))
    h = c = tf.zeros((batch, recurrent.shape[0]), x.dtype)
    steps = []
    for t in range(time):
        i, f, g, o = tf.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        steps.append(h)
    rate = case.rate("output")
    if rate:
        steps = [tf.nn.dropout(step, rate) for step in steps]
    return {"y": tf.stack(steps, axis=1), "h": h, "c": c}
