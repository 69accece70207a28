"""What Flax nnx's layers are asked."""

from tests.frameworks.adapter_jobs import at
from tests.frameworks.tables.jax import BACKENDS, DTYPES, ELMAN, ROWS, TABLE, TIME, cell, late, noise
from tests.frameworks.trial import case, full

__all__ = ["BACKENDS", "CASES", "DTYPES"]

CASES = {
    ("dropout", "flax.nnx.Dropout"): noise(TIME, rate=0.3),
    ("embedding", "flax.nnx.Embed"): {
        "rows": case(ROWS, **TABLE, exhaustive=True),
        "a table for each": case(at("embedding.rows"), **TABLE, refused="on the table"),
    },
    **cell("flax.nnx", "LSTMCell", gates=True),
    **cell("flax.nnx", "OptimizedLSTMCell", gates=True),
    ("gru", "flax.nnx.GRUCell"): {"layer": full(refused="no bias in the recurrent product")},
    ("simple_rnn", "flax.nnx.SimpleCell"): {"layer": late(*ELMAN)},
}
