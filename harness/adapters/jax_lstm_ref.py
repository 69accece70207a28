"""JAX's own LSTM: `jax.experimental.rnn.lstm_ref`, the reference beside its cuDNN kernel, which runs anywhere.

Weights as in torch: W_ih (4H, I), W_hh (4H, H) and two biases, gates i, f, g, o. It refuses dropout, as it could not know
cuDNN's mask. https://docs.jax.dev/en/latest/jax.experimental.rnn.html

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

from typing import Any, Dict, List

from harness.adapters.base import PLAIN_SETTINGS, Job, implementation
from harness.adapters.jax_adapter import Function, JaxAdapter
from harness.adapters.jax_stack import (
    directions_of,
    halves,
    initial_states,
    layer_weights,
    layers_of,
    outputs_of,
    places,
)
from harness.tape import Slot


@implementation("jax.experimental.rnn.lstm_ref", ["jax"], "lstm", needs=["jax"])
class LstmRef(JaxAdapter):
    """One call for the whole stack; the second bias is zero. No dropout site."""

    settings = (*PLAIN_SETTINGS, "bidirectional")

    def slots(self, job: Job) -> List[Slot]:
        """Nothing is drawn."""
        return []

    def function(self, job: Job) -> Function:
        """The layer on x."""
        layers, ways, units = layers_of(job), directions_of(job), job.config["units"]

        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            import jax.numpy as jnp
            from jax.experimental.rnn import lstm_ref

            (half,) = halves(job)
            x = arrays["x"]
            flat = [state for row in initial_states(job, arrays, x) for state in row]
            weights = [layer_weights(job, *place, arrays) for place in places(job)]
            y, h, c = lstm_ref(
                x,
                jnp.stack([h for h, _ in flat]),
                jnp.stack([c for _, c in flat]),
                {index: one.kernel.T for index, one in enumerate(weights)},
                {index: one.recurrent_kernel.T for index, one in enumerate(weights)},
                {index: one.bias for index, one in enumerate(weights)},
                {index: jnp.zeros_like(one.bias) for index, one in enumerate(weights)},
                seq_lengths=jnp.full((x.shape[0],), x.shape[1], jnp.int32),
                input_size=x.shape[2],
                hidden_size=units,
                num_layers=layers,
                dropout=0.0,
                bidirectional=ways > 1,
            )
            states = [[(h[n * ways + way], c[n * ways + way]) for way in range(ways)] for n in range(layers)]
            return outputs_of(job, [(half, y, states)])

        return call
