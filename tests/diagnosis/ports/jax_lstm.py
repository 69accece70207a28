"""LSTMs and dropout in JAX, as people write them. A docstring begins with the case and the faults planted in it."""

import jax
import jax.numpy as jnp


def of(case):
    return case.inputs["x"], case.weights["kernel"], case.weights["recurrent_kernel"], case.weights["bias"]


def out(y, h, c):
    return {"y": y, "h": h, "c": c}


def cell(carry, x, U, b, W, act=jax.nn.sigmoid, forget=0.0):
    h, c = carry
    i, f, g, o = jnp.split(x @ W + h @ U + b, 4, axis=-1)
    c = act(f + forget) * c + act(i) * jnp.tanh(g)
    h = act(o) * jnp.tanh(c)
    return (h, c), h


def scan(x, W, U, b, carry=None, reverse=False, mask=None, **options):
    """lax.scan over the time-major sequence; mask multiplies h on its way into every step."""
    zero = jnp.zeros((x.shape[0], U.shape[0]), x.dtype)
    carry = (zero, zero) if carry is None else carry

    def step(state, xt):
        h, c = state
        return cell((h if mask is None else h * mask, c), xt, U, b, W, **options)

    (h, c), y = jax.lax.scan(step, carry, x.swapaxes(0, 1), reverse=reverse)
    return y.swapaxes(0, 1), h, c


def drop(key, x, rate, shape=None):
    kept = jax.random.bernoulli(key, 1 - rate, x.shape if shape is None else shape)
    return jnp.where(kept, x / (1 - rate), 0)


def plain(case):
    """plain | right"""
    return out(*scan(*of(case)))


def with_states(case):
    """states | right"""
    return out(*scan(*of(case), carry=(case.inputs["h0"], case.inputs["c0"])))


def vmapped(case):
    """plain | right
    One sample at a time under vmap.
    """
    x, W, U, b = of(case)

    def one(sample):
        zero = jnp.zeros(U.shape[0], x.dtype)
        (h, c), y = jax.lax.scan(lambda s, xt: cell(s, xt, U, b, W), (zero, zero), sample)
        return y, h, c

    return out(*jax.vmap(one)(x))


def named_gates(case):
    """plain | right
    Flax's names: eight little matrices, the bias on the hidden ones.
    """
    x, W, U, b = of(case)
    p = {f"i{g}": w for g, w in zip("ifgo", jnp.split(W, 4, axis=1))}  # noqa: B905
    p |= {f"h{g}": (u, v) for g, u, v in zip("ifgo", jnp.split(U, 4, axis=1), jnp.split(b, 4))}  # noqa: B905
    h = c = jnp.zeros((x.shape[0], U.shape[0]), x.dtype)
    ys = []
    for t in range(x.shape[1]):
        z = {g: x[:, t] @ p["i" + g] + h @ p["h" + g][0] + p["h" + g][1] for g in "ifgo"}
        c = jax.nn.sigmoid(z["f"]) * c + jax.nn.sigmoid(z["i"]) * jnp.tanh(z["g"])
        h = jax.nn.sigmoid(z["o"]) * jnp.tanh(c)
        ys.append(h)
    return out(jnp.stack(ys, 1), h, c)


def haiku_forget_bias(case):
    """forget | right"""
    return out(*scan(*of(case), forget=1.0))


def haiku_forget_bias_unasked(case):
    """plain | bias.forget +1"""
    return out(*scan(*of(case), forget=1.0))


def flax_carry(case):
    """states | inputs.state exchanged"""
    return out(*scan(*of(case), carry=(case.inputs["c0"], case.inputs["h0"])))


def flax_carry_returned(case):
    """plain | outputs.states swapped"""
    y, h, c = scan(*of(case))
    return out(y, c, h)


def haiku_order(case):
    """plain | gates.order[i,g,f,o] all"""
    x, W, U, b = of(case)
    i, g, f, o = (slice(k * 6, k * 6 + 6) for k in range(4))
    return out(*scan(x, *(jnp.concatenate([w[..., k] for k in (i, f, g, o)], -1) for w in (W, U, b))))


