"""Gal-style LSTM in plain JAX, one dict of params, masks drawn up front."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax, random


def _step(p, mx, mh, carry, x_t):
    h, c = carry
    z = (x_t * mx) @ p["Wx"] + (h * mh) @ p["Wh"] + p["b"]
    i, f, g, o = jnp.split(z, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def variational_mask(key, rate, shape, dtype):
    if rate == 0.0:
        return jnp.ones(shape, dtype)
    keep = 1.0 - rate
    return random.bernoulli(key, keep, shape).astype(dtype) / keep


def lstm(p, x, key, rate_x, rate_h):
    n, _, d = x.shape
    k = p["Wh"].shape[0]
    kx, kh = random.split(key)
    mx = variational_mask(kx, rate_x, (n, d), x.dtype)
    mh = variational_mask(kh, rate_h, (n, k), x.dtype)
    zero = jnp.zeros((n, k), x.dtype)
    (h, c), ys = lax.scan(partial(_step, p, mx, mh), (zero, zero), jnp.swapaxes(x, 0, 1))
    return jnp.swapaxes(ys, 0, 1), h, c


def run(case):
    p = {"Wx": case.weights["kernel"], "Wh": case.weights["recurrent_kernel"], "b": case.weights["bias"]}
    y, h, c = lstm(p, case.inputs["x"], case.key, case.rate("input"), case.rate("state.h"))
    return {"y": y, "h": h, "c": c}
