"""Dropout in JAX whose draws the port names, and draws from other keys."""

import jax
import jax.numpy as jnp


def drop(key, x, rate):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0) if rate else x


def time_major(case):
    y = jnp.swapaxes(case.inputs["x"], 0, 1)
    with case.site("input", axes=("time", "batch", "features")):
        y = drop(case.key, y, case.rate("input"))
    return {"y": jnp.swapaxes(y, 0, 1)}


def unnamed(case):
    return {"y": jnp.swapaxes(drop(case.key, jnp.swapaxes(case.inputs["x"], 0, 1), case.rate("input")), 0, 1)}


def scanned(case):
    def step(key, xt):
        key, mine = jax.random.split(key)
        with case.site("input", axes=("time", "batch", "features")):
            return key, drop(mine, xt, case.rate("input"))

    _, y = jax.lax.scan(step, case.key, jnp.swapaxes(case.inputs["x"], 0, 1))
    return {"y": jnp.swapaxes(y, 0, 1)}


def misspelt(case):
    with case.site("inptu"):
        return {"y": case.inputs["x"]}


def other_key(case):
    return {"y": drop(jax.random.key(3), case.inputs["x"], case.rate("input"))}


def keras_layer(case):
    import keras

    layer = keras.layers.Dropout(case.rate("input"))
    seeds = [jax.random.key_data(case.key)] if case.rate("input") else []
    y, _ = layer.stateless_call([], seeds, case.inputs["x"], training=case.training)
    return {"y": y}


def keras_seeded(case):
    import keras

    return {"y": keras.layers.Dropout(case.rate("input"), seed=3)(case.inputs["x"], training=case.training)}
