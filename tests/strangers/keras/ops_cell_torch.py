import keras
from keras import ops


class MinimalLSTMCell(keras.layers.Layer):
    """Cell for keras.layers.RNN, written with keras.ops only."""

    def __init__(self, units, rate, seed, **kw):
        super().__init__(**kw)
        self.units = units
        self.state_size = [units, units]
        self.output_size = units
        self.drop = keras.layers.Dropout(rate, seed=seed, dtype=kw.get("dtype"))

    def build(self, input_shape):
        d = input_shape[-1]
        self.W = self.add_weight(shape=(d + self.units, 4 * self.units), name="W")
        self.b = self.add_weight(shape=(4 * self.units,), name="b")
        self.built = True

    def call(self, inputs, states, training=False):
        h, c = states
        x = self.drop(inputs, training=training)
        z = ops.matmul(ops.concatenate([x, h], axis=-1), self.W) + self.b
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, [h, c]


def make(case):
    cell = MinimalLSTMCell(case.config["units"], case.rate("input"), case.seed, dtype=case.dtype)
    inp = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True, dtype=case.dtype)
    return keras.Model(inp, rnn(inp))


def run(case):
    model = case.keep(lambda: make(case))
    w = case.weights
    theta = [ops.concatenate([w["kernel"], w["recurrent_kernel"]], axis=0), w["bias"]]
    states = [v.value for v in model.non_trainable_variables]
    (y, h, c), states = model.stateless_call(theta, states, case.inputs["x"], training=case.training)
    for v, s in zip(model.non_trainable_variables, states):
        v.assign(s)
    return {"y": y, "h": h, "c": c}
