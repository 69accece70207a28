"""The same in JAX."""

import jax
import jax.numpy as jnp


def run(case):
    x = case.inputs["x"]
    batch, _, features = x.shape
    kernel, recurrent, bias = (case.weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    first, second = jax.random.split(case.key)
    keep = 1.0 - case.rate("input")
    if keep < 1.0:
        x = jnp.where(jax.random.bernoulli(first, keep, (batch, 1, features)), x / keep, 0)
    zero = jnp.zeros((batch, recurrent.shape[0]), x.dtype)

    def step(carry, xt):
        h, c = carry
        i, f, g, o = jnp.split(xt @ kernel + h @ recurrent + bias, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), ys = jax.lax.scan(step, (zero, zero), jnp.swapaxes(x, 0, 1))
    rate = case.rate("output")
    if rate:
        ys = jnp.where(jax.random.bernoulli(second, 1.0 - rate, ys.shape), ys / (1.0 - rate), 0)
    return {"y": jnp.swapaxes(ys, 0, 1), "h": h, "c": c}
