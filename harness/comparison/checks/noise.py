"""`noise.*`: the noise that a layer really applied, its family, mean and spread, and whom it touches.

Of an elementwise layer it is read off the output. Within a recurrent layer no output shows it alone, so there the normals that
were drawn are tested; that they are what multiplied is said by `value.*`, whose reference takes them.

Document 002's question. Multiplicative Gaussian noise is y / x ~ N(1, rate / (1 - rate)), additive noise y - x ~ N(0, stddev**2)
(keras.io/api/layers/regularization_layers); masked additive noise touches the dropped elements only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.comparison.checks.base import Finding, check, settled
from harness.comparison.checks.mask import LUCK, active_sites, native, valid_steps
from harness.comparison.context import Context, Evidence
from harness.comparison.sampling import staged
from harness.layers._pointwise import PointwiseNoise
from harness.records import Role, Site, Verdict
from harness.rounding import unit_roundoff
from harness.tape import BERNOULLI, NORMAL


def noisy_site(context: Context) -> Site | None:
    """The one site with normal noise of an elementwise layer, whose output shows it; or None."""
    found = active_sites(context)
    elementwise = isinstance(context.kind, PointwiseNoise)
    return found[0] if elementwise and len(found) == 1 and NORMAL in found[0].draws else None


def inner_sites(context: Context) -> list[Site]:
    """The sites with normal noise within a layer, where the framework draws it: a replayed tape would be tested itself."""
    if isinstance(context.kind, PointwiseNoise) or not native(context):
        return []
    return [site for site in active_sites(context) if NORMAL in site.draws]


def largest(array: np.ndarray) -> float:
    """The largest finite absolute value, 0 where there is none."""
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def applied(evidence: Evidence, site: Site) -> tuple[np.ndarray, float]:
    """The standardised noise of all independent passes, flat float64, and how far rounding may have moved its mean.

    Values drawn once for several elements (shared axes) are taken once. Elements whose input is zero say nothing of
    multiplicative noise and are left out, as are those whose input is NaN or infinite.
    """
    x = np.asarray(evidence.context.arrays()[0]["x"], dtype=np.float64)
    sigma = site.spread
    u = unit_roundoff(evidence.variant.dtype)
    found, room = [], 0.0
    for one, result in evidence.of(evidence.variant.mode, Role.OTHER):
        y = np.asarray(result.outputs["y"], dtype=np.float64)
        touched = np.ones(y.shape, dtype=bool)
        if BERNOULLI in site.open:
            touched = ~np.broadcast_to(evidence.required(one, result)[site.at], y.shape)
        if site.multiplies:
            noise = np.divide(y, x, out=np.full(y.shape, np.nan), where=(x != 0.0) & np.isfinite(x)) - 1.0
            room = max(room, 2.0 * u * (1.0 + sigma) / sigma)
        else:
            with np.errstate(invalid="ignore"):
                noise = y - x
            room = max(room, 2.0 * u * largest(y) / sigma)
        noise = np.where(touched, noise / sigma, np.nan)
        for axis, (full, own) in enumerate(zip(y.shape, site.shape, strict=True)):
            if own == 1 and full > 1:
                noise = np.nanmean(noise, axis=axis, keepdims=True)
        found.append(noise[np.isfinite(noise)])
    return np.concatenate(found), room


def drawn(evidence: Evidence) -> tuple[np.ndarray, float]:
    """As `applied`, of the normals drawn at the sites within a layer, at the steps that are drawn whatever the implementation.

    Raises MissingDraw.
    """
    found = []
    for one, result in evidence.of(evidence.variant.mode, Role.OTHER):
        normals = evidence.required(one, result)
        for site in inner_sites(evidence.context):
            valid = valid_steps(evidence.context, site, result.draws[site.at])
            found.append(np.asarray(normals[site.at], dtype=np.float64)[valid])
    # Drawn in the layer's dtype: each is off by at most u of itself, and the mean of |N(0, 1)| is below 1.
    return np.concatenate(found), 2.0 * unit_roundoff(evidence.variant.dtype)


NOISE = ("noise.family", "noise.mean", "noise.spread")


@check("noise", lambda context: NOISE if noisy_site(context) or inner_sites(context) else ())
def noise(evidence: Evidence) -> Iterator[Finding]:
    """Normal, with the mean and the standard deviation that the layer's formula gives."""
    from harness.comparison.statistics.families import families
    from harness.comparison.statistics.normal import distribution_test, mean_test, spread_test

    site = noisy_site(evidence.context)
    values, room = applied(evidence, site) if site is not None else drawn(evidence)
    tests = {"noise.family": distribution_test, "noise.mean": mean_test, "noise.spread": spread_test}
    for name, test in tests.items():
        if not values.size:
            yield Finding(name, Verdict.ERROR, cause="no element shows the noise: nothing was compared")
            continue
        outcome = test(values, room)
        judged = staged().judge(outcome, evidence.stage)
        note = f"p = {outcome.p_value:.2g} over {outcome.draws} elements"
        what = {"noise.family": "is not normal", "noise.mean": "has another mean", "noise.spread": "has another spread"}
        cause = f"the noise over its standard deviation {what[name]}: {outcome.measured:.4g}, p = {outcome.p_value:.1g}"
        if name == "noise.family" and judged == "reject":
            fits = families(values, LUCK, room)
            if "normal" in fits:
                cause = cause.replace("is not normal", "is normal, but not of mean 0 and spread 1")
            elif fits:
                cause += f"; it fits {' and '.join(fits)} noise"
        unit = "distance" if name == "noise.family" else "stddev"
        yield settled(name, judged, outcome.p_value, outcome.measured, outcome.expected, unit, "", cause, note)


