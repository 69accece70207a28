"""Char-RNN with truncated BPTT."""
import jax
import jax.numpy as jnp
from jax.lax import stop_gradient as sg

K = 3  # truncation


def cell(w, h, c, x):
    n = h.shape[-1]
    z = jnp.hstack([x, h]) @ jnp.vstack([w["kernel"], w["recurrent_kernel"]]) + w["bias"]
    z = z.reshape(-1, 4, n)
    i, f, g, o = z[:, 0], z[:, 1], z[:, 2], z[:, 3]
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def run(case):
    x, w = case.inputs["x"], case.weights
    B, T, _ = x.shape
    h = jnp.zeros((B, case.config["units"]), x.dtype)
    c = h
    p = case.rate("state.h")
    keys = jax.random.split(case.key, T)
    ys = []
    for t in range(T):
        if t % K == 0:
            h, c = sg(h), sg(c)
        hd = h
        if p:
            hd = h * jax.random.bernoulli(keys[t], 1 - p, h.shape) / (1 - p)
        h, c = cell(w, hd, c, x[:, t])
        ys.append(h)
    return {"y": jnp.stack(ys, axis=1), "h": h, "c": c}
