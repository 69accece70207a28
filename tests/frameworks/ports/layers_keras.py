"""A dropout layer beside layers whose initial weights are drawn in the call, in Keras 3 on any backend."""

import keras


def built_in_the_call(case):
    x = case.inputs["x"]
    keras.layers.Dense(3, kernel_initializer="random_normal")(x)
    keras.layers.LSTM(3)(x)
    if not case.training:
        return {"y": x}
    if keras.backend.backend() != "jax":
        layer = case.keep(lambda: keras.layers.Dropout(case.rate("input"), seed=case.seed))
        return {"y": layer(x, training=True)}
    return {"y": keras.random.dropout(x, case.rate("input"), seed=keras_key(case))}


def keras_key(case):
    """The case's key as Keras takes one."""
    import jax

    return jax.random.key_data(case.key)


def noise_for_a_weight(case):
    """A draw in every call that is no initial value, though a layer is built beside it."""
    found = built_in_the_call(case)
    seed = keras_key(case) if keras.backend.backend() == "jax" else 1
    return {"y": found["y"] + 0.0 * keras.random.normal((5,), seed=seed)}
