"""What to do about faults, in Flax Linen's words."""

from harness.frameworks.contract.framework import Fix

FIXES = (
    Fix("mask.absent", "pass deterministic=False, and a key: rngs={'dropout': key}"),
    Fix("mask.in evaluation", "pass deterministic=True"),
    Fix("mask.fresh over time", "pass broadcast_dims=(1,) to flax.linen.Dropout, or drop outside of nn.scan"),
    Fix("scale.rate*", "flax.linen.Dropout(rate) takes the probability that an element is dropped"),
    Fix("decisions.rate*", "flax.linen.Dropout(rate) takes the probability that an element is dropped"),
    # https://flax.readthedocs.io/en/latest/api_reference/flax.linen/module.html
    Fix("gradient.stopped weights", "give the module the case's arrays: module.apply({'params': weights}, x)"),
    Fix("inputs.state exchanged", "the carry of Flax's LSTM cells is (c, h)"),
)
