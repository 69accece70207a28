"""Seq2seq in JAX. The decoder is primed with the encoder's final hidden state."""

import jax
import jax.numpy as jnp
from jax import lax


class LSTM:
    def __init__(self, kernel, recurrent, bias):
        self.kernel, self.recurrent, self.bias = kernel, recurrent, bias
        self.size = recurrent.shape[0]

    def initial(self, batch, dtype):
        return jnp.zeros((batch, self.size), dtype), jnp.zeros((batch, self.size), dtype)

    def step(self, state, x):
        h, c = state
        pre = x @ self.kernel + h @ self.recurrent + self.bias
        i, f, g, o = jnp.split(pre, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def __call__(self, xs, state):
        return lax.scan(self.step, state, jnp.moveaxis(xs, 1, 0))


def run(case):
    w = case.weights
    enc = LSTM(w["encoder.kernel"], w["encoder.recurrent_kernel"], w["encoder.bias"])
    dec = LSTM(w["decoder.kernel"], w["decoder.recurrent_kernel"], w["decoder.bias"])
    x, z = case.inputs["x"], case.inputs["z"]
    (eh, ec), _ = enc(x, enc.initial(x.shape[0], x.dtype))
    _, c0 = dec.initial(x.shape[0], x.dtype)
    rate = case.rate("decoder.input")
    if case.training and rate:
        m = jax.random.bernoulli(case.key, 1 - rate, z.shape)
        z = jnp.where(m, z / (1 - rate), 0)
    (h, c), ys = dec(z, (eh, c0))
    return {"y": jnp.moveaxis(ys, 0, 1), "h": h, "c": c, "encoder.h": eh, "encoder.c": ec}