@check("noise.elements", lambda context: ["noise.elements"] if noisy_site(context) else [])
def elements(evidence: Evidence) -> Iterator[Finding]:
    """Whom the noise touches: Gaussian noise every element, masked noise the dropped ones and no kept one."""
    site = noisy_site(evidence.context)
    assert site is not None
    x = evidence.context.arrays()[0]["x"]
    finite = np.isfinite(np.asarray(x, dtype=np.float64))
    wrong = compared = 0
    for one, result in evidence.main:
        y = result.outputs["y"]
        if y.shape != x.shape:
            yield Finding("noise.elements", Verdict.FAIL, cause=f"output {y.shape}, input {x.shape}")
            return
        if BERNOULLI in site.open:
            kept = np.broadcast_to(evidence.required(one, result)[site.at], y.shape) & finite
            wrong += int(np.count_nonzero((y != x) & kept))
            compared += int(np.count_nonzero(kept))
        else:
            # A draw so near to no change that rounding hides it changes nothing; a large share of such elements is a mask.
            informative = finite & (np.asarray(x, dtype=np.float64) != 0) if site.multiplies else finite
            compared += int(np.count_nonzero(informative))
            wrong += int(np.count_nonzero((y == x) & informative))
    if not compared:
        yield Finding("noise.elements", Verdict.ERROR, cause="no element can tell: nothing was compared")
        return
    share = wrong / compared
    if BERNOULLI in site.open:
        cause = f"{wrong} of {compared} kept elements are not bit-equal to the input" if wrong else ""
        yield Finding(
            "noise.elements", Verdict.FAIL if wrong else Verdict.PASS, wrong, 0, "elements", cause=cause,
            note=f"{compared} kept elements",
        )  # fmt: skip
        return
    # |noise| below half an ULP of the result: probability at most 2 u max|y| / stddev times the density's 0.4.
    limit = untouched_limit(evidence, site)
    cause = f"{share:.1%} of the elements are untouched" if share > limit else ""
    verdict = Verdict.FAIL if cause else Verdict.PASS
    yield Finding("noise.elements", verdict, share, limit, "untouched share", cause=cause, note=f"{compared} elements")


def untouched_limit(evidence: Evidence, site: Site) -> float:
    """The share of elements that rounding may leave as they were: the chance of noise below one ULP, plus ten elements' luck."""
    u = unit_roundoff(evidence.variant.dtype)
    x = np.asarray(evidence.context.arrays()[0]["x"], dtype=np.float64)
    reach = 2.0 * u * (1.0 if site.multiplies else largest(x)) / site.spread
    count = x.size * len(evidence.main)
    return min(0.5, 0.8 * reach + 10.0 * float(np.sqrt(max(reach, 1e-12) / count)))
