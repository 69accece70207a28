"""What a report draws of one implementation: figures in small, computed here once, so that reporting draws and compares nothing.

    results   for each output and gradient: `ulps`, elements by their distance in ULPs (at index 0 those at 0, at k > 0 those of
              more than 2**(k - 2) and at most 2**(k - 1)); `steps`, the largest deviation at each time step, where there is
              time, each point standing for `per` of `of` steps; `worst`, those farthest off: index, seed, got, expected, off by.
    noise     the noise that was applied, over its standard deviation: `counts` in equal bins from -REACH to REACH with what
              lies beyond in the first and the last, its `mean` and `stddev`, and `theory`, mean and standard deviation.
    scale     what each rounding rule of harness.comparison.scaling leaves, in ULPs, and the survivors' least and largest ratio.
    states    how far the sequence's last step lies from h and from c.
    handover  how far a decoder's output lies from that of every start that it could have had.

Results are pooled over the seeds; states and hand-over are of the first. Deviations are absolute, from the float64 reference on
the implementation's own draws.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from harness.comparison.checks.mask import active_sites
from harness.comparison.checks.noise import applied, noisy_site
from harness.comparison.checks.scale import right_rules, scale_of, scaled_site
from harness.comparison.checks.state import alternatives, distance, handover_plans
from harness.comparison.checks.value import names, ulps_key
from harness.comparison.context import GRADIENT, Context, Evidence, flat_result, flatten
from harness.comparison.kernel import compare_arrays
from harness.records import Arrays

Chart = dict[str, Any]
#: The most points of a line over time, and the most elements that are listed.
POINTS, LISTED = 96, 5
#: Noise is counted in so many bins, up to so many standard deviations on either side.
BINS, REACH = 32, 4.0
DIGITS = 5


def charts(evidence: Evidence) -> dict[str, Chart]:
    """Everything above that applies to one implementation; raises what comparing raises, as MissingDraw."""
    if not evidence.main:
        return {}
    found = {
        "results": results(evidence),
        "noise": noise(evidence),
        "scale": scale(evidence),
        "states": states(evidence.context, evidence.main[0][1].outputs),
        "handover": handover(evidence),
    }
    return {name: chart for name, chart in found.items() if chart}


def charts_of_recorded(context: Context, outputs: Arrays, evidence: Evidence | None) -> dict[str, Chart]:
    """The same of outputs printed in a document: noise, where it can be read off them (`evidence`), and states."""
    found = {"noise": noise(evidence) if evidence else {}, "states": states(context, outputs)}
    return {name: chart for name, chart in found.items() if chart}


def results(evidence: Evidence) -> Chart:
    """Each output and gradient that could be compared, by its check."""
    found: Chart = {}
    for row in names(evidence.context):
        name = row if row.startswith(GRADIENT) else row.removeprefix("value.")
        fitting, counts = [], np.zeros(66, dtype=np.int64)
        for one, result in evidence.main:
            actual = flat_result(result).get(name)
            if actual is None:
                continue
            expected = flatten(evidence.reference(one, result))[name]
            if actual.shape != expected.shape or not actual.size:
                continue
            fitting.append((one.seed, actual, expected))
            for apart, count in evidence.once(ulps_key(result, name), functools.partial(ulps, actual, expected)):
                counts[apart.bit_length()] += count
        if not counts.any():
            continue
        chart: Chart = {"ulps": [int(count) for count in np.trim_zeros(counts, "b")]}
        if timed(row, fitting[0][1]):
            steps, per = over_time([deviation(actual, expected) for _, actual, expected in fitting])
            chart |= {"steps": steps, "per": per, "of": fitting[0][1].shape[1]}
        worst = [one for seed, actual, expected in fitting for one in farthest(seed, actual, expected)]
        if worst:
            worst.sort(key=lambda one: -one[0])
            chart["worst"] = [[*one[1:], short(one[0])] for one in worst[:LISTED]]
        found[row] = chart
    return found


def ulps(actual: np.ndarray, expected: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Elements by their distance in ULPs, as the comparison kernel counts them."""
    return compare_arrays(actual, expected, 0.0, with_digest=False).ulp_histogram


def timed(row: str, array: np.ndarray) -> bool:
    """Whether axis 1 is time: in a sequence (batch, time, features), but not in the states (layers, batch, features)."""
    return array.ndim == 3 and (row == "value.y" or row in (GRADIENT + "x", GRADIENT + "z"))


