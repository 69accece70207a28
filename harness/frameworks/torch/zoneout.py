"""An LSTM with zoneout in torch, written as people write it: `mask * new + (1 - mask) * old` after each step.

A mask is drawn by `bernoulli_(1 - rate)` when a step first needs it, h's before c's, and kept for the steps that share it.
Equations: harness.layers.zoneout_lstm.
"""

from typing import Any, Dict, List

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.capabilities import SCALES
from harness.frameworks.contract.geometry import outputs_of
from harness.frameworks.contract.places import part_shape
from harness.frameworks.torch.arrays import torch_module
from harness.frameworks.torch.base import Written, beside
from harness.frameworks.torch.loops import slots_by_step, step_place
from harness.tape import Slot


class Blend:
    """The state after a step at one site."""

    def __init__(self, job: Job, at: str) -> None:
        self.site, self.train = job.site(at), job.train
        self.masks: Dict[str, Any] = {}

    def __call__(self, new: Any, old: Any, step: int) -> Any:
        site = self.site
        if site is None or site.silent:
            return new
        if not self.train:
            return site.keep * new + site.rate * old
        place = step_place(site, 0, step)
        if str(place) not in self.masks:
            self.masks[str(place)] = new.new_empty(part_shape(site, place)).bernoulli_(site.keep)
        mask = self.masks[str(place)]
        return mask * new + (1.0 - mask) * old


@implementation("recipe.zoneout_lstm", ["torch"], "zoneout_lstm", needs=["torch"], recipe=True)
class ZoneoutLstm(Written):
    """The loop over the steps."""

    sites = ("state.h", "state.c")
    noises = ("zoneout",)
    scales = SCALES  # there is nothing to scale

    def slots(self, job: Job) -> List[Slot]:
        steps = job.stacks[0].order()
        return slots_by_step((job.acting(at), 0, step) for step in steps for at in self.sites)

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        torch, x = torch_module(), inputs["x"]
        zeros = x.new_zeros((x.shape[0], job.config["units"]))
        h, c = inputs.get("h0", zeros), inputs.get("c0", zeros)
        blend_h, blend_c = (Blend(job, at) for at in self.sites)
        emitted = []
        for step, entering in enumerate(x.unbind(1)):
            z = entering @ built["kernel"] + h @ built["recurrent_kernel"] + built["bias"]
            i, f, g, o = z.chunk(4, dim=-1)
            new_c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            new_h = torch.sigmoid(o) * torch.tanh(new_c)
            h, c = blend_h(new_h, h, step), blend_c(new_c, c, step)
            emitted.append(h)
        return outputs_of(job.stacks, job.config, torch.stack(emitted, 1), [(h, c)], beside)
