import keras
import numpy as np
from keras import ops


def create(case):
    x = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    m = keras.Input(case.inputs["x"].shape[1:2], dtype="bool")
    d = keras.layers.Dropout(case.rate("input"), seed=case.seed, dtype=case.dtype)(x)
    lstm = keras.layers.LSTM(
        case.config["units"], return_sequences=True, return_state=True, use_cudnn=False, dtype=case.dtype
    )
    model = keras.Model([x, m], lstm(d, mask=m))
    w = case.weights
    lstm.set_weights([np.asarray(ops.convert_to_numpy(w[k])) for k in ("kernel", "recurrent_kernel", "bias")])
    return model


def run(case):
    model = case.keep(lambda: create(case))
    steps = case.inputs["x"].shape[1]
    mask = ops.arange(steps)[None, :] < ops.cast(case.inputs["lengths"], "int32")[:, None]
    y, h, c = model([case.inputs["x"], mask], training=case.training)
    return {"y": y, "h": h, "c": c}
