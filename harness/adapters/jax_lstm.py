"""An LSTM in plain JAX: `jax.lax.scan` over the step that people write, with every dropout site of the vocabulary.

Masks are drawn before the scan, one for each site and in the order input, state.h, state.c, between_layers, output, from keys
that `jax.random.split` gives. A mask shared over time has one step, which every step uses (Gal & Ghahramani 2016,
arXiv 1512.05287); a mask for each gate makes four products instead of one.

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

import math
from typing import Any, Dict, List, Optional, Tuple

from harness.adapters.base import Job, SiteSpec, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole_slots
from harness.adapters.jax_stack import (
    Half,
    State,
    Weights,
    halves,
    initial_states,
    layer_weights,
    outputs_of,
)

ORDER = ("input", "state.h", "state.c", "between_layers", "output")


def factor(site: SiteSpec, key: Any, dtype: Any) -> Any:
    """What a site multiplies by, in its canonical shape: a scaled mask, or N(1, rate / (1 - rate)). Rate 1: zeros, no draw."""
    import jax
    import jax.numpy as jnp

    keep = 1.0 - site.rate
    if keep == 0.0:
        return jnp.zeros(site.shape, dtype)
    if site.noise == "gaussian":
        return 1.0 + math.sqrt(site.rate / keep) * jax.random.normal(key, site.shape, dtype)
    mask = jax.random.bernoulli(key, keep, site.shape).astype(dtype)
    return mask if site.scale == "none" else mask / keep


def step_of(factors: Any, axis: int) -> Tuple[Any, Any]:
    """A mask as (what every step uses, what each step takes its own slice of, time first); one of them is None."""
    import jax.numpy as jnp

    if factors is None:
        return None, None
    if factors.shape[axis] == 1:
        return jnp.squeeze(factors, axis), None
    return None, jnp.moveaxis(factors, axis, 0)


def gates_of(entering: Any, kernel: Any) -> Any:
    """(G, B, I) times (I, 4H): one product where the gates share their input, else one for each gate. Gives (B, 4H)."""
    import jax.numpy as jnp

    if entering.shape[0] == 1:
        return entering[0] @ kernel
    units = kernel.shape[1] // 4
    return jnp.concatenate([entering[gate] @ kernel[:, gate * units : (gate + 1) * units] for gate in range(4)], axis=1)


def lstm(weights: Weights, x: Any, state: State, h_factor: Any, c_factor: Any, unroll: int) -> Tuple[Any, State]:
    """Scan one layer.

    x (G, B, T, D), masked already; state h, c (B, H); h_factor (G, B, T or 1, H) and c_factor (B, T or 1, H), or None.
    Returns every step's h (B, T, H) and the last (h, c).
    """
    import jax
    import jax.numpy as jnp

    h_always, h_steps = step_of(h_factor, 2)
    c_always, c_steps = step_of(c_factor, 1)

    def step(state: State, given: Any) -> Tuple[State, Any]:
        h, c = state
        x_t, h_step, c_step = given
        h_mask = h_always if h_step is None else h_step
        c_mask = c_always if c_step is None else c_step
        entering = h[None] if h_mask is None else h[None] * h_mask
        c = c if c_mask is None else c * c_mask
        z = gates_of(x_t, weights.kernel) + gates_of(entering, weights.recurrent_kernel) + weights.bias
        i, f, g, o = jnp.split(z, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    state, y = jax.lax.scan(step, state, (jnp.moveaxis(x, 2, 0), h_steps, c_steps), unroll=unroll)
    return jnp.moveaxis(y, 0, 1), state


def sites_in_order(job: Job) -> List[SiteSpec]:
    """The sites that draw, in the order in which they do."""
    wanted = [job.site(half.sites + at) for half in halves(job) for at in ORDER]
    return [site for site in wanted if site is not None and active(job, site)]


@implementation("jax.lax.scan", ["jax"], "lstm", needs=["jax"], recipe=True)
@implementation("jax.lax.scan", ["jax"], "encoder_decoder", needs=["jax"], recipe=True)
class Scan(JaxAdapter):
    """Options: `jit`; `unroll`, how many steps one iteration of the loop holds."""

    options = {"jit": True, "unroll": 1}
    noises = ("bernoulli", "gaussian")
    sites = tuple(prefix + at for prefix in ("", "encoder.", "decoder.") for at in ORDER)

    def slots(self, job: Job) -> Any:
        """One draw a site, in its canonical shape; none at rate 1."""
        return whole_slots(job, [site for site in sites_in_order(job) if site.rate < 1.0])

    def function(self, job: Job) -> Function:
        """The layer kind."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import jax

            drawn = sites_in_order(job)
            keys = jax.random.split(key, max(len(drawn), 1))
            dtype = arrays["x"].dtype
            factors = {site.at: factor(site, keys[number], dtype) for number, site in enumerate(drawn)}
            states: Optional[List[State]] = None
            ran = []
            for half in halves(job):
                y, states = self._half(job, half, arrays, factors, states)
                ran.append((half, y, states))
            return outputs_of(job, ran)

        return call

    def _half(
        self, job: Job, half: Half, arrays: Dict[str, Any], factors: Dict[str, Any], states: Optional[List[State]]
    ) -> Tuple[Any, List[State]]:
        layers, unroll = job.config.get("layers", 1), self.option(job, "unroll")
        x = arrays[half.sequence]
        states = initial_states(job, arrays, x) if states is None else states
        masks = [factors.get(half.sites + at) for at in ORDER]
        entering, h_masks, c_masks, between, emitted = masks
        x = x[None] if entering is None else x[None] * entering
        last: List[State] = []
        for layer in range(layers):
            weights = layer_weights(job, half, layer, arrays)
            h_mask = h_masks if h_masks is None or layers == 1 else h_masks[min(layer, h_masks.shape[0] - 1)]
            c_mask = c_masks if c_masks is None or layers == 1 else c_masks[min(layer, c_masks.shape[0] - 1)]
            y, state = lstm(weights, x, states[layer], h_mask, c_mask, unroll)
            last.append(state)
            above = between if layer < layers - 1 else emitted
            if above is not None:
                y = y * (above[min(layer, above.shape[0] - 1)] if layer < layers - 1 else above)
            x = y[None]
        return y, last
