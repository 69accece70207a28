import tensorflow as tf
import tf_keras as keras


class Tagger(keras.layers.Layer):
    """LSTM over frames followed by dropout; the weights are handed in by the trainer."""

    def __init__(self, units, rate, seed, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dropout = keras.layers.Dropout(rate, seed=seed, dtype=kwargs["dtype"])

    def lstm(self, x, kernel, recurrent_kernel, bias):
        h = tf.zeros((x.shape[0], self.units), x.dtype)
        c = tf.zeros((x.shape[0], self.units), x.dtype)
        seq = []
        for t in range(x.shape[1]):
            z = keras.backend.dot(x[:, t], kernel) + keras.backend.dot(h, recurrent_kernel)
            z = keras.backend.bias_add(z, bias)
            z = tf.split(z, 4, axis=1)
            c = tf.sigmoid(z[1]) * c + tf.sigmoid(z[0]) * tf.tanh(z[2])
            h = tf.sigmoid(z[3]) * tf.tanh(c)
            seq.append(h)
        return tf.stack(seq, axis=1), h, c

    def call(self, inputs, training=None):
        y, h, c = self.lstm(*inputs)
        y = self.dropout(y, training=True)
        return y, h, c


def run(case):
    rate = [site["rate"] for site in case.dropout if site["at"] == "output"][0]
    layer = case.keep(lambda: Tagger(case.config["units"], rate, case.seed, dtype=case.dtype))
    w = case.weights
    y, h, c = layer(
        [case.inputs["x"], w["kernel"], w["recurrent_kernel"], w["bias"]], training=case.training
    )
    return {"y": y, "h": h, "c": c}
