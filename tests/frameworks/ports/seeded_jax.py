"""Dropout from keys that the ports make of the case's seed, in the ways that people do; and two that do it wrongly."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.random import PRNGKey
from jax.random import key as key_of


def _dropped(case, key):
    x, rate = case.inputs["x"], case.rate("input")
    if not case.training:
        return {"y": x}
    return {"y": jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)}


def key(case):
    return _dropped(case, jax.random.key(case.seed))


def raw_key_of_the_next_seed(case):
    return _dropped(case, PRNGKey(case.seed + 1))


def by_another_name_and_split(case):
    _, second = jax.random.split(key_of(case.seed))
    return _dropped(case, second)


def rngs(case):
    layer = nnx.Dropout(case.config["rate"], deterministic=not case.training, rngs=nnx.Rngs(case.seed))
    return {"y": layer(case.inputs["x"])}


def rngs_beside_initialisers(case):
    nnx.Linear(3, 3, rngs=nnx.Rngs(0))
    streams = nnx.Rngs(params=0, dropout=case.seed)
    layer = nnx.Dropout(case.config["rate"], deterministic=not case.training, rngs=streams)
    return {"y": layer(case.inputs["x"])}


def fixed(case):
    return _dropped(case, jax.random.key(7))


def ignored(case):
    return _dropped(case, jax.random.key(case.seed * 0 + 5))
