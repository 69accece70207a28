"""What Equinox' layers are asked."""

from tests.frameworks.adapter_jobs import at
from tests.frameworks.tables.jax import BACKENDS, DTYPES, LOCKED, ROWS, TABLE, TIME, cell, late, noise
from tests.frameworks.trial import case, full

__all__ = ["BACKENDS", "CASES", "DTYPES"]

# At rate 1 it divides 0 by 0: the output is chosen past that, its gradient is not.
NAN = {"rate 1": "is not finite"}

CASES = {
    ("dropout", "equinox.nn.Dropout"): noise(TIME, rate=0.3, differs=NAN),
    ("embedding", "equinox.nn.Embedding"): {"rows": case(ROWS, **TABLE, exhaustive=True, differs=NAN)},
    **cell("equinox.nn", "LSTMCell", gates=False, differs=NAN),
    ("gru", "equinox.nn.GRUCell"): {
        "layer": late(LOCKED[1], at("output"), differs=NAN),
        "state": full(at("state.h", 0.3, "gates"), refused="no dropout at 'state.h'"),
        "reset before": full(reset_after=False, refused="resets after"),
    },
}
