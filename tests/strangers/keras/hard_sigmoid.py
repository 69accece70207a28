import keras


def legacy_model(case):
    """Same architecture as the Keras 2.2 model that the weights come from."""
    x = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    y, h, c = keras.layers.LSTM(
        case.config["units"],
        activation="tanh",
        recurrent_activation="hard_sigmoid",
        return_sequences=True,
        return_state=True,
        dtype=case.dtype,
    )(x)
    y = keras.layers.Dropout(case.rate("output"), seed=case.seed, dtype=case.dtype)(y)
    return keras.Model(x, [y, h, c])


def run(case):
    model = case.keep(lambda: legacy_model(case))
    variables = [case.weights[n] for n in ("kernel", "recurrent_kernel", "bias")]
    seeds = [v.value for v in model.non_trainable_variables]
    (y, h, c), seeds = model.stateless_call(variables, seeds, case.inputs["x"], training=case.training)
    for v, s in zip(model.non_trainable_variables, seeds):
        v.assign(s)
    return {"y": y, "h": h, "c": c}
