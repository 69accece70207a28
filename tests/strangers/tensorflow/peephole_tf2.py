from __future__ import print_function
import tensorflow as tf


def lstm_cell(i, o, state, P):
    """Assignment 6 style: i = input, o = previous output."""
    with tf.name_scope("lstm_cell"):
        gates = tf.matmul(i, P["kernel"]) + tf.matmul(o, P["recurrent_kernel"]) + P["bias"]
        gi, gf, gu, go = tf.split(gates, 4, axis=1)
        input_gate = tf.sigmoid(gi + P["peephole_i"] * state)
        forget_gate = tf.sigmoid(gf + P["peephole_f"] * state)
        output_gate = tf.sigmoid(go + P["peephole_o"] * state)
        state = forget_gate * state + input_gate * tf.tanh(gu)
        return output_gate * tf.tanh(state), state


def run(case):
    x = case.inputs["x"]
    batch = x.get_shape().as_list()[0]
    output = state = tf.zeros([batch, case.config["units"]], x.dtype)
    outputs = list()
    for i in tf.unstack(x, axis=1):
        output, state = lstm_cell(i, output, state, case.weights)
        outputs.append(output)
    y = tf.stack(outputs, 1)
    if case.training:
        y = tf.nn.dropout(y, case.rate("output"))
    return {"y": y, "h": output, "c": state}
