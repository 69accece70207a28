"""Embedding with dropped rows and the AWD-LSTM language model as NumPy recipes, in the form of the published code.

embedding   table * mask / keep, then rows by token
model       embedding, locked dropout, and for each layer a weight-dropped LSTM and locked dropout; then the decoder
"""

import numpy as np

from harness.frameworks.contract.adapter import PLAIN_SETTINGS, Job, implementation
from harness.frameworks.contract.geometry import own_part
from harness.frameworks.numpy.base import Arrays, NumpyAdapter
from harness.frameworks.numpy.cell import product
from harness.frameworks.numpy.lstm import Masks, Recurrent, emitted_by, pile, walk

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

    sites = (ROWS, "input", "between_layers", "output", "weight.recurrent")
    settings = (*PLAIN_SETTINGS, "vocabulary", "features")

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        table = weights["embedding"]
        masks = Masks(job, draws, table)
        x = look_up(table, inputs["x"], masks)
        (stack,) = job.stacks
        steps = [x[..., t, :] for t in range(x.shape[-2])]
        outputs: Arrays = {}
        for layer in range(stack.layers):
            prefix = stack.prefix(layer)
            own = own_part(prefix, weights)
            units = own["bias"].shape[-1] // 4
            zeros = np.zeros((len(inputs["x"]), units), dtype=table.dtype)
            state = (inputs.get(prefix + "h0", zeros), inputs.get(prefix + "c0", zeros))
            steps, (h, c) = walk(stack, {"units": units}, steps, state, own, masks, layer, 0, None)
            outputs[prefix + "h"], outputs[prefix + "c"] = h, c
            steps = emitted_by(stack, layer, steps, masks)
        decoder = np.swapaxes(table, -1, -2) if job.config["tied"] else weights["decoder.kernel"]
        bias = weights["decoder.bias"][..., None, :]
        logits = pile([product(step, decoder) + bias for step in steps], -2)
        return dict({"y": logits}, **(outputs if job.config["return_state"] else {}))
