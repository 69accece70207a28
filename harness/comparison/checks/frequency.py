"""`mask.frequency`: every position, time step, gate and sample drops equally often (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import LUCK, bernoulli_keys, common_steps, native, pooled, realised, sizes
from harness.comparison.context import Context, Evidence
from harness.records import Verdict
from harness.tape import decisions

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
    from harness.comparison.statistics.design import FamilyWise, smallest_bias
    from harness.comparison.statistics.frequencies import frequency_tests
    from harness.comparison.statistics.sharing import shared_axes

    tested = []
    for site, key in bernoulli_keys(evidence.context):
        draws = [common_steps(evidence.context, site, draw) for _, _, draw in pooled(evidence, key)]
        if not draws:
            continue
        rate = realised(site, draws[0])
        masks = [decisions(draw, site.rate) for draw in draws if draw.values.shape == draws[0].values.shape]
        single = masks[0]
        copied = shared_axes(single, site.rate, LUCK).shared
        keep = tuple(slice(0, 1) if axis in copied else slice(None) for axis in range(single.ndim))
        distinct = np.stack(list({mask.tobytes(): mask[keep] for mask in masks}.values()))
        names = ("seeds", *(site.axes if len(site.axes) == single.ndim else map(str, range(single.ndim))))
        for outcome in frequency_tests(distinct, rate, names):
            lines = distinct.size // distinct.shape[names.index(outcome.name.removeprefix("frequency."))]
            tested.append((key, outcome, lines, rate))
    if not tested:
        yield Finding("mask.frequency", Verdict.FAIL, cause="drew nothing to compare")
        return
    level = FamilyWise(LUCK, len(tested)).level
    key, outcome, lines, rate = min(tested, key=lambda item: item[1].p_value)
    axis = outcome.name.removeprefix("frequency.")
    bad = outcome.rejects(level)
    seen = smallest_bias(lines, rate, level)
    note = f"{key} along {axis}: p = {outcome.p_value:.2g}, worst of {len(tested)} axes; "
    note += f"a single position off by {seen:.2g} would show" if seen < 1.0 else "too few to judge single positions"
    cause = ""
    if bad:
        cause = f"{key}: along {axis} the elements do not drop equally often; at {outcome.where} a share of "
        cause += f"{outcome.measured:.3g}, expected {rate:.3g}, p = {outcome.p_value:.1g}"
    verdict = Verdict.FAIL if bad else Verdict.PASS
    yield Finding(
        "mask.frequency", verdict, outcome.measured, outcome.expected, "dropped share", f"{axis} {outcome.where}",
        cause, note,
    )  # fmt: skip
