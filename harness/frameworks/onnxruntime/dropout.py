"""ONNX' Dropout: `output, mask = Dropout(data, ratio, training_mode)`, with a seed of its own.

https://onnx.ai/onnx/operators/onnx__Dropout.html . The mask is an output, so it is recorded from there.
"""

from typing import List

import numpy as np

from harness.frameworks.contract.adapter import Job, Tap, implementation
from harness.frameworks.contract.capabilities import EVERY, OWN
from harness.frameworks.onnxruntime.graph import Arrays, Node, OrtAdapter, run
from harness.noises import whole_slots
from harness.tape import BERNOULLI, Draw, Slot

SITE = "input"


@implementation("onnxruntime.Dropout", ["onnxruntime"], "dropout", needs=["onnxruntime", "onnx"])
class Dropout(OrtAdapter):
    """In both modes: with `training_mode` false, or ratio 0, it gives its input."""

    sites = (SITE,)

    shared = {EVERY: (OWN,)}
    scales = ("inverted",)
    rate_one = False
    because = {
        **OrtAdapter.because,
        "shared": "it decides for every element on its own",
        "rate_one": "the ratio lies in [0, 1)",
    }

    def slots(self, job: Job) -> List[Slot]:
        site = job.acting(SITE)
        return [] if site is None else whole_slots(site)

    def outputs(self, job: Job, tap: Tap) -> Arrays:
        site = job.site(SITE)
        x = job.inputs["x"]
        scalar = np.float64 if x.dtype == np.float64 else np.float32
        given = {
            "ratio": np.asarray(0.0 if site is None else site.rate, dtype=scalar),
            "training_mode": np.asarray(job.train),
        }
        node = Node("Dropout", ("x", "ratio", "training_mode"), ("y", "mask"), {"seed": job.seed})
        y, mask = run([node], given, {"x": x}, ["y", "mask"])
        if self.slots(job):
            tap.draws.append(Draw(BERNOULLI, mask))
        return {"y": y}
