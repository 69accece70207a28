"""Masks whose sharing is not the case's: told from what was drawn, so values (which follow the draws) agree all the same."""

from __future__ import annotations

from harness.comparison.checks.mask import keys, measured_axes
from harness.comparison.context import Evidence
from harness.diagnosis.advice import Advice
from harness.diagnosis.faults.masks import SHARING

#: What to do about a mask that is drawn anew over an axis where one is shared, by axis.
ANEW = {
    "time": "draw the mask once, before the loop over the steps, and use it throughout",
    "batch": "draw one mask for the whole batch (noise_shape with 1 first)",
    "gates": "draw one mask and use it for all gates (Keras' implementation 2)",
    "features": "draw one decision for all features (spatial dropout the other way round)",
}


def sharing(evidence: Evidence, advice: Advice) -> tuple[str, str]:
    """What the wrongly shared masks mean, and the fix; empty where sharing is as the case says."""
    means: list[str] = []
    fixes: list[str] = []
    for _, result in evidence.main[:1]:
        for site, key, _ in keys(evidence.context):
            if key not in result.draws:
                continue
            over, not_over, _ = measured_axes(site, result.draws[key])
            for axis in site.axes:
                if axis in over and axis not in site.shared:
                    words, fix = SHARING.get(
                        axis, (f"one mask along axis {axis}{{at}}", f"draw masks along axis {axis}")
                    )
                    means.append(words.format(at=f" at {key}"))
                    fixes.append(fix)
                elif axis in not_over and axis in site.shared:
                    fix = ANEW.get(axis, f"draw one mask for the whole axis {axis}")
                    fix = advice.fix(f"mask.fresh over {axis}", fix, {})
                    means.append(f"a new mask along {axis} at {key}")
                    fixes.append(fix)
    return " and ".join(dict.fromkeys(means)), "; ".join(dict.fromkeys(fixes))
