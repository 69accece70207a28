import tensorflow as tf


class VariationalLSTMCell(tf.Module):
    def __init__(self, weights, dropout):
        super().__init__()
        self.W = weights["kernel"]
        self.U = weights["recurrent_kernel"]
        self.b = weights["bias"]
        self.dropout = dropout

    def __call__(self, x, h, c, training=False):
        if training and self.dropout > 0:
            keep = 1.0 - self.dropout
            mask = tf.cast(tf.random.uniform(tf.shape(x)) < keep, x.dtype) / keep
            x = x * mask
        i, f, c_bar, o = tf.split(x @ self.W + h @ self.U + self.b, 4, axis=-1)
        c = tf.nn.sigmoid(f) * c + tf.nn.sigmoid(i) * tf.nn.tanh(c_bar)
        h = tf.nn.sigmoid(o) * tf.nn.tanh(c)
        return h, c


def run(case):
    x = case.inputs["x"]
    cell = VariationalLSTMCell(case.weights, case.rate("input"))
    h = c = tf.zeros((x.shape[0], case.config["units"]), x.dtype)
    hs = []
    for step in range(x.shape[1]):
        h, c = cell(x[:, step, :], h, c, training=case.training)
        hs.append(h)
    return {"y": tf.stack(hs, 1), "h": h, "c": c}
