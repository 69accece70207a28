import keras
from keras import layers, ops


class Encoder(keras.Model):
    def __init__(self, units, rate, seed, dtype):
        super().__init__(dtype=dtype)
        self.noise = layers.SpatialDropout1D(rate, seed=seed, dtype=dtype)
        self.gru = layers.GRU(units, reset_after=False, return_sequences=True, return_state=True, dtype=dtype)

    def call(self, x, training=False):
        return self.gru(self.noise(x, training=training), training=training)


def new(case):
    m = Encoder(case.config["units"], case.rate("input"), case.seed, case.dtype)
    m(keras.ops.zeros(tuple(case.inputs["x"].shape), case.dtype))  # creates the variables
    return m


def run(case):
    m = case.keep(lambda: new(case))
    w = case.weights
    out, later = m.stateless_call(
        [w["kernel"], w["recurrent_kernel"], w["bias"]],
        [v.value for v in m.non_trainable_variables],
        case.inputs["x"],
        training=case.training,
    )
    for v, value in zip(m.non_trainable_variables, later):
        v.assign(value)
    return {"y": out[0], "h": out[1]}
