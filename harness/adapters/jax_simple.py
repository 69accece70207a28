"""A GRU and a simple recurrent layer in plain JAX: `jax.lax.scan` over the step that people write.

Masks are drawn before the scan, as in `jax_lstm`. Where h enters a product it may be masked, for each gate; the h that a GRU
blends into the new one is whole (Gal & Ghahramani 2016, arXiv 1512.05287, section 4).

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

from typing import Any, Dict, List

from harness.adapters.base import Job, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter, whole_slots
from harness.adapters.jax_lstm import Factors, sites_in_order
from harness.adapters.jax_lstm_step import gates_of, steps_of
from harness.adapters.jax_stack import Half, Weights, halves, layer_weights
from harness.tape import Slot


def elman(weights: Weights, x: Any, masked: Any, h: Any, after: bool) -> Any:
    """H = tanh(x W + h' U + b)."""
    import jax.numpy as jnp

    return jnp.tanh(gates_of(x, weights.kernel) + gates_of(masked, weights.recurrent_kernel) + weights.bias)


def gru(weights: Weights, x: Any, masked: Any, h: Any, after: bool) -> Any:
    """A GRU's step, gates z, r, n; the reset gate acts after the recurrent product or before it (Cho et al. 2014)."""
    import jax
    import jax.numpy as jnp

    z, r, n = jnp.split(gates_of(x, weights.kernel) + weights.bias, 3, axis=-1)
    if after:
        products = gates_of(masked, weights.recurrent_kernel) + weights.recurrent_bias
        from_z, from_r, from_n = jnp.split(products, 3, axis=-1)
    else:
        of_z, of_r, of_n = jnp.split(weights.recurrent_kernel, 3, axis=1)
        from_z, from_r = masked[0] @ of_z, masked[min(1, masked.shape[0] - 1)] @ of_r
    z, r = jax.nn.sigmoid(z + from_z), jax.nn.sigmoid(r + from_r)
    n = jnp.tanh(n + (r * from_n if after else (r * masked[-1]) @ of_n))
    return z * h + (1.0 - z) * n


@implementation("jax.lax.scan", ["jax"], "gru", needs=["jax"], recipe=True)
@implementation("jax.lax.scan", ["jax"], "simple_rnn", needs=["jax"], recipe=True)
class Scan(JaxAdapter):
    """Options: `jit`; `unroll`, how many steps one iteration of the loop holds."""

    options = {"jit": True, "unroll": 1}
    noises = ("bernoulli", "gaussian")
    sites = ("input", "state.h", "output")
    settings = (*JaxAdapter.settings, "reset_after")

    def slots(self, job: Job) -> List[Slot]:
        """One draw a site, in its canonical shape; none at rate 1."""
        return whole_slots(job, [site for site in sites_in_order(job) if site.rate < 1.0])

    def function(self, job: Job) -> Function:
        """The layer."""
        unroll = self.option(job, "unroll")

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import jax
            import jax.numpy as jnp

            (half,) = halves(job)
            x = arrays["x"]
            factors = Factors(job, key, x.dtype)
            weights = layer_weights(job, half, 0, 0, arrays)
            h_always, h_steps = steps_of(gate_first(factors, half, "state.h"), 2, False)
            entering = gate_first(factors, half, "input")
            entering = x[None] if entering is None else x[None] * entering

            def step(h: Any, given: Any) -> Any:
                x_t, h_step = given
                mask = h_always if h_step is None else h_step
                masked = h[None] if mask is None else h[None] * mask
                if job.layer == "gru":
                    new = gru(weights, x_t, masked, h, job.config["reset_after"])
                else:
                    new = elman(weights, x_t, masked, h, False)
                return new, new

            start = arrays["h0"] if "h0" in arrays else jnp.zeros((x.shape[0], weights.units), x.dtype)
            h, y = jax.lax.scan(step, start, (jnp.moveaxis(entering, 2, 0), h_steps), unroll=unroll)
            y = jnp.moveaxis(y, 0, 1)
            emitted = factors.of(half, "output")
            y = y if emitted is None else y * emitted
            outputs = {"y": y if job.config.get("return_sequences") else y[:, -1]}
            return dict(outputs, h=h) if job.config.get("return_state") else outputs

        return call


def gate_first(factors: Factors, half: Half, at: str) -> Any:
    """A site's factor (1 or G, B, T, ·): a layer of one gate has no axis for it."""
    found = factors.of(half, at)
    return found[None] if found is not None and found.ndim == 3 else found
