"""`mask.rate`: the share dropped is what the rate gives (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.comparison.checks.base import Finding, check, settled
from harness.comparison.checks.mask import native
from harness.comparison.context import Evidence
from harness.comparison.sampling import MATTERS, bernoulli_keys, sample, staged
from harness.records import Aim, Verdict
from harness.tape import BERNOULLI, UNIFORM

if TYPE_CHECKING:
    from harness.comparison.statistics.design import TwoStage


@check("mask.rate", lambda context: ["mask.rate"] if native(context) and bernoulli_keys(context) else [])
def rate(evidence: Evidence) -> Iterator[Finding]:
    """The share dropped is what the rate gives: an exact binomial test, and the rate asked for at the border."""
    from harness.comparison.statistics.rates import rate_test

    tested = []
    for site, key in bernoulli_keys(evidence.context):
        found = sample(evidence, site, key)
        if found is None:
            yield Finding("mask.rate", Verdict.FAIL, cause=f"{key}: drew nothing")
            return
        # Half a unit of the coarsest border parameter (float32) is no other rate; a coarser draw is told in the note.
        if found.draw.kind == BERNOULLI and abs(found.rate - site.rate) > 2.0**-20:
            cause = f"{key}: asks the generator for a drop rate of {found.rate:.6g}, the case has {site.rate:.6g}"
            yield Finding("mask.rate", Verdict.FAIL, found.rate, site.rate, "drop rate asked", key, cause, aim=Aim.MEET)
            return
        tested.append((found, rate_test(found.distinct[found.drawn_by_all], found.rate)))
    found, outcome = min(tested, key=lambda item: item[1].p_value)
    design = staged().among(len(tested))
    judged = design.judge(outcome, evidence.stage)
    note = (
        f"{found.key}: p = {outcome.p_value:.2g} over {outcome.draws} draws, {shown(outcome.draws, found.rate, design)}"
    )
    if len(tested) > 1:
        note += f"; worst of {len(tested)} sites"
    if f"{found.rate:.6g}" != f"{found.site.rate:.6g}" and found.draw.kind == UNIFORM:
        note += f"; a {found.draw.values.dtype.name} draw realises {found.rate:.6g} of {found.site.rate:.6g}"
    cause = f"{found.key}: drops {outcome.measured:.4g} of {outcome.draws}, p = {outcome.p_value:.1g}"
    yield settled(
        "mask.rate", judged, outcome.p_value * len(tested), outcome.measured, found.rate, "dropped share", found.key, cause, note
    )  # fmt: skip


def shown(draws: int, rate: float, design: TwoStage) -> str:
    """What so many draws at first show, and where that is little how many would show MATTERS."""
    bias = design.smallest_bias(draws, rate)
    text = f"which show a bias of {bias:.2g}" if bias < 1.0 else "too few to show any bias"
    if bias > MATTERS and min(rate, 1.0 - rate) > MATTERS:
        text += f" (one of {MATTERS:g} takes {design.draws_needed(rate, MATTERS)})"
    return text
