"""Weights copied into a layer of its own, and outputs that left the framework: the numbers are right, no gradient arrives.

The most usual port of all is a module whose own parameters are given the case's numbers (`copy_`, `load_state_dict`,
`set_weights`, `assign`). That computes the same, but the case's tensors are no longer part of it. Every framework can call a
module with other tensors in the place of its parameters, and its `fixes.py` says how.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, family
from harness.diagnosis.faults.gradients import named, on_gradients
from harness.diagnosis.setting import Setting


@family("gradient.lost", stage="gradients")
def lost(setting: Setting) -> Iterator[Fault]:
    """No gradient reaches any weight, or none reaches anything."""
    if setting.cotangents is None:
        return
    groups = [names for _, names in named(setting)]
    weights = tuple(name for name in setting.weights if any(name in names for names in groups))
    if len([names for names in groups if names[0] in weights]) > 1:
        yield Fault(
            "gradient.stopped weights",
            "the gradient stops before all weights: they were copied into a layer's own",
            "call the layer with the case's own tensors in the place of its parameters",
            on_gradients(weights, np.zeros_like),
            0.9,
            otherwise="where that is meant, compare the gradients of the inputs alone: `gradients: inputs` in the case",
        )
    if len(groups) > 1:
        yield Fault(
            "gradient.stopped everywhere",
            "no gradient arrives anywhere: the outputs do not depend on the case's tensors any more",
            "return the framework's own tensors: nothing detached or turned into an array on the way",
            on_gradients(None, np.zeros_like),
            0.9,
        )
