"""Fresh draws for a suspicious result: the same implementation again, with seeds that the first stage has not seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from harness.execution.plan import PlannedJob, passes_of, planned, stochastic
from harness.layers.base import tape_keys
from harness.records import BackendRef, Pass, Role, Variant

#: The first of the fresh seeds; seeds of the case are passed over.
FIRST_SEED = 1000
#: At most so many drawn values are made and held for one second stage: 256 MB of float32.
MOST_VALUES = 1 << 26


def fresh_passes(variant: Variant, factor: int) -> list[Pass]:
    """`factor` times as many passes as the first stage had independent ones, each of another seed; only draws are wanted.

    Fewer where one pass draws so much that they would not fit (MOST_VALUES), but at least one.
    """
    if variant.draws != "native" or not stochastic(variant):
        return []
    first = max(2, len(variant.seeds))
    used = {*variant.seeds, variant.seeds[0] + 1}
    values = sum(int(np.prod(site.shape, dtype=np.int64)) for site in variant.sites for _ in tape_keys(site))
    count = max(1, min(factor * first, MOST_VALUES // max(1, values)))
    seeds = (seed for seed in itertools.count(FIRST_SEED) if seed not in used)
    return [Pass(Role(variant.mode), seed, variant.mode) for seed in itertools.islice(seeds, count)]


def fresh_jobs(variant: Variant, ref: BackendRef, factor: int) -> Iterator[PlannedJob]:
    """The second stage as jobs, each of as many passes as the first stage's job, for which the case's time limit was meant."""
    passes = fresh_passes(variant, factor)
    size = len(passes_of(variant))
    for start in range(0, len(passes), size):
        yield planned(variant, ref, tuple(passes[start : start + size]))
