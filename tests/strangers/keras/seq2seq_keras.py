import keras
from keras import layers


def seq2seq(case):
    """The tutorial's training model, plus dropout on both inputs."""
    u, dt = case.config["units"], case.dtype
    enc_in = keras.Input(case.inputs["x"].shape[1:], dtype=dt, name="enc_in")
    dec_in = keras.Input(case.inputs["z"].shape[1:], dtype=dt, name="dec_in")
    e = layers.Dropout(case.rate("encoder.input"), seed=case.seed, dtype=dt, name="enc_drop")(enc_in)
    _, eh, ec = layers.LSTM(u, return_state=True, dtype=dt, name="encoder")(e)
    d = layers.Dropout(case.rate("decoder.input"), seed=case.seed + 1, dtype=dt, name="dec_drop")(dec_in)
    y, h, c = layers.LSTM(u, return_sequences=True, return_state=True, dtype=dt, name="decoder")(
        d, initial_state=[eh, ec]
    )
    return keras.Model([enc_in, dec_in], [y, h, c, eh, ec])


def run(case):
    model = case.keep(lambda: seq2seq(case))
    by_name = {}
    for part in ("encoder", "decoder"):
        for key in ("kernel", "recurrent_kernel", "bias"):
            by_name[part, key] = case.weights[f"{part}.{key}"]
    order = [by_name[v.path.split("/")[0], v.name] for v in model.trainable_variables]
    outs, later = model.stateless_call(
        order,
        [v.value for v in model.non_trainable_variables],
        [case.inputs["x"], case.inputs["z"]],
        training=case.training,
    )
    for v, s in zip(model.non_trainable_variables, later):
        v.assign(s)
    return dict(zip(["y", "h", "c", "encoder.h", "encoder.c"], outs))
