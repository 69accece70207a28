"""Three-layer stack (Keras 3, JAX). Dropout is applied after every layer."""

import jax
import keras
from keras import layers


def build(case):
    x = inp = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    states_h, states_c = [], []
    for n in range(case.config["layers"]):
        x, h, c = layers.LSTM(
            case.config["units"], return_sequences=True, return_state=True, dtype=case.dtype, name=f"lstm_{n}"
        )(x)
        x = layers.Dropout(case.rate("between_layers"), dtype=case.dtype, name=f"drop_{n}")(x)
        states_h.append(h)
        states_c.append(c)
    return keras.Model(inp, [x, states_h, states_c])


def run(case):
    model = build(case)
    flat = []
    for n in range(case.config["layers"]):
        flat += [case.weights[f"layer{n}.{k}"] for k in ("kernel", "recurrent_kernel", "bias")]
    keys = jax.random.split(case.key, len(model.non_trainable_variables))
    seeds = [jax.random.key_data(k) for k in keys]
    (y, hs, cs), _ = model.stateless_call(flat, seeds, case.inputs["x"], training=case.training)
    return {"y": y, "h": jax.numpy.stack(cs), "c": jax.numpy.stack(hs)}
