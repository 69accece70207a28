import keras


def build(case):
    seq = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    lstm = keras.layers.LSTM(
        case.config["units"],
        dropout=case.rate("input"),
        recurrent_dropout=case.rate("state.h"),
        implementation=2,
        return_sequences=True,
        return_state=True,
        seed=case.seed,
        dtype=case.dtype,
    )
    return keras.Model(seq, lstm(seq))


def run(case):
    model = case.keep(lambda: build(case))
    trainable = [case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]]
    (y, h, c), state = model.stateless_call(
        trainable, [v.value for v in model.non_trainable_variables], case.inputs["x"], training=case.training
    )
    for v, new in zip(model.non_trainable_variables, state):
        v.assign(new)
    return {"y": y, "h": h, "c": c}
