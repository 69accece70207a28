"""What to do about faults, in the words of Flax nnx."""

from harness.frameworks.contract.framework import Fix

FIXES = (
    Fix("mask.absent", "pass deterministic=False, or call module.train(), and give it rngs=nnx.Rngs(dropout=key)"),
    Fix("mask.in evaluation", "pass deterministic=True, or call module.eval()"),
    Fix("mask.fresh over time", "pass broadcast_dims=(1,) to flax.nnx.Dropout, or drop outside of nnx.scan"),
    Fix("scale.rate*", "flax.nnx.Dropout(rate) takes the probability that an element is dropped"),
    Fix("decisions.rate*", "flax.nnx.Dropout(rate) takes the probability that an element is dropped"),
    # https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/graph.html
    Fix(
        "gradient.stopped weights", "give the module the case's arrays: nnx.merge(graphdef, state) of nnx.split(module)"
    ),
    Fix("inputs.state exchanged", "the carry of Flax's LSTM cells is (c, h)"),
)
