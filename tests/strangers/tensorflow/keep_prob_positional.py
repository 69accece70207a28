# migrated from TF1 with the upgrade script, tidied by hand
import tensorflow as tf


def lstm_layer(inputs, weights, keep_prob):
    xs = tf.unstack(inputs, axis=1)
    num_units = weights["recurrent_kernel"].shape[0]
    h = tf.zeros([inputs.shape[0], num_units], inputs.dtype)
    c = tf.zeros_like(h)
    outputs = []
    for x in xs:
        gates = tf.matmul(x, weights["kernel"]) + tf.matmul(h, weights["recurrent_kernel"])
        gates = tf.nn.bias_add(gates, weights["bias"])
        i, f, j, o = tf.split(value=gates, num_or_size_splits=4, axis=1)
        c = c * tf.sigmoid(f) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        outputs.append(h)
    outputs = tf.stack(outputs, axis=1)
    if keep_prob < 1.0:
        outputs = tf.nn.dropout(outputs, keep_prob)
    return outputs, h, c


def run(case):
    keep_prob = 1.0 - case.rate("output")
    y, h, c = lstm_layer(case.inputs["x"], case.weights, keep_prob)
    return {"y": y, "h": h, "c": c}
