"""What every JAX implementation shares: canonical arrays in, one traced program a configuration, canonical arrays out.

A subclass writes `function(job)`: a pure function of (key, arrays) that maps the canonical arrays to the library's layout,
runs the library's layer and maps back. Because the mapping is inside, `jax.vjp` gives the gradients in the canonical layout too.
Programs are kept by what they depend on (configuration, shapes, dtype), not by seed, weights or tape.
"""

import collections
import json
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract.adapter import Adapter, Job, Outcome
from harness.frameworks.contract.places import Part, part_slots, place_of
from harness.frameworks.jax.cache import use_compilation_cache
from harness.frameworks.jax.lazy import precision
from harness.frameworks.jax.program import Program
from harness.frameworks.jax.tap import JaxTap, key
from harness.tape import Draw, Slot

Function = Callable[[Any, Dict[str, Any]], Dict[str, Any]]

#: Programs kept, least recently used first; bounded, so that memory stays flat as cases grow.
KEPT = 128
_PROGRAMS: "collections.OrderedDict[Tuple[Any, ...], Program]" = collections.OrderedDict()


class JaxAdapter(Adapter):
    """Base of all implementations in JAX. Options: `jit`, whether the whole call is compiled or run op by op."""

    options: Dict[str, Any] = {"jit": True}
    #: whether what drops draws at rate 1, where nothing is kept.
    draws_at_one = False

    def tap(self, replay: Optional[Sequence[Draw]]) -> JaxTap:
        """The tap at the PRNG implementation."""
        return JaxTap(replay)

    def function(self, job: Job) -> Function:
        """The layer as a pure function of (key, canonical arrays); it may use everything of the job but seed and arrays."""
        raise NotImplementedError

    def part(self, job: Job, at: str, **where: int) -> Optional[Part]:
        """What is masked at a site, at these numbers on some of its axes; None where the site changes nothing."""
        site = job.acting(at)
        return None if site is None else Part(site, place_of(site, **where))

    def slots_of(self, *parts: Optional[Part]) -> List[Slot]:
        """The draws of those parts for which anything is drawn, each made at once."""
        drawn = [part for part in parts if part is not None and (part.site.active or self.draws_at_one)]
        slots = [(part, slot) for part in drawn for slot in part_slots(*part)]
        return [slot._replace(shape=self.drawn_shape(part)) for part, slot in slots]

    def drawn_shape(self, part: Part) -> Tuple[int, ...]:
        """The shape of the array that is drawn for a part."""
        return part.shape

    def arrays(self, job: Job) -> Dict[str, np.ndarray]:
        """The job's inputs and weights in one dict; their names differ."""
        return dict(job.inputs, **job.weights)

    def baked(self, job: Job) -> Any:
        """What else of a job a traced program holds fast; None: nothing, and one program serves all."""
        return None

    def _program(self, job: Job, seed_key: Any, arrays: Dict[str, np.ndarray]) -> Program:
        settings = json.dumps([job.config, job.options], sort_keys=True, default=str)
        shapes = tuple((name, array.shape, array.dtype.name) for name, array in sorted(arrays.items()))
        identity = (
            type(self).__module__,
            type(self).__qualname__,
            job.layer,
            settings,
            job.sites,
            job.mode,
            job.dtype,
            shapes,
        )
        program = _PROGRAMS.pop((identity, self.baked(job)), None)
        if program is None:
            program = Program(self.function(job), seed_key, arrays, self.option(job, "jit"))
        # Asked again: what a program holds is known once it is traced.
        _PROGRAMS[identity, self.baked(job)] = program
        while len(_PROGRAMS) > KEPT:
            _PROGRAMS.popitem(last=False)
        return program

    def call(self, job: Job, tap: Any) -> Outcome:
        """Run the program of this configuration with the job's seed and arrays."""
        use_compilation_cache()
        with precision(job.dtype):
            seed_key = key(job.seed)
            arrays = self.arrays(job)
            outputs, gradients = self._program(job, seed_key, arrays).run(seed_key, arrays, job.cotangents, tap)
            return Outcome(
                {name: np.asarray(value) for name, value in outputs.items()},
                {name: np.asarray(value) for name, value in gradients.items()},
            )
