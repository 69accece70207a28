import keras
from keras import ops


class ZoneoutCell(keras.layers.Layer):
    def __init__(self, units, zh, zc, seed, **kw):
        super().__init__(**kw)
        self.units, self.zh, self.zc = units, zh, zc
        self.state_size = [units, units]
        self.random = keras.random.SeedGenerator(seed)

    def zoneout(self, rate, old, new, training):
        if not training:
            return new
        stay = ops.cast(keras.random.uniform(ops.shape(new), seed=self.random, dtype=new.dtype) < rate, new.dtype)
        return stay * old + (1 - stay) * new

    def step(self, w, x, states, training):
        h, c = states
        i, f, g, o = ops.split(ops.matmul(x, w[0]) + ops.matmul(h, w[1]) + w[2], 4, axis=-1)
        new_c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        new_h = ops.sigmoid(o) * ops.tanh(new_c)
        h = self.zoneout(self.zh, h, new_h, training)
        c = self.zoneout(self.zc, c, new_c, training)
        return h, [h, c]


def run(case):
    rates = {s["at"]: s["rate"] for s in case.dropout}
    cell = case.keep(
        lambda: ZoneoutCell(case.config["units"], rates["state.h"], rates["state.c"], case.seed, dtype=case.dtype)
    )
    x = case.inputs["x"]
    w = [case.weights[k] for k in ("kernel", "recurrent_kernel", "bias")]
    states = [ops.zeros((x.shape[0], case.config["units"]), case.dtype)] * 2
    ys = []
    for t in range(x.shape[1]):
        y, states = cell.step(w, x[:, t], states, case.training)
        ys.append(y)
    return {"y": ops.stack(ys, axis=1), "h": states[0], "c": states[1]}
