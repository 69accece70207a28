"""The plan: which implementations run which passes, and which checks each must answer.

A check that was planned and gave no row is an error of the run, so nothing passes on nothing.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.adapters.base import Implementation, implementations
from harness.errors import did_you_mean
from harness.execution import environments
from harness.layers.base import tape_keys
from harness.records import Arrays, BackendRef, Pass, Site, Variant, Verdict

#: Passes beside one for each seed. Their roles are what checks look for.
REPEAT, EVAL, OTHER = "repeat", "eval", "other"
#: A second call of the same layer after one seeding: for the measured profile, and for the check OTHER_CALL.
AGAIN = "again"
OTHER_CALL = "mask.other_call"
#: A second call of a layer that keeps its states: from where the first one left them, and after they were reset.
CONTINUED, RESET = "continued", "reset"


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One (variant, backend) to run; or, with a verdict, the reason why it cannot.

    missing   for want of an installation.
    profile   what only the measured profile needs is asked for too.
    """

    variant: Variant
    backend: BackendRef
    passes: tuple[Pass, ...] = ()
    recipe: bool = False
    verdict: Verdict | None = None
    message: str = ""
    missing: bool = False
    profile: bool = False

    @property
    def worker(self) -> tuple[str, str]:
        """Which worker runs it: (environment, backend)."""
        return self.backend.environment, self.backend.backend


def active(site: Site) -> bool:
    """Whether a site draws at all: a rate strictly between 0 and 1, or noise with a spread."""
    if site.noise == "additive":
        return site.stddev > 0
    return 0.0 < site.rate < 1.0


def stochastic(variant: Variant) -> bool:
    """Whether a variant's training pass depends on its seed."""
    return variant.mode == "train" and any(active(site) for site in variant.sites)


def expand(variant: Variant, select: Callable[[BackendRef], bool] = lambda _: True) -> Iterator[BackendRef]:
    """Every concrete implementation that a variant names; a whole backend gives all of its implementations.

    An implementation that the case names by itself is not repeated by a whole backend beside it.
    """
    named = {
        (ref.environment, ref.backend, ref.implementation)
        for ref in variant.backends
        if ref.implementation and not ref.options
    }
    for ref in variant.backends:
        if ref.implementation or ref.target or ref.recorded is not None:
            found = [ref]
        else:
            found = [
                dataclasses.replace(ref, implementation=one.name, whole=True)
                for one in of_backend(ref.backend, variant.layer)
                if (ref.environment, ref.backend, one.name) not in named
                and all(environments.within(ref.environment, need) for need in one.needs)
            ]
        yield from (one for one in found if select(one))


def of_backend(backend: str, layer: str) -> list[Implementation]:
    """All implementations of a layer kind that a backend has, native ones first."""
    found = [one for (owner, kind, _), one in implementations().items() if owner == backend and kind == layer]
    return sorted(found, key=lambda one: (one.recipe, one.name))


def passes_of(variant: Variant, profile: bool = False) -> tuple[Pass, ...]:
    """The calls to make of each implementation of a variant.

    One for each seed; the first seed again, as often as the case repeats it (is it bit-equal, does the same seed give the same
    mask); an eval pass (does it equal the layer without dropout); and, where masks are drawn natively and the case has one seed
    only, another seed. A layer that keeps its states is called twice, with and without a reset between the calls. For a profile
    also a second call after one seeding.
    """
    first = variant.seeds[0]
    replay = variant.draws != "native" and variant.mode == "train"

    def tape(seed: int) -> Arrays | None:
        return make_tape(variant, seed) if replay else None

    passes = [Pass(variant.mode, seed, variant.mode, tape(seed), variant.gradients) for seed in variant.seeds]
    # Gradients are repeated once; what many repeats look for shows in the draws and outputs.
    again = Pass(REPEAT, first, variant.mode, passes[0].tape, variant.gradients)
    passes += [again, *[dataclasses.replace(again, gradients=False)] * (variant.repeats - 1)]
    if stochastic(variant) and not replay and len(variant.seeds) == 1:
        # With gradients, though nothing reads them: the same compiled program serves it.
        passes.append(Pass(OTHER, first + 1, variant.mode, gradients=variant.gradients))
    if variant.mode == "train" and variant.sites:
        passes.append(Pass(EVAL, first, "eval"))
    if getattr(variant.config, "stateful", False):
        passes += [dataclasses.replace(passes[0], role=role) for role in (CONTINUED, RESET)]
    if profile and stochastic(variant) and not replay:
        passes.append(Pass(AGAIN, first, variant.mode))
    return tuple(passes)


