"""What to do about faults, in Equinox' words."""

from harness.frameworks.contract.framework import Fix

FIXES = (
    Fix("mask.absent", "pass inference=False, and a key"),
    Fix("mask.in evaluation", "pass inference=True, or take eqx.nn.inference_mode(module)"),
    Fix("scale.rate*", "equinox.nn.Dropout(p) takes the probability that an element is dropped"),
    Fix("decisions.rate*", "equinox.nn.Dropout(p) takes the probability that an element is dropped"),
    # https://docs.kidger.site/equinox/api/manipulation/
    Fix(
        "gradient.stopped weights",
        "give the module the case's arrays: eqx.tree_at(lambda m: m.cell.weight_ih, module, array)",
    ),
)
