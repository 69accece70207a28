"""GRU with recurrent dropout as in Keras: the mask is on the h of the products, not on the h that is carried."""

import equinox as eqx
import jax
import jax.numpy as jnp


class KerasGRU(eqx.Module):
    kernel: jax.Array
    recurrent_kernel: jax.Array
    bias: jax.Array
    recurrent_bias: jax.Array
    recurrent_dropout: float = eqx.field(static=True)

    def __call__(self, xs, key):
        units = self.recurrent_kernel.shape[0]
        q = 1.0 - self.recurrent_dropout
        mask = jnp.ones(units, xs.dtype) if q == 1 else jax.random.bernoulli(key, q, (units,)) / q

        def step(h, x):
            zx, rx, nx = jnp.split(x @ self.kernel + self.bias, 3)
            zh, rh, nh = jnp.split((h * mask) @ self.recurrent_kernel + self.recurrent_bias, 3)
            z, r = jax.nn.sigmoid(zx + zh), jax.nn.sigmoid(rx + rh)
            h = z * h + (1 - z) * jnp.tanh(nx + r * nh)
            return h, h

        h, ys = jax.lax.scan(step, jnp.zeros(units, xs.dtype), xs)
        return ys, h


def run(case):
    w = case.weights
    gru = KerasGRU(w["kernel"], w["recurrent_kernel"], w["bias"], w["recurrent_bias"], case.rate("state.h"))
    x = case.inputs["x"]
    ys, h = jax.vmap(gru)(x, jax.random.split(case.key, x.shape[0]))
    return {"y": ys, "h": h}
