"""A layer of one state h whose dropped output is its state: `h = dropout(cell(x, h)); ys.append(h)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.diagnosis.fault import Fault, family
from harness.diagnosis.faults.activations import odd
from harness.diagnosis.faults.masks import drawing
from harness.diagnosis.faults.sites import at_other, carried
from harness.diagnosis.setting import Inner, Setting, drawn_at, with_outputs
from harness.layers.base import Evaluation
from harness.records import Site


@family("site.fed", stage="draws")
def fed_back(setting: Setting) -> Iterator[Fault]:
    """The dropped output fed back, from a start at zero (which no mask changes)."""
    oddities = setting.kind.oddities
    if oddities is None or oddities.fed is None or "h0" in setting.inputs:
        return
    fed = oddities.fed
    output = setting.site("output")
    if output is None or output not in drawing(setting) or setting.site("state.h") is not None:
        return
    found = at_other(setting, output, "state.h")
    if found is None:
        return
    state = found[0]

    def run(setting: Setting, inner: Inner) -> Evaluation:
        if not setting.train or output.at not in setting.draws:
            return inner(setting)
        return _fed(setting, inner, output, state, fed)

    yield Fault(
        "site.fed back",
        "the dropped output is the state that the next step reads",
        "drop what is emitted, and hand the undropped h to the next step",
        run,
    )


def _fed(setting: Setting, inner: Inner, output: Site, state: Site, fed: Mapping[str, Any]) -> Evaluation:
    """Step t reads the h that step t - 1 has dropped: its mask, one step later."""
    draw = carried(drawn_at(setting, output), output, state)
    axis = state.axes.index("time")
    time = setting.inputs["x"].shape[1]
    if draw.shape[axis] == time and time > 1:
        first = np.ones_like(draw.take([0], axis))
        draw = np.concatenate([first, draw.take(range(time - 1), axis)], axis)
        size = tuple(time if n == axis else one for n, one in enumerate(state.shape))
        state = state._replace(shape=size)
    config = setting.config.model_copy(update={"return_sequences": True})
    cotangents = setting.cotangents
    if cotangents is not None:
        dy = np.zeros(setting.kind.output_shapes(config, setting.shapes())["y"])
        if "y" in cotangents:
            dy[:, slice(None) if setting.config.return_sequences else -1] = cotangents["y"]
        # The last state is the last dropped output.
        dy[:, -1] += cotangents.get("h", 0.0)
        cotangents = {"y": dy}
    changed = setting.changed(
        config=config,
        cotangents=cotangents,
        sites=(*setting.sites, state),
        draws={**setting.draws, state.at: draw},
    )
    found = odd(fed)(changed, inner)
    y = found.outputs["y"]
    last = {"h": y[:, -1]} if setting.config.return_state else {}
    found = dataclasses.replace(found, outputs={name: array for name, array in found.outputs.items() if name != "h"})
    return with_outputs(found, {"y": y if setting.config.return_sequences else y[:, -1], **last})