def calls_again(variant: Variant, ref: BackendRef) -> bool:
    """Whether the check OTHER_CALL is asked of an implementation.

    Of own code that draws from a generator with a state (in JAX the caller hands in the key), and of every one where the case
    lists it by name.
    """
    if OTHER_CALL in variant.checks:
        return True
    wanted = not variant.checks or any(fnmatch.fnmatchcase(OTHER_CALL, pattern) for pattern in variant.checks)
    return wanted and bool(ref.target) and ref.backend != "jax"


def second_call(variant: Variant, ref: BackendRef, passes: tuple[Pass, ...]) -> tuple[Pass, ...]:
    """The passes, and one of a second call where the check OTHER_CALL needs it and none is there."""
    if not (stochastic(variant) and variant.draws == "native" and calls_again(variant, ref)):
        return passes
    if any(one.role == AGAIN for one in passes):
        return passes
    return (*passes, Pass(AGAIN, variant.seeds[0], variant.mode))


def make_tape(variant: Variant, seed: int) -> Arrays:
    """The canonical draws of one run, by site: decisions (bool) and standard normals, from a NumPy seed.

    The stream depends on the seed and the site's name alone, so variants that differ in something else share their masks,
    and normals are float32 numbers, so that every framework from float32 up takes them exactly. With draws: predicted the
    decisions are what another framework's rule gives from that seed.
    """
    if variant.draws == "predicted":
        from harness.streams import oracle

        return oracle.tape(variant, seed) | {
            site.at: np.full(site.shape, site.rate == 0.0) for site in variant.sites if site.rate in (0.0, 1.0)
        }
    drawn = tape_uniforms(variant, seed)
    return {
        key: drawn[key] >= site.rate if kind == "bernoulli" else drawn[key]
        for site in variant.sites
        for key, kind in tape_keys(site)
    }


def tape_uniforms(variant: Variant, seed: int) -> Arrays:
    """What `make_tape` decides from: uniforms in [0, 1) where it decides, and its standard normals."""
    drawn: Arrays = {}
    for site in variant.sites:
        for key, kind in tape_keys(site):
            generator = np.random.Generator(np.random.PCG64([seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(key.encode())]))
            if kind == "bernoulli":
                drawn[key] = generator.random(site.shape)
            else:
                drawn[key] = generator.standard_normal(site.shape, dtype=np.float32)
    return drawn


def planned(variant: Variant, ref: BackendRef, passes: tuple[Pass, ...]) -> PlannedJob:
    """One planned job, or the verdict that it cannot run here."""
    if ref.recorded is not None:
        return PlannedJob(variant, ref)
    environment = environments.resolve(ref.environment)
    if environment is None:
        message = environments.why_not(ref.environment)
        return PlannedJob(variant, ref, verdict=Verdict.ERROR, message=message, missing=True)
    if ref.target:
        missing = [] if ref.backend == "numpy" or environments.offers(ref.environment, ref.backend) else [ref.backend]
        if missing:
            message = f"not installed: {ref.backend}"
            return PlannedJob(variant, ref, verdict=Verdict.ERROR, message=message, missing=True)
        return PlannedJob(variant, ref, passes)
    assert ref.implementation is not None
    one = implementations().get((ref.backend, variant.layer, ref.implementation))
    if one is None:
        known = [found.name for found in of_backend(ref.backend, variant.layer)]
        message = f"{ref.backend} has no implementation {ref.implementation!r} of {variant.layer}"
        return PlannedJob(
            variant, ref, verdict=Verdict.UNSUPPORTED, message=message + did_you_mean(ref.implementation, known)
        )
    missing = [package for package in one.needs if not environments.offers(ref.environment, package)]
    if missing:
        # Of a whole backend, an optional package's implementations may be absent; what a case names must be there.
        essential = ref.backend in missing or not ref.whole
        verdict = Verdict.ERROR if essential else Verdict.UNSUPPORTED
        message = f"not installed: {', '.join(missing)}"
        return PlannedJob(variant, ref, recipe=one.recipe, verdict=verdict, message=message, missing=True)
    return PlannedJob(variant, ref, passes, one.recipe)
