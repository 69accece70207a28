"""What Flax Linen's layers are asked."""

from tests.frameworks.adapter_jobs import at
from tests.frameworks.tables.jax import BACKENDS, DTYPES, ELMAN, LOCKED, ROWS, TABLE, TIME, cell, late, noise
from tests.frameworks.trial import case, full

__all__ = ["BACKENDS", "CASES", "DTYPES"]

CASES = {
    ("dropout", "flax.linen.Dropout"): noise(TIME, rate=0.3),
    ("embedding", "flax.linen.Embed"): {"rows": case(ROWS, **TABLE, exhaustive=True)},
    **cell("flax.linen", "LSTMCell", gates=True),
    **cell("flax.linen", "OptimizedLSTMCell", gates=True),
    ("gru", "flax.linen.GRUCell"): {
        "layer": late(LOCKED[1], at("output")),
        "reset before": full(reset_after=False, refused="resets after"),
    },
    ("simple_rnn", "flax.linen.SimpleCell"): {"layer": late(*ELMAN)},
}
