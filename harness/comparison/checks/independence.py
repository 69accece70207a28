"""`mask.independence`: no element of a mask says anything of another (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.comparison.checks.base import Finding, check, settled
from harness.comparison.checks.mask import native, sizes
from harness.comparison.context import Context, Evidence
from harness.comparison.sampling import bernoulli_keys, sample, staged
from harness.records import Aim, Verdict


def independent_plans(context: Context) -> bool:
    """Worth asking only where enough pairs exist for a dependence to be seen at all."""
    return native(context) and any(sizes(site) >= 64 for site, _ in bernoulli_keys(context))


@check("mask.independence", lambda context: ["mask.independence"] if independent_plans(context) else [])
def independence(evidence: Evidence) -> Iterator[Finding]:
    """Neighbours along every axis are independent (Fisher's exact test), and no two slices of it are copies, seeds included.

    Copies along an axis that the case shares count once. Along another axis they are a dependence, and count once for the
    other axes.
    """
    from harness.comparison.statistics.dependence import copy_tests, neighbour_tests

    outcomes, drew = [], False
    for site, key in bernoulli_keys(evidence.context):
        found = sample(evidence, site, key, box=True)
        if found is None:
            continue
        drew = True
        outcomes += [(key, one) for one in found.copies()]
        outcomes += [(key, one) for one in neighbour_tests(found.kept, found.axes)]
        outcomes += [(key, one) for one in copy_tests(found.kept, found.rate, found.axes)]
    tested = [(key, outcome) for key, outcome in outcomes if outcome.draws]
    if not tested:
        verdict, cause = (Verdict.ERROR, "no pairs to compare") if drew else (Verdict.FAIL, "drew nothing")
        yield Finding("mask.independence", verdict, cause=cause)
        return
    design = staged().among(len(tested))
    key, outcome = min(tested, key=lambda item: item[1].p_value)
    judged = design.judge(outcome, evidence.stage)
    note = f"{key} {outcome.name}: p = {outcome.p_value:.2g}, worst of {len(tested)} tests"
    what, _, axis = outcome.name.partition(".")
    seen = f"neighbours along {axis} are correlated ({outcome.measured:.2f})"
    if what == "copies":
        seen = f"{outcome.measured:.0f} of its masks along {axis} are copies of others"
    limit = design.outright if evidence.stage == 1 else design.second
    yield settled(
        "mask.independence", judged, outcome.p_value * len(tested), outcome.p_value, limit, "p-value", key,
        f"{key}: {seen}, p = {outcome.p_value:.1g}", note, Aim.LEAST,
    )  # fmt: skip
