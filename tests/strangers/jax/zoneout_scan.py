from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    h: jax.Array
    c: jax.Array


@dataclass(frozen=True)
class ZoneoutConfig:
    rate_hidden: float
    rate_cell: float
    deterministic: bool


def _mix(cfg_rate: float, u: jax.Array, previous: jax.Array, candidate: jax.Array, deterministic: bool) -> jax.Array:
    if deterministic:
        return candidate + cfg_rate * (previous - candidate)
    keep_previous = u < cfg_rate
    return jnp.where(keep_previous, previous, candidate)


def unroll(cfg: ZoneoutConfig, w, x: jax.Array, key: jax.Array):
    batch, steps, _ = x.shape
    units = w["recurrent_kernel"].shape[0]
    ku, kv = jax.random.split(key)
    u = jax.random.uniform(ku, (steps, batch, units), x.dtype)
    v = jax.random.uniform(kv, (steps, batch, units), x.dtype)
    xz = jnp.einsum("btd,dk->tbk", x, w["kernel"]) + w["bias"]

    def step(state: State, inp):
        pre, u_t, v_t = inp
        gates = pre + state.h @ w["recurrent_kernel"]
        gates = gates.reshape(batch, 4, units)
        i, f, o = (jax.nn.sigmoid(gates[:, k]) for k in (0, 1, 3))
        c = f * state.c + i * jnp.tanh(gates[:, 2])
        h = o * jnp.tanh(c)
        new = State(
            _mix(cfg.rate_hidden, u_t, state.h, h, cfg.deterministic),
            _mix(cfg.rate_cell, v_t, state.c, c, cfg.deterministic),
        )
        return new, new.h

    zero = jnp.zeros((batch, units), x.dtype)
    last, ys = jax.lax.scan(step, State(zero, zero), (xz, u, v))
    return ys.swapaxes(0, 1), last


def run(case):
    rates = {site["at"]: site["rate"] for site in case.dropout}
    cfg = ZoneoutConfig(rates["state.h"], rates["state.c"], not case.training)
    y, last = unroll(cfg, case.weights, case.inputs["x"], case.key)
    return {"y": y, "h": last.h, "c": last.c}