def reverse_scan(case):
    """plain | inputs.reversed and back"""
    return out(*scan(*of(case), reverse=True))


def scan_over_batch(case):
    """same | inputs.axes exchanged"""
    x, W, U, b = of(case)
    zero = jnp.zeros((x.shape[0], U.shape[0]), x.dtype)
    (h, c), y = jax.lax.scan(lambda s, xt: cell(s, xt, U, b, W), (zero, zero), x)
    return out(y, h, c)


def hard_gates(case):
    """plain | activation.gates hard_sigmoid"""
    return out(*scan(*of(case), act=jax.nn.hard_sigmoid))


def stopped_states(case):
    """states | gradient.stopped initial states"""
    carry = (jax.lax.stop_gradient(case.inputs["h0"]), jax.lax.stop_gradient(case.inputs["c0"]))
    return out(*scan(*of(case), carry=carry))


def recurrent_transposed(case):
    """plain | layout.transposed recurrent_kernel"""
    x, W, U, b = of(case)
    return out(*scan(x, W, U.reshape(6, 4, 6).transpose(2, 1, 0).reshape(6, 24), b))


def kernel_transposed(case):
    """square | layout.transposed kernel"""
    x, W, U, b = of(case)
    return out(*scan(x, W.reshape(6, 4, 6).transpose(2, 1, 0).reshape(6, 24), U, b))


def time_major_out(case):
    """same | outputs.layout time-major"""
    y, h, c = scan(*of(case))
    return out(y.swapaxes(0, 1), h, c)


def dropout(case):
    """dropout | right"""
    return {"y": drop(case.key, case.inputs["x"], case.config["rate"]) if case.training else case.inputs["x"]}


def spatial(case):
    """spatial | right"""
    x = case.inputs["x"]
    return {"y": drop(case.key, x, case.config["rate"], (x.shape[0], 1, x.shape[2])) if case.training else x}


def keep_for_rate(case):
    """dropout | scale.rate at input"""
    x, rate = case.inputs["x"], case.config["rate"]
    kept = jax.random.bernoulli(case.key, 1 - rate, x.shape)
    return {"y": jnp.where(kept, x / rate, 0) if case.training else x}


def multiplied_by_keep(case):
    """dropout | scale.multiplied at input"""
    x, rate = case.inputs["x"], case.config["rate"]
    kept = jax.random.bernoulli(case.key, 1 - rate, x.shape)
    return {"y": jnp.where(kept, x * (1 - rate), 0) if case.training else x}


def state_dropout(case):
    """state | right"""
    x, W, U, b = of(case)
    mask = drop(case.key, jnp.ones((x.shape[0], 6), x.dtype), case.rate("state.h")) if case.training else None
    return out(*scan(x, W, U, b, mask=mask))


def state_dropout_unscaled(case):
    """state | scale.missing at state.h"""
    x, W, U, b = of(case)
    kept = jax.random.bernoulli(case.key, 0.6, (x.shape[0], 6)).astype(x.dtype) if case.training else None
    return out(*scan(x, W, U, b, mask=kept))


def one_mask_for_the_batch(case):
    """state | mask.shared over batch at state.h (first)"""
    x, W, U, b = of(case)
    mask = drop(case.key, jnp.ones((x.shape[0], 6), x.dtype), case.rate("state.h"))[:1] if case.training else None
    return out(*scan(x, W, U, b, mask=mask))


def forget_and_carry(case):
    """states | bias.forget +1 + inputs.state exchanged"""
    return out(*scan(*of(case), carry=(case.inputs["c0"], case.inputs["h0"]), forget=1.0))


def stopped_parameters(case):
    """plain | gradient.stopped weights"""
    x, *own = of(case)
    return out(*scan(x, *jax.tree.map(jax.lax.stop_gradient, own)))
