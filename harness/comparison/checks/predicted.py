"""`mask.predicted`: the mask that was drawn is the one that the seed alone predicts (docs/streams.md), bit for bit.

An upgrade that changes a stream shows here although every other check passes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import active_sites, native
from harness.comparison.context import Context, Evidence
from harness.errors import UserError
from harness.records import BackendRef, Verdict
from harness.streams import oracle
from harness.tape import decisions


def plans(context: Context) -> list[str]:
    """Native Bernoulli draws of the kinds that questions are asked about."""
    drawn = native(context) and any(site.masks for site in active_sites(context))
    return ["mask.predicted"] if drawn and "mask.predicted" in context.kind.checks else []


def serves(context: Context, backend: BackendRef) -> bool:
    """Whether a rule predicts anything of this implementation on this variant."""
    return oracle.asks(context.variant, backend)


@check("mask.predicted", plans, serves=serves)
def predicted(evidence: Evidence) -> Iterator[Finding]:
    """Every seed's masks against the oracle's."""
    from harness.streams import Unpredictable
    from harness.streams.registry import canonical

    assert evidence.job is not None
    backend = evidence.job.backend
    package = (backend.implementation or "").partition(".")[0]
    version = evidence.job.versions.get(canonical(f"{package}.").rstrip("."))
    compared = wrong = 0
    where, note = "", ""
    for one, result in evidence.main:
        try:
            masks, provenance = oracle.whole_mask(evidence.variant, backend, version, one.seed)
        except (Unpredictable, UserError) as error:
            yield Finding("mask.predicted", Verdict.UNSUPPORTED, cause=f"no prediction: {error}", seed=str(one.seed))
            return
        note = provenance or note
        for site in evidence.variant.sites:
            if site.at not in masks or site.at not in result.draws:
                continue
            drawn = decisions(result.draws[site.at], site.rate)
            try:
                expected = np.broadcast_to(masks[site.at], np.broadcast_shapes(masks[site.at].shape, drawn.shape))
            except ValueError:
                cause = f"{site.at}: drew {drawn.shape}, predicted {masks[site.at].shape}"
                yield Finding("mask.predicted", Verdict.FAIL, cause=cause, note=note, seed=str(one.seed))
                return
            differing = np.broadcast_to(drawn, expected.shape) != expected
            compared += differing.size
            wrong += int(np.count_nonzero(differing))
            if wrong and not where:
                where = f"seed {one.seed}, {site.at} {list(map(int, np.argwhere(differing)[0]))}"
    if not compared:
        yield Finding("mask.predicted", Verdict.UNSUPPORTED, cause="no rule predicts what is drawn at these sites")
        return
    cause = f"{wrong} of {compared} decisions are not what the seed gives" if wrong else ""
    verdict = Verdict.FAIL if wrong else Verdict.PASS
    yield Finding("mask.predicted", verdict, wrong, 0, "decisions", where, cause, note)
