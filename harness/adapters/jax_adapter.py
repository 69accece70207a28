"""What every JAX implementation shares: canonical arrays in, one traced program a configuration, canonical arrays out.

A subclass writes `function(job)`: a pure function of (key, arrays) that maps the canonical arrays to the library's layout,
runs the library's layer and maps back. Because the mapping is inside, `jax.vjp` gives the gradients in the canonical layout too.
Programs are kept by what they depend on (configuration, shapes, dtype), not by seed, weights or tape.

Imported on Python 3.6 with NumPy alone: jax is imported inside functions.
"""

import collections
import json
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from harness.adapters.base import Adapter, Job, Outcome, SiteSpec
from harness.adapters.jax_cache import use_compilation_cache
from harness.adapters.jax_program import Program
from harness.adapters.jax_tap import JaxTap, key
from harness.tape import BERNOULLI, NORMAL, Draw, Slot

Function = Callable[[Any, Dict[str, Any]], Dict[str, Any]]

#: Programs kept, least recently used first; bounded, so that memory stays flat as cases grow.
KEPT = 128
_PROGRAMS: "collections.OrderedDict[Tuple[Any, ...], Program]" = collections.OrderedDict()


def precision(dtype: str) -> Any:
    """A context in which 64-bit types exist exactly when the job is in float64.

    It matters to more than the arithmetic: `jax.random.bernoulli` draws in the dtype of the probability, and a Python
    float is float64 there, so float64 jobs draw other masks than float32 ones.
    """
    import jax

    wide = dtype == "float64"
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(wide)
    from jax.experimental import disable_x64, enable_x64

    return enable_x64() if wide else disable_x64()


def active(job: Job, site: Optional[SiteSpec]) -> bool:
    """Whether a site does anything: training, and not a rate of 0 (additive noise: not a deviation of 0)."""
    if site is None or not job.train:
        return False
    return site.stddev > 0.0 if site.noise in ("additive", "masked_additive") else site.rate > 0.0


def kind_of(site: SiteSpec) -> str:
    """What one mask of a multiplicative or additive site draws."""
    return BERNOULLI if site.noise in ("bernoulli", "alpha") else NORMAL


def whole(site: SiteSpec) -> Slot:
    """The slot of a site that is drawn at once, in its canonical shape."""
    return Slot(site.at, kind_of(site), site.shape, site.shape)


class JaxAdapter(Adapter):
    """Base of all implementations in JAX. Options: `jit`, whether the whole call is compiled or run op by op."""

    options: Dict[str, Any] = {"jit": True}

    def tap(self, replay: Optional[Sequence[Draw]]) -> JaxTap:
        """The tap at the PRNG implementation."""
        return JaxTap(replay)

    def function(self, job: Job) -> Function:
        """The layer as a pure function of (key, canonical arrays); it may use everything of the job but seed and arrays."""
        raise NotImplementedError

    def arrays(self, job: Job) -> Dict[str, np.ndarray]:
        """The job's inputs and weights in one dict; their names differ."""
        return dict(job.inputs, **job.weights)

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
        program = _PROGRAMS.pop(identity, None)
        if program is None:
            program = Program(self.function(job), seed_key, arrays, self.option(job, "jit"))
        _PROGRAMS[identity] = program
        while len(_PROGRAMS) > KEPT:
            _PROGRAMS.popitem(last=False)
        return program

    def call(self, job: Job) -> Outcome:
        """Run the program of this configuration with the job's seed and arrays."""
        use_compilation_cache()
        with precision(job.dtype):
            seed_key = key(job.seed)
            arrays = self.arrays(job)
            outputs, gradients = self._program(job, seed_key, arrays).run(seed_key, arrays, job.cotangents)
            return Outcome(
                {name: np.asarray(value) for name, value in outputs.items()},
                {name: np.asarray(value) for name, value in gradients.items()},
            )


def whole_slots(job: Job, sites: Sequence[Optional[SiteSpec]]) -> List[Slot]:
    """One slot for each active site."""
    return [whole(site) for site in sites if site is not None and active(job, site)]
