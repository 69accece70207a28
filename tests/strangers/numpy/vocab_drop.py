import numpy as np


def embedded_dropout(table, tokens, rate, rng):
    """Whole words vanish, everywhere in the batch."""
    if rate:
        alive = rng.bernoulli(1 - rate, (table.shape[0],))
        table = table * (alive / (1 - rate))[:, np.newaxis].astype(table.dtype)
    return table[tokens]


def run(case):
    return {"y": embedded_dropout(case.weights["embedding"], case.inputs["x"], case.rate("embedding.rows"), case.rng)}
