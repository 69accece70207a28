"""Loads a checkpoint of torch.nn.GRU into keras.layers.GRU."""

import keras
from keras import ops


def state_dict(w):
    """What the checkpoint holds: torch's layout, gates r, z, n."""

    def to_torch(a):
        z, r, n = ops.split(a, 3, axis=-1)
        return ops.concatenate([r, z, n], axis=-1)

    return {
        "weight_ih_l0": ops.transpose(to_torch(w["kernel"])),
        "weight_hh_l0": ops.transpose(to_torch(w["recurrent_kernel"])),
        "bias_ih_l0": to_torch(w["bias"]),
        "bias_hh_l0": to_torch(w["recurrent_bias"]),
    }


def keras_weights(sd):
    kernel = ops.transpose(sd["weight_ih_l0"])
    recurrent = ops.transpose(sd["weight_hh_l0"])
    bias = ops.stack([sd["bias_ih_l0"], sd["bias_hh_l0"]])
    return [kernel, recurrent, bias]


def create(case):
    x = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    d = keras.layers.Dropout(case.rate("input"), seed=case.seed, dtype=case.dtype)(x)
    out = keras.layers.GRU(case.config["units"], return_sequences=True, return_state=True, dtype=case.dtype)(d)
    return keras.Model(x, out)


def run(case):
    net = case.keep(lambda: create(case))
    ntv = [v.value for v in net.non_trainable_variables]
    (y, h), ntv = net.stateless_call(
        keras_weights(state_dict(case.weights)), ntv, case.inputs["x"], training=case.training
    )
    for v, s in zip(net.non_trainable_variables, ntv):
        v.assign(s)
    return {"y": y, "h": h}
