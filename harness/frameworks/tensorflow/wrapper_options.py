"""What a `DropoutWrapper` drops and draws, of TensorFlow 1 and 2 alike.

https://www.tensorflow.org/api_docs/python/tf/nn/RNNCellDropoutWrapper . Around one cell it drops the input, then the states that
leave the step, then the emitted output, which is not the state. Variational masks are drawn when the wrapper is made, (1, n)
for every step and the whole batch; the others are drawn at each step.

Import policy: no framework is imported here.
"""

from typing import Any, Dict, List, Optional, Tuple

from harness.frameworks.contract.adapter import Adapter, Job, Unsupported
from harness.frameworks.contract.geometry import Geometry
from harness.frameworks.contract.places import SEQUENCE, drawn_as, slots_of, thrown_away
from harness.noises import Site
from harness.tape import Slot


class Wrapped(Adapter):
    """A stack of wrapped cells. `states`: the sites of a cell's states, in the order of its state.

    Options of subclasses include `variational`.
    """

    sites: Tuple[str, ...] = ("input", "state.h", "state.c", "between_layers", "output")
    states: Tuple[str, ...] = ()
    scales: Tuple[str, ...] = ("inverted",)

    def check_wrapper(self, job: Job) -> None:
        """Raise Unsupported for what no DropoutWrapper can do."""
        for site in job.sites:
            if site.rate == 1.0 and job.train:
                raise Unsupported("keep_prob must be in (0, 1]: there is no rate 1")
            if site.at.startswith("state.") and not job.config.get("drop_leaving_state"):
                raise Unsupported("DropoutWrapper drops the state that leaves a step: set drop_leaving_state")
        state_h, state_c = job.site("state.h"), job.site("state.c")
        if state_c is not None and (state_h is None or state_h.rate != state_c.rate):
            raise Unsupported("DropoutWrapper has one state_keep_prob for h and c")

    def both_states(self, job: Job) -> bool:
        """Whether c is dropped where h is."""
        raise NotImplementedError

    def drawn_early(self, job: Job) -> bool:
        """Whether variational masks that nothing uses are drawn too."""
        raise NotImplementedError

    def rate(self, job: Job, at: str) -> float:
        """The rate of a site in training; 0 where the case has none."""
        site = job.site(at)
        return float(site.rate) if site is not None and job.train else 0.0

    def wrapped(self, job: Job, stack: Geometry) -> bool:
        """Whether the cells of a stack are wrapped at all."""
        return job.train and any(site.at.startswith(stack.sites) for site in job.sites)

    def dropped(self, job: Job, stack: Geometry, layer: int) -> List[str]:
        """The sites, without the stack's prefix, that one layer's wrapper drops, in its order."""
        states = [name for name in self.states if name == "state.h" or self.both_states(job)]
        found = ["input"] if layer == 0 and self.rate(job, stack.at("input")) > 0.0 else []
        found += states if self.rate(job, stack.at("state.h")) > 0.0 else []
        return found + ([above(stack, layer)] if self.rate(job, stack.above(layer)) > 0.0 else [])

    def slots(self, job: Job) -> List[Slot]:
        return [slot for stack in job.stacks for slot in self.stack_slots(job, stack)]

    def stack_slots(self, job: Job, stack: Geometry) -> List[Slot]:
        """The draws of one stack."""
        layers, found = range(stack.layers), []
        if not self.wrapped(job, stack):
            return []
        if not self.option(job, "variational"):
            dropped = [(layer, self.dropped(job, stack, layer)) for layer in layers]
            steps = [(layer, step, name) for step in stack.order() for layer, names in dropped for name in names]
            return [self.slot(stack, name, layer, step) for layer, step, name in steps]
        for layer in layers:
            names = self.dropped(job, stack, layer)
            for name in ("input", *self.states, above(stack, layer)):
                if name in names:
                    found.append(self.slot(stack, name, layer, None))
                elif name != "input" and self.drawn_early(job):
                    found.append(thrown_away(self.slot(stack, name, layer, None)))
        return found

    def slot(self, stack: Geometry, name: str, layer: int, step: Optional[int]) -> Slot:
        """One draw of one layer, (B, n) at a step, or (1, n) for all of them; also where the case has no such site."""
        full = stack.full(name)
        site = Site(stack.at(name), 0.0, axes=tuple(full), full=tuple(full.values()))
        drawn = drawn_as(site, gates=1, **({"batch": 1, "time": 1} if step is None else {}))
        (slot,) = slots_of(drawn, SEQUENCE[::2], layers=layer, time=step or 0)
        return slot

    def wrapper(self, tf: Any, job: Job, stack: Geometry, layer: int) -> Dict[str, Any]:
        """The arguments of one layer's DropoutWrapper. Seeds are counted through all stacks, so that no two are the same."""
        arguments: Dict[str, Any] = {
            "input_keep_prob": 1.0 - self.rate(job, stack.at("input")) if layer == 0 else 1.0,
            "state_keep_prob": 1.0 - self.rate(job, stack.at("state.h")),
            "output_keep_prob": 1.0 - self.rate(job, stack.above(layer)),
            "seed": job.seed + job.stacks.index(stack) * stack.layers + layer,
        }
        if self.option(job, "variational"):
            size = tf.TensorShape([stack.width(layer)])
            arguments.update(variational_recurrent=True, input_size=size, dtype=job.dtype)
        return arguments


def above(stack: Geometry, layer: int) -> str:
    """The site of what a layer emits, without the stack's prefix."""
    return stack.above(layer)[len(stack.sites) :]
