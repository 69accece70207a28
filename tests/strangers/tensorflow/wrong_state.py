import tensorflow as tf


class RecurrentDropoutLSTM:
    """LSTM with recurrent dropout. state = [c, h] like in LSTMStateTuple."""

    def __init__(self, units, rate):
        self.units = units
        self.rate = rate

    def get_initial_state(self, batch_size, dtype):
        return [tf.zeros([batch_size, self.units], dtype) for _ in range(2)]

    def call(self, inputs, states, weights, training=None):
        c_prev, h_prev = states
        if training:
            c_prev = tf.nn.dropout(c_prev, rate=self.rate)
        z = tf.linalg.matmul(inputs, weights["kernel"])
        z += tf.linalg.matmul(h_prev, weights["recurrent_kernel"])
        z = tf.nn.bias_add(z, weights["bias"])
        z0, z1, z2, z3 = tf.split(z, num_or_size_splits=4, axis=1)
        c = tf.sigmoid(z1) * c_prev + tf.sigmoid(z0) * tf.tanh(z2)
        h = tf.sigmoid(z3) * tf.tanh(c)
        return h, [c, h]


def run(case):
    cell = RecurrentDropoutLSTM(case.config["units"], case.rate("state.h"))
    x = case.inputs["x"]
    states = cell.get_initial_state(x.shape[0], x.dtype)
    outputs = []
    for x_t in tf.unstack(x, axis=1):
        out, states = cell.call(x_t, states, case.weights, training=case.training)
        outputs.append(out)
    return {"y": tf.stack(outputs, axis=1), "h": states[1], "c": states[0]}
