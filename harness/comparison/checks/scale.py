"""`scale.*`: survivors over inputs, and which rounding rule made them.

For dropout layers the input is the case's x. For a recurrent layer whose only dropout is on its output, the input is what the
same layer emits in evaluation: document 000's question, whether the surviving outputs are the plain ones over keep_prob.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import active_sites
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Context, Evidence
from harness.comparison.last_step import on_output
from harness.records import Aim, Role, Site, Verdict

if TYPE_CHECKING:
    from harness.comparison.scaling import Scaling

#: ULPs between a survivor and the nearest right rule; the rules themselves differ by one or two.
ULPS = 2


def scaled_site(context: Context) -> Site | None:
    """The one site whose survivors can be read off the output, or None."""
    found = active_sites(context)
    if len(found) != 1 or not found[0].masks or found[0].scale != "inverted":
        return None
    site = found[0]
    if "scale.survivors" in context.kind.checks or (site.at == "output" and "y" in context.output_shapes):
        return site
    return None


@check("scale", lambda context: ["scale.survivors", "scale.rounding"] if scaled_site(context) else [])
def scale(evidence: Evidence) -> Iterator[Finding]:
    """Survivors are inputs over the keep probability; the dropped are zero; a known rounding rule explains the bits."""
    site = scaled_site(evidence.context)
    assert site is not None
    elementwise = site.at == "input"
    measured = scale_of(evidence, site)
    if isinstance(measured, str):
        yield from (Finding(name, Verdict.FAIL, cause=measured) for name in ("scale.survivors", "scale.rounding"))
        return
    found, stray = measured
    if not found.informative:
        cause = "no survivor has an input other than zero: nothing was compared"
        yield from (Finding(name, Verdict.ERROR, cause=cause) for name in ("scale.survivors", "scale.rounding"))
        return
    note = f"{found.informative} survivors, ratio {found.ratio_min:.9g} to {found.ratio_max:.9g}"
    rules = right_rules()
    apart = None if elementwise else between_calls(evidence, site)
    near = found.nearest_ulp <= ULPS if apart is None else apart[0] <= apart[1]
    right = found.nearest in rules and near
    cause = ""
    if not right:
        cause = f"survivors are {found.ratio:.6g} times their inputs, 1 / keep is {1 / site.keep:.6g}"
        cause += f"; nearest rule: {found.nearest} ({found.nearest_ulp} ULPs)"
    if stray:
        cause = "; ".join(part for part in (cause, f"{stray} dropped elements are not zero") if part)
    verdict = Verdict.FAIL if cause else Verdict.PASS
    yield Finding("scale.survivors", verdict, found.ratio, 1 / site.keep, "ratio", cause=cause, note=note, aim=Aim.MEET)
    yield _rounding(found, rules, apart)


def scale_of(evidence: Evidence, site: Site) -> tuple[Scaling, int] | str:
    """The survivors' scale, and how many dropped elements are not zero; or why there is nothing to measure. Measured once."""

    def measure() -> tuple[Scaling, int] | str:
        from harness.comparison.scaling import scaling

        pairs = survivors(evidence, site)
        if isinstance(pairs, str):
            return pairs
        before, after, stray = pairs
        return scaling(before, after, site.keep, evidence.variant.dtype), stray

    return evidence.once(("scale", site.at), measure)


def between_calls(evidence: Evidence, site: Site) -> tuple[float, float]:
    """How far survivors lie from the evaluation's outputs over keep, and how far two calls' own rounding may take them.

    A recurrent layer may take another code path in evaluation, which rounds otherwise: each of the two lies within its
    derived limit of the same exact value.
    """
    pairs = survivors(evidence, site)
    assert not isinstance(pairs, str)
    before, after = (np.asarray(array, dtype=np.float64) for array in pairs[:2])
    limits = [limit_of(evidence.context, "y", mode)[0] for mode in (evidence.variant.mode, "eval")]
    return float(np.max(np.abs(after - before / site.keep), initial=0.0)), limits[0] + limits[1] / site.keep


def survivors(evidence: Evidence, site: Site) -> tuple[np.ndarray, np.ndarray, int] | str:
    """What was kept before and after the scaling, flat over all passes, and how many dropped elements are not zero.

    Or why there is nothing to compare.
    """
    before, after, stray = [], [], 0
    for one, result in evidence.main:
        y = result.outputs.get("y")
        evaluated = evidence.of(Role.EVAL)
        if y is None or (site.at != "input" and not evaluated):
            return "gave no output of that name" if y is None else "was not evaluated"
        x = evidence.context.arrays()[0]["x"] if site.at == "input" else evaluated[0][1].outputs["y"]
        drawn = evidence.drawn(one, result).get(site.at)
        if drawn is None or x.shape != y.shape:
            return "drew nothing" if drawn is None else f"output {y.shape}, input {x.shape}"
        # NaN and infinity have no scale, and dropped by multiplication they are NaN: value.y compares them.
        finite = np.isfinite(np.asarray(x, dtype=np.float64))
        kept = np.broadcast_to(on_output(evidence.context, drawn), y.shape)
        stray += int(np.count_nonzero(np.asarray(y[~kept & finite], dtype=np.float64)))
        before.append(x[kept & finite])
        after.append(y[kept & finite])
    return np.concatenate(before), np.concatenate(after), stray


def right_rules() -> frozenset[str]:
    """The rules of harness.comparison.scaling that mean inverted scaling."""
    from harness.comparison.scaling import RULES

    return frozenset(name for name, (meaning, _) in RULES.items() if meaning == "inverted")


def _rounding(found: Scaling, right: frozenset[str], apart: tuple[float, float] | None) -> Finding:
    """Which of the right rules gives every bit; where x itself is another call's output, near enough is near enough."""
    fitting = [rule for rule in found.rules if rule in right]
    nearest = f"nearest: {found.nearest}, {found.nearest_ulp} ULPs apart"
    note = "fits: " + ", ".join(fitting) if fitting else nearest
    if found.flushed:
        note += f"; {found.flushed} subnormals flushed to zero"
    measured, limit = (float(found.nearest_ulp), 0.0) if apart is None else apart
    unit = "ULP" if apart is None else "absolute"
    if fitting or (apart is not None and found.nearest in right and apart[0] <= apart[1]):
        return Finding("scale.rounding", Verdict.PASS, measured, limit, unit, note=note)
    cause = f"no known rounding rule of x / keep gives these bits; {nearest}"
    return Finding("scale.rounding", Verdict.FAIL, measured, limit, unit, cause=cause, note=note)