def deviation(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|actual - expected| in float64; infinite where one of them is not a number or they are not the same infinity."""
    wide = np.asarray(actual, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(wide - expected)
    same = (wide == expected) | (np.isnan(wide) & np.isnan(expected))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def over_time(gaps: list[np.ndarray]) -> tuple[list[float], int]:
    """The largest of some deviations (batch, time, features) at each time step, and the steps that a point stands for."""
    largest = np.max([gap.max(axis=(0, 2)) for gap in gaps], axis=0)
    per = -(-largest.size // POINTS)
    return [short(v) for v in np.maximum.reduceat(largest, np.arange(0, largest.size, per))], per


def farthest(seed: int, actual: np.ndarray, expected: np.ndarray) -> list[tuple[float, str, str, float, float]]:
    """The elements with the largest deviations, largest first: deviation, index, seed, got, expected; none that has none."""
    gap = deviation(actual, expected)
    flat = np.argsort(-gap.reshape(-1), kind="stable")[:LISTED] if gap.size <= 1 << 16 else largest_of(gap)
    found = []
    for position in flat:
        at = np.unravel_index(int(position), gap.shape)
        if gap[at]:
            index = ", ".join(str(int(i)) for i in at)
            found.append((float(gap[at]), index, str(seed), exact(actual[at]), exact(expected[at])))
    return found


def largest_of(gap: np.ndarray) -> np.ndarray:
    """Flat indices of the largest few of many, largest first."""
    flat = gap.reshape(-1)
    some = np.argpartition(flat, flat.size - LISTED)[-LISTED:]
    return some[np.argsort(-flat[some], kind="stable")]


def noise(evidence: Evidence) -> Chart:
    """The applied noise over its standard deviation, counted."""
    site = noisy_site(evidence.context)
    if site is None:
        return {}
    values, _ = applied(evidence, site)
    if not values.size:
        return {}
    edges = np.linspace(-REACH, REACH, BINS + 1)
    counts, _ = np.histogram(np.clip(values, -REACH, REACH), edges)
    times = site.multiplies
    sigma = site.spread
    return {
        "kind": site.noise,
        "reach": REACH,
        "counts": [int(count) for count in counts],
        "mean": short(float(values.mean()) * sigma + times),
        "stddev": short(float(values.std()) * sigma),
        "theory": [float(times), short(sigma)],
    }


def scale(evidence: Evidence) -> Chart:
    """The survivors against every rule of inverted scaling."""
    site = scaled_site(evidence.context)
    measured = scale_of(evidence, site) if site is not None else ""
    if site is None or isinstance(measured, str):
        return {}
    found, _ = measured
    if not found.informative:
        return {}
    right = right_rules()
    rules = {name: distance_ for name, distance_ in found.distances.items() if name in right or name == found.nearest}
    return {
        "keep": site.keep,
        "rules": rules,
        "ratio": [float(f"{found.ratio_min:.9g}"), float(f"{found.ratio_max:.9g}")],
        "survivors": found.informative,
    }


def states(context: Context, outputs: Arrays) -> Chart:
    """How the last step of a sequence belongs to h and c, where nothing stands between them."""
    y, h = outputs.get("y"), outputs.get("h")
    if y is None or h is None or y.ndim != 3 or not y.size:
        return {}
    dropped = any(site.at.endswith("output") for site in active_sites(context))
    if dropped or not context.kind.ends_in_state(context.variant.config):
        return {}
    last = {
        name: short(distance(y[:, -1], state if state.ndim == 2 else state[-1]))
        for name in ("h", "c")
        if (state := outputs.get(name)) is not None
    }
    return {"steps": y.shape[1], **last}


def handover(evidence: Evidence) -> Chart:
    """The decoder's output against what each start gives."""
    if not handover_plans(evidence.context):
        return {}
    one, result = evidence.main[0]
    actual = result.outputs.get("y")
    if actual is None:
        return {}
    starts = {"(h, c)": evidence.reference(one, result).outputs["y"], **alternatives(evidence, one, result)}
    return {"starts": {name: short(distance(actual, expected)) for name, expected in starts.items()}}


def short(value: float) -> float:
    """A figure in DIGITS significant digits."""
    return float(f"{value:.{DIGITS}g}")


def exact(value: Any) -> float:
    """An element with the digits that tell any two float32 apart."""
    return float(f"{float(value):.9g}")
