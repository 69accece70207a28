"""What the JAX libraries' cells hold and return, untranslated, for `Adapter.native`.

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

from typing import Any, Callable, Dict, Tuple

import numpy as np

from harness.adapters.base import Job
from harness.adapters.jax_adapter import JaxAdapter
from harness.adapters.jax_stack import Weights, directions_of, halves, layer_weights, layers_of, places


def single(job: Job) -> bool:
    """Whether the job is one layer that reads its whole sequence forward."""
    config = job.config
    plain = not (config.get("go_backwards") or config.get("padding"))
    return plain and job.layer in ("lstm", "gru", "simple_rnn") and layers_of(job) == 1 and directions_of(job) == 1


def given(adapter: JaxAdapter, job: Job) -> Tuple[Dict[str, Any], Weights]:
    """The job's arrays on the device, and the layer's canonical weights."""
    import jax.numpy as jnp

    arrays = {name: jnp.asarray(array) for name, array in adapter.arrays(job).items()}
    return arrays, layer_weights(job, halves(job)[0], 0, 0, arrays)


def stacked(adapter: JaxAdapter, job: Job, of_cell: Callable[[Weights], Any]) -> Dict[str, np.ndarray]:
    """The parameters of every cell of a stack, `encoder.0.backward/hi/kernel`; {} for what is no stack of LSTM cells."""
    import jax.numpy as jnp

    if job.layer not in ("lstm", "encoder_decoder"):
        return {}
    arrays = {name: jnp.asarray(array) for name, array in adapter.arrays(job).items()}
    held = {}
    for half, number, way in places(job):
        if half.weights in {other.weights for other in halves(job)[: halves(job).index(half)]}:
            continue  # tied halves have the same cells
        name = "%s%d%s" % (half.weights, number, ("", ".backward")[way])
        held[name] = of_cell(layer_weights(job, half, number, way, arrays))
    return shown(held, ())


def shown(held: Any, state: Any) -> Dict[str, np.ndarray]:
    """The arrays of a tree of parameters by their path, `hi/kernel`, and the parts of a state in their own order."""
    found: Dict[str, np.ndarray] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(path + "/" + str(name) if path else str(name), inner)
        else:
            found[path] = np.asarray(value)

    walk("", held)
    parts = state if isinstance(state, (tuple, list)) else (state,)
    found.update(("state%d" % index, np.asarray(part)) for index, part in enumerate(parts))
    return found
