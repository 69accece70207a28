"""Standard normals of a framework named by the last word: torch, tensorflow, jax or keras (KERAS_BACKEND's backend)."""

import base64
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
from recorder import Recorder, main

SEEDS = (0, 7, 2**31 - 1)
SHAPES = ((0,), (1,), (15,), (16,), (17,), (3, 7), (64, 32))
DTYPES = ("float32", "float64")


def add(out, like, values, seed, dtype="float32", call=0, backend="", **options):
    values = np.ascontiguousarray(values, dtype=dtype)
    out.add(like, np.zeros(values.shape, bool), seed, 0.5, dtype, call, backend, **options)
    entry = out.entries[-1]
    entry.pop("bits", None)
    entry.pop("sha256", None)
    entry["values"] = base64.b64encode(values.tobytes()).decode()


def of_torch():
    import torch

    out = Recorder(torch=torch.__version__)
    for seed in SEEDS + (-5,):
        for dtype in DTYPES:
            for shape in SHAPES:
                torch.manual_seed(seed)
                add(out, "torch.randn", torch.randn(shape, dtype=getattr(torch, dtype)).numpy(), seed, dtype)
    torch.manual_seed(3)
    torch.rand(100)
    state = torch.get_rng_state().numpy().tobytes()
    add(out, "torch.randn", torch.randn(50).numpy(), 0, state=state)
    return out


def of_tensorflow():
    import tensorflow as tf

    out = Recorder(tensorflow=tf.__version__)
    for seed in SEEDS + (-5,):
        for dtype in DTYPES:
            for shape in SHAPES:
                for options in ({}, {"op_seed": 3}):
                    tf.random.set_seed(seed)
                    for call in range(2):
                        values = tf.random.normal(shape, dtype=dtype, seed=options.get("op_seed")).numpy()
                        add(out, "tensorflow.random.normal", values, seed, dtype, call, **options)
                values = tf.random.stateless_normal(shape, [seed, 6], dtype=dtype).numpy()
                add(out, "tensorflow.random.stateless_normal", values, seed, dtype, seed2=6)
    return out


def of_jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    out = Recorder(jax=jax.__version__)
    for seed in SEEDS + (-5,):
        for dtype in DTYPES:
            for shape in SHAPES:
                for implementation in ("threefry2x32", "rbg"):
                    key = jax.random.key(seed, impl=implementation)
                    values = np.asarray(jax.random.normal(key, shape, dtype))
                    add(out, "jax.random.normal", values, seed, dtype, x64=True, impl=implementation)
    return out


def of_keras():
    import keras

    backend = keras.backend.backend()
    out = Recorder(keras=keras.__version__)
    for seed in SEEDS:
        for shape in SHAPES:
            layer = keras.layers.GaussianNoise(1.0, seed=seed)
            generator = keras.random.SeedGenerator(seed)
            for call in range(2):
                values = keras.ops.convert_to_numpy(layer(keras.ops.zeros(shape), training=True))
                add(out, "keras.layers.GaussianNoise", values, seed, "float32", call, backend)
                values = keras.ops.convert_to_numpy(keras.random.normal(shape, seed=generator))
                add(out, "keras.random.normal", values, seed, "float32", call, backend)
    return out


def probe():
    return {"torch": of_torch, "tensorflow": of_tensorflow, "jax": of_jax, "keras": of_keras}[sys.argv[-1]]()


if __name__ == "__main__":
    main(probe)
