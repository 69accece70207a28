"""`jax.experimental.rnn.lstm_ref`, the plain implementation that stands beside JAX's cuDNN LSTM.

Weights are as in torch: W_ih (4H, I), W_hh (4H, H) and two biases, gates i, f, g, o. It refuses dropout, as it could not know
cuDNN's mask. https://docs.jax.dev/en/latest/jax.experimental.rnn.html
"""

from typing import Any, Dict, List

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.jax.base import Function, JaxAdapter
from harness.frameworks.jax.lazy import jnp
from harness.frameworks.jax.stack import StackAdapter, finished
from harness.tape import Slot


@implementation("jax.experimental.rnn.lstm_ref", ["jax"], "lstm", needs=["jax"])
class LstmRef(StackAdapter):
    """One call for the whole stack; the second bias is zero. No dropout site."""

    options = JaxAdapter.options
    sites = ()
    settings = (*PLAIN_SETTINGS, "bidirectional")
    scales = JaxAdapter.scales
    shared: Dict[str, Any] = {}
    because: Dict[str, str] = {}

    def slots(self, job: Job) -> List[Slot]:
        return []

    def function(self, job: Job) -> Function:
        def call(key: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
            from jax.experimental.rnn import lstm_ref

            (stack,), (rows,) = job.stacks, self.layers(job, arrays)
            layers = [layer for row in rows for layer in row]
            h, c = (jnp.stack(states) for states in zip(*(layer.start(arrays) for layer in layers)))
            weights = {
                name: {number: layer.weights[name].T for number, layer in enumerate(layers)}
                for name in ("kernel", "recurrent_kernel", "bias")
            }
            y, h, c = lstm_ref(
                arrays["x"],
                h,
                c,
                *weights.values(),
                {number: jnp.zeros_like(bias) for number, bias in weights["bias"].items()},
                seq_lengths=jnp.full((stack.batch,), stack.time, jnp.int32),
                input_size=stack.features,
                hidden_size=stack.units,
                num_layers=stack.layers,
                dropout=0.0,
                bidirectional=stack.directions > 1,
            )
            ends = iter(zip(h, c))
            return finished(job, y, [[[next(ends) for _ in row] for row in rows]])

        return call
