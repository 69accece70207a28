"""`mask.frequency`: every position, time step, gate and sample drops equally often (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.comparison.checks.base import Finding, check, settled
from harness.comparison.checks.mask import native, sizes
from harness.comparison.context import Context, Evidence
from harness.comparison.sampling import bernoulli_keys, sample, staged
from harness.records import Verdict

#: Fewer decisions than this show no bias of any size along an axis.
ENOUGH = 64


def wanted(context: Context) -> list[str]:
    """Asked where frameworks draw for themselves, and enough to see a difference between positions."""
    enough = any(sizes(site) >= ENOUGH and max(site.shape) < sizes(site) for site, _ in bernoulli_keys(context))
    return ["mask.frequency"] if native(context) and enough else []


@check("mask.frequency", wanted)
def frequency(evidence: Evidence) -> Iterator[Finding]:
    """The share dropped at each position of each axis, and in each seed's mask, against the realised rate.

    Axes over which a mask is constant count once: copies are no evidence. Equal masks of several seeds do so too. Of
    packed sequences only the steps that all of them have are judged.
    """
    from harness.comparison.statistics.frequencies import frequency_tests

    tested = []
    for site, key in bernoulli_keys(evidence.context):
        found = sample(evidence, site, key, box=True)
        if found is None:
            continue
        distinct = found.distinct
        for outcome in frequency_tests(distinct, found.rate, found.axes):
            lines = distinct.size // distinct.shape[found.axes.index(outcome.name.removeprefix("frequency."))]
            tested.append((key, outcome, lines, found.rate))
    if not tested:
        yield Finding("mask.frequency", Verdict.FAIL, cause="drew nothing to compare")
        return
    design = staged().among(len(tested))
    key, outcome, lines, rate = min(tested, key=lambda item: item[1].p_value)
    axis = outcome.name.removeprefix("frequency.")
    judged = design.judge(outcome, evidence.stage)
    seen = design.smallest_bias(lines, rate)
    note = f"{key} along {axis}: p = {outcome.p_value:.2g}, worst of {len(tested)} axes; "
    note += f"a single position off by {seen:.2g} would show" if seen < 1.0 else "too few to judge single positions"
    cause = f"{key}: along {axis} the elements do not drop equally often; at {outcome.where} a share of "
    cause += f"{outcome.measured:.3g}, expected {rate:.3g}, p = {outcome.p_value:.1g}"
    yield settled(
        "mask.frequency", judged, outcome.p_value * len(tested), outcome.measured, outcome.expected, "dropped share",
        f"{axis} {outcome.where}", cause, note,
    )  # fmt: skip
