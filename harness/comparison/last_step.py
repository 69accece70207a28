"""Masks of a sequence of which the case returns the last step alone.

Dropout behind `LSTM(return_sequences=False)` draws a mask for one step; dropout on the sequence, of which `[:, -1]` is taken
then, draws one for each. No output tells the two apart, so one case serves both.
"""

from __future__ import annotations

import numpy as np

from harness.comparison.context import Context
from harness.frameworks.contract.geometry import Geometry, stacks_of
from harness.records import Site


def emitting(context: Context) -> Geometry | None:
    """The stack whose y the case returns; None of a kind without one."""
    form = context.kind.form
    if form is None or "y" not in context.output_shapes:
        return None
    return stacks_of(form, context.variant.config.model_dump(), context.variant.input_shapes())[-1]


def last_alone(context: Context, site: Site) -> bool:
    """Whether a site's mask lies on a sequence of which the case returns the last step alone."""
    stack = emitting(context)
    if stack is None or "time" not in site.axes or site.at != stack.at("output"):
        return False
    return len(context.output_shapes["y"]) < len(stack.full("output"))


def on_output(context: Context, mask: np.ndarray) -> np.ndarray:
    """The part of an output's mask that lies on y: of a last step the one that each direction read last.

    mask  (B, T, F), where it is shared with a size of 1, or already (B, F).
    """
    stack = emitting(context)
    if stack is None or mask.ndim == len(context.output_shapes["y"]):
        return mask
    whole = np.broadcast_to(mask, tuple(stack.full("output").values()))
    return np.asarray(stack.last(whole, lambda parts: np.concatenate(parts, axis=-1)))
