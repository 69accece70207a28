"""What Linen and nnx have in common: gate names, collections of keys, settings of their cells and RNN.

Imported on Python 3.6 with NumPy alone.
"""

from harness.adapters.base import PLAIN_SETTINGS, Job, Unsupported

GATES = ("i", "f", "g", "o")

#: Collections (Linen) or streams (nnx) of keys: the usual one, and one for masks that every step of a sequence uses.
EACH_STEP = "dropout"
ALL_STEPS = "recurrent_dropout"

FLAX_SETTINGS = (*PLAIN_SETTINGS, "bidirectional", "go_backwards", "padding", "recurrent_activation")


def check_settings(job: Job) -> None:
    """Raise Unsupported for other paddings than `free` and another activation than JAX's hard sigmoid, of slope 1/6."""
    padding = job.config.get("padding")
    if padding not in (None, "free"):
        raise Unsupported(
            "RNN(seq_lengths=...) leaves outputs past the end as they come: padding is free, not %s" % padding
        )
    activation = job.config.get("recurrent_activation")
    if activation not in (None, "hard_sigmoid"):
        raise Unsupported("gate_fn is jax.nn's: there is no %s" % activation)
