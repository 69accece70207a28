"""An LSTM in plain JAX: `jax.lax.scan` over the step that people write, with every dropout site of the vocabulary.

Masks are drawn before the scan, one for each site and in the order of `ORDER`, from keys that `jax.random.split` gives. A mask
shared over time has one step, which every step uses (Gal & Ghahramani 2016, arXiv 1512.05287); a mask for each gate makes four
products instead of one; a dropped recurrent kernel is made once a call (Merity et al. 2018, arXiv 1708.02182).

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

import math
from typing import Any, Dict, List, Optional

from harness.adapters.base import Job, SiteSpec, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, active, whole_slots
from harness.adapters.jax_lstm_step import Cell, Walk, run_layer
from harness.adapters.jax_stack import (
    HALVES,
    Half,
    State,
    above,
    directions_of,
    halves,
    initial_states,
    layers_of,
    outputs_of,
    weight_prefix,
)
from harness.tape import Slot

ORDER = ("weight.recurrent", "input", "state.h", "state.c", "between_layers", "output")


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


def sites_in_order(job: Job) -> List[SiteSpec]:
    """The sites that do anything, in the order in which they draw."""
    wanted = [job.site(half.sites + at) for half in halves(job) for at in ORDER]
    return [site for site in wanted if site is not None and active(job, site)]


class Factors(object):
    """The drawn factors by site, and the share that one layer has of each."""

    def __init__(self, job: Job, key: Any, dtype: Any) -> None:
        import jax

        drawn = sites_in_order(job)
        keys = jax.random.split(key, max(len(drawn), 1))
        self._sites = {site.at: site for site in drawn}
        self._found = {site.at: factor(site, keys[number], dtype) for number, site in enumerate(drawn)}

    def of(self, half: Half, at: str, number: int = 0, way: int = 0) -> Any:
        """The factor without its axes `layers` and `directions`; None where the site does nothing."""
        name = half.sites + at
        if name not in self._found:
            return None
        value = self._found[name]
        for axis in self._sites[name].axes:
            if axis not in ("layers", "directions"):
                break
            value = value[min(number if axis == "layers" else way, value.shape[0] - 1)]
        return value


@implementation("jax.lax.scan", ["jax"], "lstm", needs=["jax"], recipe=True)
@implementation("jax.lax.scan", ["jax"], "encoder_decoder", needs=["jax"], recipe=True)
class Scan(JaxAdapter):
    """Options: `jit`; `unroll`, how many steps one iteration of the loop holds."""

    options = {"jit": True, "unroll": 1}
    noises = ("bernoulli", "gaussian")
    sites = tuple(prefix + at for prefix in HALVES for at in ORDER)
    settings = (
        *JaxAdapter.settings,
        "forget_bias",
        "peepholes",
        "cell_clip",
        "projection",
        "projection_clip",
        "recurrent_activation",
        "bidirectional",
        "go_backwards",
        "padding",
        "drop_leaving_state",
    )

    def slots(self, job: Job) -> List[Slot]:
        """One draw a site, in its canonical shape; none at rate 1."""
        return whole_slots(job, [site for site in sites_in_order(job) if site.rate < 1.0])

    def function(self, job: Job) -> Function:
        """The layer kind."""

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            factors = Factors(job, key, arrays["x"].dtype)
            states: List[List[State]] = []
            ran = []
            for half in halves(job):
                states = states or initial_states(job, arrays, arrays[half.sequence])
                y, states = self._half(job, half, arrays, factors, states)
                ran.append((half, y, states))
            return outputs_of(job, ran)

        return call

    def _half(self, job: Job, half: Half, arrays: Dict[str, Any], factors: Factors, states: List[List[State]]) -> Any:
        import jax.numpy as jnp

        x, last = arrays[half.sequence], []
        backwards = bool(job.config.get("go_backwards"))
        for number in range(layers_of(job)):
            emitted, row = [], []
            for way in range(directions_of(job)):
                prefix = weight_prefix(job, half, number, way)
                cell = Cell(job.config, prefix, arrays, factors.of(half, "weight.recurrent", number, way))
                entering: Optional[Any] = factors.of(half, "input", number, way) if number == 0 else None
                walk = Walk(
                    backwards or way == 1,
                    factors.of(half, "state.h", number, way),
                    factors.of(half, "state.c", number, way),
                    arrays.get("lengths"),
                    job.config,
                    self.option(job, "unroll"),
                )
                y, state = run_layer(
                    cell, x[None] if entering is None else x[None] * entering, states[number][way], walk
                )
                emitted.append(y if backwards or way == 0 else y[:, ::-1])
                row.append(state)
            last.append(row)
            x = emitted[0] if len(emitted) == 1 else jnp.concatenate(emitted, axis=-1)
            part = above(job, half, number)
            if part is not None:
                name = "between_layers" if number < layers_of(job) - 1 else "output"
                x = x * factors.of(half, name, number)
        return x, last
