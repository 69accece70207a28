"""Keras 3 layers on TensorFlow, as people use them. A docstring begins with the case and the faults planted in it."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras


def of(case):
    return case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]


def lstm(case, x=None, weights=None, **options):
    """keras.layers.LSTM called with the case's own tensors as its variables, so that gradients reach them."""
    x, *own = of(case) if x is None else (x, *of(case)[1:])
    quiet = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    layer = keras.layers.LSTM(case.config["units"], return_sequences=True, return_state=True, **quiet, **options)
    layer.build(x.shape)
    fixed = [v.value for v in layer.non_trainable_variables]
    (y, h, c), _ = layer.stateless_call(weights or own, fixed, x, training=case.training)
    return {"y": y, "h": h, "c": c}


def seeded(case, kind, amount):
    """A noise layer that is seeded once and draws on in every further call."""
    return case.keep(lambda: kind(amount, seed=case.seed))


def plain(case):
    """plain | right"""
    return lstm(case)


def unrolled(case):
    """plain | right"""
    return lstm(case, unroll=True)


def torch_weights(case):
    """plain | right
    Through torch's layout (4H, I) and back.
    """
    _, W, U, b = of(case)
    return lstm(
        case, weights=[keras.ops.transpose(keras.ops.transpose(W)), keras.ops.transpose(keras.ops.transpose(U)), b]
    )


def old_default(case):
    """plain | activation.gates hard_sigmoid"""
    return lstm(case, recurrent_activation="hard_sigmoid")


def relu(case):
    """plain | activation.both relu"""
    return lstm(case, activation="relu")


def backwards(case):
    """plain | inputs.reversed"""
    return lstm(case, go_backwards=True)


def no_bias(case):
    """plain | bias.absent"""
    return lstm(case, weights=[*of(case)[1:3]], use_bias=False)


def torch_reshaped(case):
    """plain | layout.reshaped both
    torch's weights (4H, I) made by reshape, then transposed.
    """
    _, W, U, b = of(case)
    turned = [keras.ops.transpose(keras.ops.reshape(w, w.shape[::-1])) for w in (W, U)]
    return lstm(case, weights=[*turned, b])


def unit_forget_bias(case):
    """plain | bias.forget +1
    The stored forget bias added to a bias that has its own.
    """
    _, W, U, b = of(case)
    ones = keras.ops.concatenate([keras.ops.zeros(6), keras.ops.ones(6), keras.ops.zeros(12)])
    return lstm(case, weights=[W, U, b + keras.ops.cast(ones, b.dtype)])


def states_in_order(case):
    """plain | outputs.states swapped"""
    found = lstm(case)
    return {"y": found["y"], "h": found["c"], "c": found["h"]}


def weights_set(case):
    """plain | gradient.stopped weights"""
    x, *own = of(case)

    def make():
        layer = keras.layers.LSTM(case.config["units"], return_sequences=True, return_state=True)
        layer.build(x.shape)
        return layer

    layer = case.keep(make)
    layer.set_weights(own)
    y, h, c = layer(x)
    return {"y": y, "h": h, "c": c}


def dropout_layer(case):
    """dropout | right"""
    return {"y": seeded(case, keras.layers.Dropout, case.config["rate"])(case.inputs["x"], training=case.training)}


def dropout_training_forgotten(case):
    """dropout | mask.absent"""
    return {"y": seeded(case, keras.layers.Dropout, case.config["rate"])(case.inputs["x"])}


def spatial_layer(case):
    """spatial | right"""
    return {
        "y": seeded(case, keras.layers.SpatialDropout1D, case.config["rate"])(case.inputs["x"], training=case.training)
    }


def gaussian_layer(case):
    """gaussian | right"""
    return {
        "y": seeded(case, keras.layers.GaussianDropout, case.config["rate"])(case.inputs["x"], training=case.training)
    }


def noise_for_dropout(case):
    """gaussian | noise.additive"""
    spread = (case.config["rate"] / (1 - case.config["rate"])) ** 0.5
    return {"y": seeded(case, keras.layers.GaussianNoise, spread)(case.inputs["x"], training=case.training)}


def output_dropout(case):
    """output | right"""
    found = lstm(case)
    return {
        **found,
        "y": seeded(case, keras.layers.Dropout, 0.3)(found["y"], training=case.training),
    }


def dropped_input(case):
    """output | row mask.sites"""
    x = seeded(case, keras.layers.Dropout, 0.3)(case.inputs["x"], training=case.training)
    return lstm(case, x)
