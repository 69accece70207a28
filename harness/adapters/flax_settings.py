"""What Linen and nnx have in common: gate names, collections of keys, settings of their cells and RNN.

Imported on Python 3.6 with NumPy alone.
"""

from typing import Any, Tuple

from harness.adapters.base import PLAIN_SETTINGS, Job, Unsupported

GATES = ("i", "f", "g", "o")

#: Collections (Linen) or streams (nnx) of keys: the usual one, and one for masks that every step of a sequence uses.
EACH_STEP = "dropout"
ALL_STEPS = "recurrent_dropout"

FLAX_SETTINGS = (*PLAIN_SETTINGS, "bidirectional", "go_backwards", "padding", "recurrent_activation", "reset_after")


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
    if job.config.get("reset_after") is False:
        raise Unsupported("GRUCell resets after the recurrent product, not before it")


def carry_of(job: Job, state: Tuple[Any, Any]) -> Any:
    """The library's carry of a state (h, c): (c, h) for an LSTM, h alone for a GRU and a simple layer."""
    return state[0] if job.layer in ("gru", "simple_rnn") else (state[1], state[0])


def state_of(carry: Any) -> Tuple[Any, Any]:
    """(h, c) of a carry; where there is no c, h stands in its place and nobody reads it."""
    return (carry[1], carry[0]) if isinstance(carry, tuple) else (carry, carry)
