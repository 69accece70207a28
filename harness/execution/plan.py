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

from harness import environments
from harness.errors import did_you_mean
from harness.frameworks.contract.adapter import Implementation, implementations
from harness.frameworks.contract.framework import frameworks
from harness.noises import settled, tape_keys
from harness.records import Arrays, BackendRef, Pass, Role, Variant, Verdict
from harness.tape import BERNOULLI

#: The checks that ask for further calls after one seeding: of their masks, which the measured profile wants too, and values.
OTHER_CALL = "mask.other_call"
LATER_CALL = "value.later_call"


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One (variant, backend) to run; or, with a verdict, the reason why it cannot.

    missing   for want of an installation.
    profile   what only the measured profile needs is asked for too.
    failure   an exception of ours, for want of a plan.
    """

    variant: Variant
    backend: BackendRef
    passes: tuple[Pass, ...] = ()
    recipe: bool = False
    verdict: Verdict | None = None
    message: str = ""
    missing: bool = False
    profile: bool = False
    failure: Exception | None = None

    @property
    def worker(self) -> tuple[str, str]:
        """Which worker runs it: (environment, backend)."""
        return self.backend.environment, self.backend.backend


def stochastic(variant: Variant) -> bool:
    """Whether a variant's training pass depends on its seed."""
    return variant.mode == "train" and any(site.active for site in variant.sites)


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

    passes = [Pass(Role(variant.mode), seed, variant.mode, tape(seed), variant.gradients) for seed in variant.seeds]
    # Gradients are repeated once; what many repeats look for shows in the draws and outputs.
    again = Pass(Role.REPEAT, first, variant.mode, passes[0].tape, variant.gradients)
    passes += [again, *[dataclasses.replace(again, gradients=False)] * (variant.repeats - 1)]
    if stochastic(variant) and not replay and len(variant.seeds) == 1:
        # With gradients, though nothing reads them: the same compiled program serves it.
        passes.append(Pass(Role.OTHER, first + 1, variant.mode, gradients=variant.gradients))
    if variant.mode == "train" and variant.sites:
        passes.append(Pass(Role.EVAL, first, "eval"))
    if getattr(variant.config, "stateful", False):
        passes += [dataclasses.replace(passes[0], role=role) for role in (Role.CONTINUED, Role.RESET)]
    if profile and stochastic(variant) and not replay:
        passes.append(Pass(Role.AGAIN, first, variant.mode))
    return tuple(passes)


def calls_again(variant: Variant, ref: BackendRef, check: str) -> bool:
    """Whether a check of further calls is asked of an implementation.

    Of own code that may keep something between its calls (where the caller hands in a key, the program is traced and keeps
    nothing), and of every one where the case lists the check by name.
    """
    if check in variant.checks:
        return True
    wanted = not variant.checks or any(fnmatch.fnmatchcase(check, pattern) for pattern in variant.checks)
    return wanted and bool(ref.target) and not frameworks()[ref.backend].keyed


def masks_again(variant: Variant, ref: BackendRef) -> bool:
    """Whether the masks of a second call are asked for."""
    return stochastic(variant) and variant.draws == "native" and calls_again(variant, ref, OTHER_CALL)


def values_again(variant: Variant, ref: BackendRef) -> bool:
    """Whether the values of later calls are asked for. What a layer that keeps its states gives then is `state.continued`'s."""
    return not getattr(variant.config, "stateful", False) and calls_again(variant, ref, LATER_CALL)


def asks_again(variant: Variant, ref: BackendRef) -> bool:
    """Whether any check asks for further calls."""
    return masks_again(variant, ref) or values_again(variant, ref)


def later_calls(variant: Variant, ref: BackendRef, passes: tuple[Pass, ...]) -> tuple[Pass, ...]:
    """The passes, and those of further calls that the checks of this implementation need and that are not there."""
    wanted = []
    first = passes[0]
    if values_again(variant, ref):
        again = dataclasses.replace(first, role=Role.AGAIN)
        wanted += [again, dataclasses.replace(again, role=Role.THIRD, gradients=False)]
        evaluation = [one for one in passes if one.role is Role.EVAL and one is not first]
        wanted += [dataclasses.replace(one, role=Role.EVAL_AGAIN) for one in evaluation[:1]]
    elif masks_again(variant, ref):
        wanted.append(Pass(Role.AGAIN, variant.seeds[0], variant.mode))
    there = [one for one in passes if one.role not in {new.role for new in wanted}]
    return (*there, *wanted)


def make_tape(variant: Variant, seed: int) -> Arrays:
    """The canonical draws of one run, by site: decisions (bool) and standard normals, from a NumPy seed.

    The stream depends on the seed and the site's name alone, so variants that differ in something else share their masks,
    and normals are float32 numbers, so that every framework from float32 up takes them exactly. With draws: predicted the
    decisions are what another framework's rule gives from that seed.
    """
    if variant.draws == "predicted":
        from harness.streams import oracle

        idle = [site for site in variant.sites if not site.active]
        return oracle.tape(variant, seed) | {key: settled(site, kind) for site in idle for key, kind in tape_keys(site)}
    drawn = tape_uniforms(variant, seed)
    return {
        key: drawn[key] >= site.rate if kind == BERNOULLI else drawn[key]
        for site in variant.sites
        for key, kind in tape_keys(site)
    }


def tape_uniforms(variant: Variant, seed: int) -> Arrays:
    """What `make_tape` decides from: uniforms in [0, 1) where it decides, and its standard normals."""
    drawn: Arrays = {}
    for site in variant.sites:
        for key, kind in tape_keys(site):
            generator = np.random.Generator(np.random.PCG64([seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(key.encode())]))
            if kind == BERNOULLI:
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
        missing = [] if environments.offers(ref.environment, ref.backend) else [ref.backend]
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
