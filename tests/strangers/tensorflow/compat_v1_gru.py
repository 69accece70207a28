"""GRU in TensorFlow 1 style, running on compat.v1 (keep_prob and all)."""

import tensorflow.compat.v1 as tf


class GRUCell(object):
    def __init__(self, num_units, weights):
        self._num_units = num_units
        # gates/kernel holds [r, u], candidate/kernel the rest
        k, r = weights["kernel"], weights["recurrent_kernel"]
        u_k, r_k, c_k = tf.split(k, 3, axis=1)
        u_r, r_r, c_r = tf.split(r, 3, axis=1)
        u_b, r_b, c_b = tf.split(weights["bias"], 3)
        self._gate_kernel = tf.concat([tf.concat([r_k, u_k], 1), tf.concat([r_r, u_r], 1)], 0)
        self._gate_bias = tf.concat([r_b, u_b], 0)
        self._candidate_kernel = tf.concat([c_k, c_r], 0)
        self._candidate_bias = c_b

    def __call__(self, inputs, state):
        gate_inputs = tf.matmul(tf.concat([inputs, state], 1), self._gate_kernel)
        gate_inputs = tf.nn.bias_add(gate_inputs, self._gate_bias)
        value = tf.sigmoid(gate_inputs)
        r, u = tf.split(value=value, num_or_size_splits=2, axis=1)
        candidate = tf.matmul(tf.concat([inputs, r * state], 1), self._candidate_kernel)
        c = tf.tanh(tf.nn.bias_add(candidate, self._candidate_bias))
        new_h = u * state + (1 - u) * c
        return new_h, new_h


def run(case):
    cell = GRUCell(case.config["units"], case.weights)
    x = case.inputs["x"]
    state = tf.zeros([x.shape[0], case.config["units"]], x.dtype)
    keep_prob = 1.0 - case.rate("output")
    outputs = []
    for x_t in tf.unstack(x, axis=1):
        out, state = cell(x_t, state)
        outputs.append(tf.nn.dropout(out, keep_prob=keep_prob) if keep_prob < 1 else out)
    return {"y": tf.stack(outputs, axis=1), "h": state}
