"""hk.LSTM without haiku: params as nested dict, gates i, g, f, o, forget gate + 1."""

import jax
import jax.numpy as jnp


def linear(params, x):
    return jnp.dot(x, params["w"]) + params["b"]


def lstm_core(params, inputs, state):
    hidden, cell = state
    x_and_h = jnp.concatenate([inputs, hidden], axis=-1)
    gated = linear(params["lstm/linear"], x_and_h)
    i, g, f, o = jnp.split(gated, indices_or_sections=4, axis=-1)
    f = jax.nn.sigmoid(f + 1)  # Forget bias, as in Sonnet.
    c = f * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, (h, c)


def dynamic_unroll(core, inputs, state):
    def scan_f(prev_state, x):
        out, next_state = core(x, prev_state)
        return next_state, out

    final, outs = jax.lax.scan(scan_f, state, inputs)
    return outs, final


def hk_dropout(rng, rate, x):
    if rate == 0.0:
        return x
    keep_rate = 1.0 - rate
    keep = jax.random.bernoulli(rng, keep_rate, shape=x.shape)
    return keep * x / keep_rate


def convert(weights, forget_bias):
    i, f, g, o = jnp.split(weights["kernel"], 4, -1)
    hi, hf, hg, ho = jnp.split(weights["recurrent_kernel"], 4, -1)
    bi, bf, bg, bo = jnp.split(weights["bias"], 4, -1)
    w = jnp.block([[i, g, f, o], [hi, hg, hf, ho]])
    return {"lstm/linear": {"w": w, "b": jnp.concatenate([bi, bg, bf + forget_bias, bo])}}


def run(case):
    params = convert(case.weights, case.config["forget_bias"])
    x = jnp.transpose(case.inputs["x"], (1, 0, 2))
    n, units = x.shape[1], case.config["units"]
    start = (jnp.zeros((n, units), x.dtype), jnp.zeros((n, units), x.dtype))
    outs, (h, c) = dynamic_unroll(lambda a, s: lstm_core(params, a, s), x, start)
    outs = hk_dropout(case.key, case.rate("output"), outs)
    return {"y": jnp.transpose(outs, (1, 0, 2)), "h": h, "c": c}
