import functools

import jax
import jax.numpy as jnp


def variational(key, p, shape, dtype):
    return (jax.random.uniform(key, shape) < 1 - p).astype(dtype) / (1 - p) if p else jnp.ones(shape, dtype)


@functools.partial(jax.jit, static_argnames=("p",))
def lstm(xs, h, c, kernel, recurrent, bias, key, p):
    mask = variational(key, p, h.shape, h.dtype)

    def body(hc, x):
        h, c = hc
        a = x @ kernel + (h * mask) @ recurrent + bias
        i, f, g, o = [a[:, k * h.shape[1] : (k + 1) * h.shape[1]] for k in range(4)]
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), ys = jax.lax.scan(body, (h, c), xs.swapaxes(0, 1))
    return ys.swapaxes(0, 1), h, c


def run(case):
    w, x, z = case.weights, case.inputs["x"], case.inputs["z"]
    part = lambda side: (w[f"{side}.kernel"], w[f"{side}.recurrent_kernel"], w[f"{side}.bias"])
    zero = jnp.zeros((x.shape[0], case.config["units"]), x.dtype)
    rng = case.key
    _, eh, ec = lstm(x, zero, zero, *part("encoder"), rng, p=case.rate("encoder.state.h"))
    y, h, c = lstm(z, eh, ec, *part("decoder"), rng, p=case.rate("decoder.state.h"))
    return {"y": y, "h": h, "c": c, "encoder.h": eh, "encoder.c": ec}
