"""Masks of Keras 3 on the backend that KERAS_BACKEND names."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import keras.src.backend as inner
import numpy as np
from keras import layers
from recorder import Recorder, main

BACKEND = keras.backend.backend()
LOW, HIGH = {"tensorflow": (-(2**63), 2**63), "torch": (-(2**31), 2**31)}.get(BACKEND, (0, 2**32))
SEEDS = [seed for seed in (0, 7, -5, 2**31 - 1, 2**31 - 2, 2**32 - 1, 2**32 + 5, -(2**31)) if LOW <= seed < HIGH]
DTYPES = ("float32", "float64", "float16", "bfloat16")


def kept(y):
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))) != 0


def ones(shape, dtype="float32"):
    return keras.ops.ones(shape, dtype=dtype)


def elementwise(out):
    for seed in SEEDS:
        for dtype in DTYPES:
            for rate in (0.5, 0.1, 0.3, 0.0, 1.0):
                for shape in ((3, 4), (0, 3), (1,), (1001,)):
                    layer = layers.Dropout(rate, seed=seed, dtype=dtype)
                    for call in range(3):
                        mask = kept(layer(ones(shape, dtype), training=True))
                        out.add("keras.layers.Dropout", mask, seed, rate, dtype, call, BACKEND)
            for dimensions, shape in ((1, (2, 5, 3)), (2, (2, 5, 4, 3)), (3, (2, 5, 4, 2, 3))):
                name = "SpatialDropout%dD" % dimensions
                layer = getattr(layers, name)(0.3, seed=seed, dtype=dtype)
                for call in range(2):
                    mask = kept(layer(ones(shape, dtype), training=True))
                    out.add("keras.layers." + name, mask, seed, 0.3, dtype, call, BACKEND)
            layer = layers.SpatialDropout2D(0.3, seed=seed, dtype=dtype, data_format="channels_first")
            mask = kept(layer(ones((2, 5, 4, 3), dtype), training=True))
            out.add("keras.layers.SpatialDropout2D", mask, seed, 0.3, dtype, 0, BACKEND, channels_first=True)
            layer = layers.Dropout(0.3, seed=seed, dtype=dtype, noise_shape=(None, 1, 3))
            mask = kept(layer(ones((2, 5, 3), dtype), training=True))
            out.add("keras.layers.Dropout", mask, seed, 0.3, dtype, 0, BACKEND, noise_shape=(None, 1, 3))
            layer = layers.AlphaDropout(0.3, seed=seed, dtype=dtype)
            for call in range(2):
                y = keras.ops.cast(layer(ones((1000,), dtype) * 3, training=True), "float32")
                mask = np.asarray(keras.ops.convert_to_numpy(y)) > 0
                out.add("keras.layers.AlphaDropout", mask, seed, 0.3, dtype, call, BACKEND)
    for dtype in DTYPES:
        mask = kept(layers.Dropout(0.3, seed=7, dtype=dtype)(ones((10**6,), dtype), training=True))
        out.add("keras.layers.Dropout", mask, 7, 0.3, dtype, 0, BACKEND)


def unseeded(out):
    for seed in (3, 9):
        keras.utils.set_random_seed(seed)
        users = [layers.Dropout(0.3) for _ in range(3)]
        for call in range(2):
            for number, layer in enumerate(users):
                # On torch they all draw from torch's own generator.
                turn = 3 * call + number if BACKEND == "torch" else call
                mask = kept(layer(ones((1000,)), training=True))
                options = {"seeded": False, "layer": number}
                out.add("keras.layers.Dropout", mask, seed, 0.3, "float32", turn, BACKEND, **options)


def recurrent(out):
    original, masks = inner.random.dropout, []

    def tap(inputs, rate, noise_shape=None, seed=None):
        y = original(inputs, rate, noise_shape=noise_shape, seed=seed)
        masks.append(kept(y))
        return y

    inner.random.dropout = tap
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1)):
        for rates in ({"dropout": 0.3}, {"recurrent_dropout": 0.4}, {"dropout": 0.3, "recurrent_dropout": 0.4}):
            for seed in (1, 2**31 - 1):
                layer = getattr(layers, kind)(4, seed=seed, **rates)
                for call in range(2):
                    del masks[:]
                    layer(ones((2, 5, 3)), training=True)
                    count = gates if "recurrent_dropout" in rates else 1
                    sites = [("input", "dropout"), ("state.h", "recurrent_dropout")]
                    wanted = [(s, rates[r], gate) for s, r in sites if r in rates for gate in range(count)]
                    assert len(wanted) == len(masks), (kind, rates, len(masks))
                    for (site, rate, gate), mask in zip(wanted, masks):
                        options = {"site": site, "gate": gate, "input_dropout": "dropout" in rates}
                        options["recurrent_dropout"] = "recurrent_dropout" in rates
                        out.add("keras.layers." + kind, mask, seed, rate, "float32", call, BACKEND, **options)
    inner.random.dropout = original


def compiled(out):
    import tensorflow as tf

    for dtype in DTYPES:
        layer = layers.Dropout(0.3, seed=4, dtype=dtype)
        layer.build((1001,))
        function = tf.function(lambda x, layer=layer: layer(x, training=True), jit_compile=True)
        for call in range(2):
            out.add(
                "keras.layers.Dropout", kept(function(ones((1001,), dtype))), 4, 0.3, dtype, call, BACKEND, xla=True
            )


def probe():
    out = Recorder(keras=keras.__version__)
    elementwise(out)
    unseeded(out)
    recurrent(out)
    if BACKEND == "tensorflow":
        compiled(out)
    return out


if __name__ == "__main__":
    main(probe)
