import keras
from keras import ops


class PeepCell(keras.layers.Layer):
    def __init__(self, units, **kw):
        super().__init__(**kw)
        self.units = units
        self.state_size = (units, units)  # (c, h), as in tf.nn.rnn_cell.LSTMStateTuple

    def build(self, shape):
        u = self.units
        self.kernel = self.add_weight(shape=(shape[-1], 4 * u), name="kernel")
        self.recurrent = self.add_weight(shape=(u, 4 * u), name="recurrent")
        self.bias = self.add_weight(shape=(4 * u,), name="bias")
        self.built = True

    def call(self, x, states, training=False):
        c, h = states
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent) + self.bias
        i, f, j, o = ops.split(z, 4, axis=1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(j)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, (c, h)


def make(case):
    inp = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    rnn = keras.layers.RNN(
        PeepCell(case.config["units"], dtype=case.dtype), return_sequences=True, return_state=True, dtype=case.dtype
    )
    y, h, c = rnn(inp)
    y = keras.layers.Dropout(case.rate("output"), seed=case.seed, dtype=case.dtype)(y)
    return keras.Model(inp, {"y": y, "h": h, "c": c})


def run(case):
    net = case.keep(lambda: make(case))
    w = case.weights
    out, later = net.stateless_call(
        [w["kernel"], w["recurrent_kernel"], w["bias"]],
        [v.value for v in net.non_trainable_variables],
        case.inputs["x"],
        training=case.training,
    )
    for v, s in zip(net.non_trainable_variables, later):
        v.assign(s)
    return out
