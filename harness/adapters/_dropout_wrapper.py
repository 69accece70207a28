"""What a `DropoutWrapper` drops and draws, of TensorFlow 1 and 2 alike.

https://www.tensorflow.org/api_docs/python/tf/nn/RNNCellDropoutWrapper . Around one cell it drops the input, then the states that
leave the step, then the emitted output, which is not the state. Variational masks are drawn when the wrapper is made, (1, n)
for every step and the whole batch; the others are drawn at each step.

Import policy: no framework is imported here.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from harness.adapters.base import Adapter, Job, Unsupported
from harness.tape import BERNOULLI, UNUSED, Slot


class Shape(NamedTuple):
    """Sizes of a job: layers, batch, steps, input features, outputs of a cell (P or H), H."""

    layers: int
    batch: int
    time: int
    features: int
    emitted: int
    units: int


class Wrapped(Adapter):
    """A stack of wrapped cells. `states`: the sites of a cell's states, in the order of its state.

    Options of subclasses include `variational`.
    """

    sites: Tuple[str, ...] = ("input", "state.h", "state.c", "between_layers", "output")
    states: Tuple[str, ...] = ()

    def check_wrapper(self, job: Job) -> None:
        """Raise Unsupported for what no DropoutWrapper can do."""
        for site in job.sites:
            if site.scale == "none":
                raise Unsupported("DropoutWrapper scales survivors by 1 / keep_prob")
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

    def sizes(self, job: Job) -> Shape:
        """The sizes of a job."""
        batch, time, features = job.inputs["x"].shape
        units = int(job.config["units"])
        emitted = int(job.config.get("projection") or units)
        return Shape(int(job.config.get("layers", 1)), batch, time, features, emitted, units)

    def rate(self, job: Job, at: str) -> float:
        """The rate of a site in training; 0 where the case has none."""
        site = job.site(at)
        return float(site.rate) if site is not None and job.train else 0.0

    def wrapped(self, job: Job) -> bool:
        """Whether the cells are wrapped at all."""
        return job.train and bool(job.sites)

    def above(self, job: Job, layer: int) -> str:
        """The site of what one layer emits."""
        return "output" if layer == self.sizes(job).layers - 1 else "between_layers"

    def dropped(self, job: Job, layer: int) -> List[str]:
        """What one layer's wrapper drops, in its order."""
        found = ["input"] if layer == 0 and self.rate(job, "input") > 0.0 else []
        if self.rate(job, "state.h") > 0.0:
            found += [at for at in self.states if at == "state.h" or self.both_states(job)]
        above = self.above(job, layer)
        return found + ([above] if self.rate(job, above) > 0.0 else [])

    def slots(self, job: Job) -> List[Slot]:
        if not self.wrapped(job):
            return []
        sizes = self.sizes(job)
        found: List[Slot] = []
        if self.option(job, "variational"):
            for layer in range(sizes.layers):
                dropped = self.dropped(job, layer)
                for at in ("input", *self.states, self.above(job, layer)):
                    slot = self.slot(job, at, layer, None)
                    if at in dropped:
                        found.append(slot)
                    elif at != "input" and self.drawn_early(job):
                        found.append(thrown_away(slot))
            return found
        for step in range(sizes.time):
            for layer in range(sizes.layers):
                found += [self.slot(job, at, layer, step) for at in self.dropped(job, layer)]
        return found

    def slot(self, job: Job, at: str, layer: int, step: Optional[int]) -> Slot:
        """One draw of one layer: (B, n) at a step, or (1, n) for all of them."""
        sizes = self.sizes(job)
        width = {"input": sizes.features, "state.c": sizes.units}.get(at, sizes.emitted)
        batch, time = (1, 1) if step is None else (sizes.batch, sizes.time)
        lead: Tuple[int, ...] = ()
        place: Tuple[Any, ...] = ()
        if at == "between_layers":
            lead, place = (sizes.layers - 1,), (layer,)
        elif at.startswith("state.") and sizes.layers > 1:
            lead, place = (sizes.layers,), (layer,)
        if at in ("input", "state.h"):
            lead, place = (*lead, 1), (*place, 0)
        return Slot(at, BERNOULLI, (batch, width), (*lead, batch, time, width), (*place, slice(None), step or 0))

    def wrapper(self, tf: Any, job: Job, layer: int) -> Dict[str, Any]:
        """The arguments of one layer's DropoutWrapper."""
        sizes = self.sizes(job)
        arguments: Dict[str, Any] = {
            "input_keep_prob": 1.0 - self.rate(job, "input") if layer == 0 else 1.0,
            "state_keep_prob": 1.0 - self.rate(job, "state.h"),
            "output_keep_prob": 1.0 - self.rate(job, self.above(job, layer)),
            "seed": job.seed + layer,
        }
        if self.option(job, "variational"):
            features = sizes.features if layer == 0 else sizes.emitted
            arguments.update(variational_recurrent=True, input_size=tf.TensorShape([features]), dtype=job.dtype)
        return arguments


def thrown_away(slot: Slot) -> Slot:
    """The slot of a draw that nothing uses."""
    return slot._replace(site=UNUSED, canonical=slot.shape, place=())
