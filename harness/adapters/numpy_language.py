"""Embedding with dropped rows and the AWD-LSTM language model as NumPy recipes, in the form of the published code.

embedding   table * mask / keep, then rows by token
model       embedding, locked dropout, and for each layer a weight-dropped LSTM and locked dropout; then the decoder
"""

import numpy as np

from harness.adapters.base import PLAIN_SETTINGS, Job, implementation
from harness.adapters.numpy_base import Arrays, NumpyAdapter
from harness.adapters.numpy_cell import dropped, product
from harness.adapters.numpy_lstm import Masks, Recurrent, stack, walk

ROWS = "embedding.rows"


def look_up(table: np.ndarray, tokens: np.ndarray, masks: Masks) -> np.ndarray:
    """Rows (B, T, E) of the dropped table, whose mask is (1, V, ·), or (B, V, ·) where each sequence has its own."""
    mask = masks.part(ROWS)
    if mask is None:
        return np.asarray(table[..., tokens, :])
    rows = []
    for b in range(len(tokens)):
        thinned = table * mask[b if mask.shape[0] > 1 else 0]
        rows.append(thinned[..., tokens[b], :])
    if not rows:
        return np.asarray(table[..., tokens, :])
    return np.stack(rows, axis=-3)


@implementation("numpy.embedding", ["numpy"], "embedding", needs=["numpy"], recipe=True)
class Embedding(NumpyAdapter):
    """The table is dropped first, then looked up."""

    sites = (ROWS,)
    noises = ("bernoulli", "gaussian")
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        table = weights["embedding"]
        return {"y": look_up(table, inputs["x"], Masks(job, draws, table))}


@implementation("numpy.awd_lstm", ["numpy"], "awd_lstm", needs=["numpy"], recipe=True)
class AwdLstm(Recurrent):
    """The whole model."""

    sites = (ROWS, "input", "between_layers", "output", *("layer%d.weight.recurrent" % n for n in range(16)))
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        table = weights["embedding"]
        masks = Masks(job, draws, table)
        x = look_up(table, inputs["x"], masks)
        layers = job.config["layers"]
        steps = [dropped(x[..., t, :], masks.part("input", time=t)) for t in range(x.shape[-2])]
        outputs: Arrays = {}
        for layer in range(layers):
            prefix = "layer%d." % layer
            own = {name[len(prefix) :]: array for name, array in weights.items() if name.startswith(prefix)}
            units = own["bias"].shape[-1] // 4
            zeros = np.zeros((len(inputs["x"]), units), dtype=table.dtype)
            state = (inputs.get(prefix + "h0", zeros), inputs.get(prefix + "c0", zeros))
            inside = Masks(job, draws, table, prefix)
            steps, (h, c) = walk({"units": units}, steps, state, own, inside, 0, 0, None)
            outputs[prefix + "h"], outputs[prefix + "c"] = h, c
            above = "output" if layer == layers - 1 else "between_layers"
            steps = [dropped(step, masks.part(above, layers=layer, time=t)) for t, step in enumerate(steps)]
        decoder = np.swapaxes(table, -1, -2) if job.config["tied"] else weights["decoder.kernel"]
        bias = weights["decoder.bias"][..., None, :]
        logits = stack([product(step, decoder) + bias for step in steps], -2)
        return dict({"y": logits}, **(outputs if job.config["return_state"] else {}))
