"""The port that `harness init --framework keras` writes: a Keras model called without a state of its own."""

PORT = '''"""A Keras model to compare: replace `model` by your own, and run the case beside this file.

`case` has: inputs ("x", and "h0", "c0" where the case gives them; batch-major), weights ("kernel" (I, 4H), "recurrent_kernel"
(H, 4H), "bias" (4H,), gates in the order i, f, g, o), config, dropout (the list of sites), rate(site), mode, training, {source}.
Return the outputs by name, batch-major. The model is called with the case's tensors in the place of its variables
(`stateless_call`), so that gradients reach them: `set_weights` would cut them off.
"""

{imports}


def model(case):
    x = keras.Input(case.inputs["x"].shape[1:], dtype=case.dtype)
    y, h, c = keras.layers.LSTM(case.config["units"], return_sequences=True, return_state=True, dtype=case.dtype)(x)
    y = keras.layers.Dropout(case.rate("output"){seed}, dtype=case.dtype)(y)
    return keras.Model(x, [y, h, c])


def run(case):
    net = case.keep(lambda: model(case))
    # In the order of net.trainable_variables.
    weights = [case.weights[name] for name in ("kernel", "recurrent_kernel", "bias")]
    # The states of the layers' seed generators are among the others.
    {states}
    (y, h, c), {later} = net.stateless_call(weights, states, case.inputs["x"], training=case.training){assigned}
    return {{"y": y, "h": h, "c": c}}
'''


def port(backend: str) -> str:
    """A port around a Keras model. In JAX the states of its seeds are made of the case's key."""
    if backend == "jax":
        states = """keys = jax.random.split(case.key, len(net.non_trainable_variables))
    states = [jax.random.key_data(key) for key in keys]"""
        return PORT.format(
            imports="import jax\nimport keras", seed="", states=states, later="_", assigned="", source="key"
        )
    assigned = """
    for variable, value in zip(net.non_trainable_variables, later):
        # A further call draws on from here.
        variable.assign(value)"""
    states = "states = [variable.value for variable in net.non_trainable_variables]"
    return PORT.format(
        imports="import keras", seed=", seed=case.seed", states=states, later="later", assigned=assigned, source="seed"
    )
