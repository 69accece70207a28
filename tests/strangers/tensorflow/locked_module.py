import tensorflow as tf


class LockedLSTM(tf.Module):
    """LSTM with locked (variational) dropout on inputs and hidden state."""

    def __init__(self, kernel, recurrent_kernel, bias, input_rate, state_rate, name=None):
        super().__init__(name=name)
        self.kernel = kernel
        self.recurrent_kernel = recurrent_kernel
        self.bias = bias
        self.input_rate = input_rate
        self.state_rate = state_rate
        self.units = recurrent_kernel.shape[0]

    def _mask(self, shape, rate, dtype):
        return tf.nn.dropout(tf.ones(shape, dtype), rate=rate)

    @tf.function
    def __call__(self, inputs, training):
        batch, steps = inputs.shape[0], inputs.shape[1]
        if training:
            inputs = inputs * self._mask((batch, 1, inputs.shape[2]), self.input_rate, inputs.dtype)
            state_mask = self._mask((batch, self.units), self.state_rate, inputs.dtype)
        else:
            state_mask = tf.ones((batch, self.units), inputs.dtype)
        h = tf.zeros((batch, self.units), inputs.dtype)
        c = tf.zeros((batch, self.units), inputs.dtype)
        ys = tf.TensorArray(inputs.dtype, size=steps)
        for t in tf.range(steps):
            z = tf.matmul(inputs[:, t], self.kernel) + tf.matmul(h * state_mask, self.recurrent_kernel) + self.bias
            i, f, g, o = tf.split(z, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            ys = ys.write(t, h)
        return tf.transpose(ys.stack(), [1, 0, 2]), h, c


def run(case):
    w = case.weights
    layer = LockedLSTM(
        w["kernel"], w["recurrent_kernel"], w["bias"], case.rate("input"), case.rate("state.h"), name="locked"
    )
    y, h, c = layer(case.inputs["x"], training=case.training)
    return {"y": y, "h": h, "c": c}
