import keras
from keras import layers


def build(units, rate, shape, dtype, seed):
    inp = layers.Input(shape, dtype=dtype)
    opts = dict(return_sequences=True, return_state=True, dtype=dtype)
    yf, hf, cf = layers.LSTM(units, name="fw", **opts)(inp)
    yb, hb, cb = layers.LSTM(units, name="bw", **opts)(inp)
    y = layers.Concatenate(dtype=dtype)([yf, yb])
    y = layers.Dropout(rate, seed=seed, dtype=dtype)(y)
    stack = layers.Lambda(lambda ab: keras.ops.stack(ab, axis=0), dtype=dtype)
    return keras.Model(inp, [y, stack([hf, hb]), stack([cf, cb])])


def run(case):
    net = case.keep(
        lambda: build(
            case.config["units"], case.rate("output"), case.inputs["x"].shape[1:], case.dtype, case.seed
        )
    )
    w = case.weights
    params = [w[f"{d}.{n}"] for d in ("forward", "backward") for n in ("kernel", "recurrent_kernel", "bias")]
    (y, h, c), later = net.stateless_call(
        params, [v.value for v in net.non_trainable_variables], case.inputs["x"], training=case.training
    )
    for v, s in zip(net.non_trainable_variables, later):
        v.assign(s)
    return {"y": y, "h": h, "c": c}
