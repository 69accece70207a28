"""The LSTM with zoneout as a NumPy recipe: after each step, every element of h and c is the new one or stays the old one."""

from typing import Callable

import numpy as np

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.geometry import outputs_of
from harness.frameworks.contract.places import place_of
from harness.frameworks.numpy.base import Arrays, NumpyAdapter
from harness.frameworks.numpy.cell import constant, lstm_step
from harness.frameworks.numpy.lstm import beside, pile

Blend = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@implementation("numpy.zoneout_lstm", ["numpy"], "zoneout_lstm", needs=["numpy"], recipe=True)
class ZoneoutLstm(NumpyAdapter):
    """Decisions in training, their expectation in evaluation."""

    sites = ("state.h", "state.c")
    noises = ("zoneout",)

    def forward(self, job: Job, inputs: Arrays, weights: Arrays, draws: Arrays) -> Arrays:
        (stack,), x = job.stacks, inputs["x"]
        h, c = (inputs.get(name + "0", np.zeros(stack.state_shape(name), dtype=x.dtype)) for name in stack.states)
        blend_h, blend_c = self.blend(job, "state.h", draws), self.blend(job, "state.c", draws)
        steps = []
        for t in stack.order():
            x_t, h_t = x[..., t, :], h
            new_h, new_c = lstm_step({"units": stack.units}, weights, lambda gate: x_t, lambda gate: h_t, c)  # noqa: B023
            h, c = blend_h(new_h, h, t), blend_c(new_c, c, t)
            steps.append(h)
        return outputs_of([stack], job.config, pile(steps, -2), [[h, c]], beside)

    def blend(self, job: Job, at: str, draws: Arrays) -> Blend:
        """The state after a step from the new value, the old value and the step."""
        site = job.site(at)
        if site is None or site.silent:
            return lambda new, old, t: new
        keep, rate = site.keep, site.rate
        if not job.train:
            return lambda new, old, t: np.asarray(constant(keep, new) * new + constant(rate, new) * old)
        kept = draws[at].astype(bool)
        return lambda new, old, t: np.where(kept[place_of(site, time=t)], new, old)
