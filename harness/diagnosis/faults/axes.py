"""The sequence read along the batch: a batch-major x given to a layer that is time-major unless it is told otherwise.

The shapes of y are those that are asked for, so nothing but the numbers shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.diagnosis.fault import Fault, family
from harness.diagnosis.setting import Inner, Setting, drawn_at, with_gradients, with_outputs
from harness.layers.base import DoesNotFit, Evaluation
from harness.records import Arrays


@family("axes.batch_first", stage="outputs")
def batch_first(setting: Setting) -> Iterator[Fault]:
    """Time and batch exchanged on the way in, and the outputs taken as if they were not.

    States would show it by their shapes, and lengths or initial states would not fit.
    """
    shapes = setting.kind.output_shapes(setting.config, setting.shapes())
    whole = hasattr(setting.config, "return_sequences") and set(shapes) == {"y"} and set(setting.inputs) == {"x"}
    if not setting.groups or not whole or any(site.at != "output" for site in setting.sites):
        return
    if setting.inputs["x"].shape[:2] != (1, 1):
        yield Fault(
            "axes.batch_first missing",
            "time and batch exchanged: the sequence is read along the batch, as a time-major layer reads a batch-major x",
            "give x time-major and transpose y back, or ask for batch-major (torch: batch_first=True, Keras: time_major=False)",
            _along_the_batch,
        )


def _along_the_batch(setting: Setting, inner: Inner) -> Evaluation:
    config = setting.config
    x = setting.inputs["x"]
    draws: Arrays = {}
    for site in setting.sites if setting.train else ():
        mask = drawn_at(setting, site)
        if not config.return_sequences and mask.shape[1] not in (1, x.shape[1]):
            raise DoesNotFit("the mask is of another sequence")
        draws[site.at] = (mask if config.return_sequences else mask[:, -1:]).swapaxes(0, 1)
    cotangents = setting.cotangents
    if cotangents is not None:
        dy = cotangents["y"]
        if config.return_sequences:
            dy = dy.swapaxes(0, 1)
        else:
            # y[:, -1] of (batch, time, features): of what the layer takes for its batch, the last sample.
            dy = np.concatenate([np.zeros((x.shape[1] - 1, *dy.shape)), dy[None]])
        cotangents = {"y": dy}
    found = inner(
        setting.changed(
            config=config.model_copy(update={"return_sequences": True}),
            inputs={"x": x.swapaxes(0, 1)},
            sites=tuple(
                site._replace(shape=draws[site.at].shape) if site.at in draws else site for site in setting.sites
            ),
            draws=draws,
            cotangents=cotangents,
        )
    )
    y = found.outputs["y"].swapaxes(0, 1)
    found = with_outputs(found, {"y": y if config.return_sequences else y[:, -1]})
    return with_gradients(found, {"x": found.gradients["x"].swapaxes(0, 1)} if "x" in found.gradients else {})
