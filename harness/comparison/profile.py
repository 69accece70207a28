"""The measured profile: an implementation's point in the vocabulary, from its draws and outputs, never from a table.

Every entry says what was seen in one run of one case. What the case's data cannot tell is left out, so two profiles differ only
where both were measured.
"""

from __future__ import annotations

import itertools

import numpy as np

from harness.comparison.checks.mask import measured_axes, same
from harness.comparison.checks.scale import scale_of, scaled_site
from harness.comparison.checks.state import distance, states
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Evidence, MissingDraw, flat_result, flatten, wide
from harness.comparison.native import native_facts, sized
from harness.layers.base import Evaluation, tape_keys
from harness.records import Pass, PassResult, Role, Site
from harness.tape import BERNOULLI, KEEP_RULES, NORMAL, UNIFORM, Draw, decisions

Profile = dict[str, str]
EVERYTHING = "in everything"


def profile(evidence: Evidence) -> Profile:
    """The profile of one implementation on one variant: entry -> what was measured, in a fixed order."""
    if not evidence.main:
        return {}
    one, result = evidence.main[0]
    found: Profile = {}
    if evidence.variant.mode == "train":
        found["draws, in order"] = drawn_in_order(result)
        found["draws in evaluation"] = evaluation_draws(evidence)
        try:
            evidence.required(one, result)
        except MissingDraw:
            # The rest is measured by the reference on what was drawn; the rows say what was not.
            return {name: text for name, text in found.items() if text}
        for site in evidence.variant.sites:
            for key, _ in tape_keys(site):
                if key in result.draws:
                    found |= of_site(evidence, site, key, one, result)
        found |= seeds(evidence)
    found |= scale(evidence)
    found |= state(evidence, one, result)
    agrees = agreement(evidence, one, result)
    found |= native_facts(evidence, agrees == EVERYTHING)
    found["agrees with the reference"] = agrees
    return {name: text for name, text in found.items() if text}


def of_site(evidence: Evidence, site: Site, key: str, one: Pass, result: PassResult) -> Profile:
    """What one site draws, how it decides, and over which axes one value holds."""
    draw = result.draws[key]
    over, apart, unknown = measured_axes(site, draw)
    found = {
        f"{key}: border": border(draw),
        f"{key}: shared over": ", ".join(axis for axis in site.axes if axis in over) or "nothing",
        f"{key}: drawn anew over": ", ".join(axis for axis in site.axes if axis in apart) or "nothing",
        f"{key}: cannot be told": ", ".join(axis for axis in site.axes if axis in unknown),
        f"{key}: values in one mask": str(draw.values.size),
    }
    found[f"{key}: a second call"] = second_call(evidence, key)
    if draw.kind == UNIFORM:
        found[f"{key}: keeps where"] = keep_rule(evidence, site, key, one, result)
    if draw.kind != NORMAL and site.masks and site.active:
        found[f"{key}: survivors times"] = survivors(evidence, site, one, result)
    if "gates" in site.axes and "gates" in apart and draw.kind in (BERNOULLI, UNIFORM):
        found[f"{key}: gates with equal masks"] = equal_gates(site, draw)
    return found


def border(draw: Draw) -> str:
    """What the framework asked its generator for."""
    params = ", ".join(f"{name} {value:.6g}" for name, value in sorted(draw.params.items()))
    kind = f"{draw.values.dtype.name} uniforms" if draw.kind == UNIFORM else f"{draw.kind} draws"
    return f"{kind} ({params})" if params else kind


def keep_rule(evidence: Evidence, site: Site, key: str, one: Pass, result: PassResult) -> str:
    """The rules from u to a decision with which the reference explains the outputs; the recorded one is not believed."""
    draw = result.draws[key]
    fitting = []
    for rule in KEEP_RULES:
        kept = decisions(draw._replace(rule=rule), site.rate)
        draws = {**evidence.drawn(one, result), key: kept}
        if explains(evidence, one, result, evidence.context.reference(draws, train=True, gradients=False)):
            fitting.append(rule)
    return " or ".join(fitting) or "no rule known here"


def explains(evidence: Evidence, one: Pass, result: PassResult, found: Evaluation) -> bool:
    """Whether outputs of the reference are those of a pass, within their limits."""
    return all(
        name in result.outputs
        and distance(result.outputs[name], array) <= limit_of(evidence.context, name, one.mode)[0]
        for name, array in found.outputs.items()
    )


def survivors(evidence: Evidence, site: Site, one: Pass, result: PassResult) -> str:
    """What this site's survivors are multiplied by, as the reference explains the outputs; "" where neither does."""
    inputs, weights, _ = evidence.context.arrays()
    fitting = []
    for scale, words in (("inverted", "1 / (1 - rate)"), ("none", "1")):
        sites = [other._replace(scale=scale) if other is site else other for other in evidence.variant.sites]
        drawn = evidence.drawn(one, result)
        kind, config = evidence.context.kind, evidence.variant.config
        try:
            found = kind.evaluate(config, wide(inputs), wide(weights), sites, drawn, train=True)
        except ValueError:
            return ""
        if explains(evidence, one, result, found):
            fitting.append(words)
    return " or ".join(fitting)


def second_call(evidence: Evidence, key: str) -> str:
    """Whether a second call of the same layer, with no new seed, has the first one's mask."""
    again = evidence.of(Role.AGAIN)
    if not again or key not in again[0][1].draws or evidence.variant.draws != "native":
        return ""
    equal = same(evidence.main[0][1].draws[key].values, again[0][1].draws[key].values)
    return "the same mask" if equal else "drawn anew"


def drawn_in_order(result: PassResult) -> str:
    """Every native draw with its shape, in the order in which it was made; repeated ones, and repeated groups, once."""
    if not result.order:
        return ", ".join(result.draws) or "nothing"
    return in_runs([f"{site or 'unused'} {sized(shape)}" for site, shape in result.order])


def in_runs(texts: list[str]) -> str:
    """Texts with repetitions, and repeated groups, counted: `4 x state.h (8, 10)`, `7 x [state.c (6, 10), state.h (6, 10)]`."""
    found: list[str] = []
    at = 0
    while at < len(texts):
        size, count = max(
            ((size, repeats(texts, at, size)) for size in range(1, (len(texts) - at) // 2 + 1)),
            key=lambda pair: (pair[0] * pair[1] if pair[1] > 1 else 1, -pair[0]),
            default=(1, 1),
        )
        if count == 1:
            size = 1
        group = texts[at : at + size]
        inner = group[0] if size == 1 else f"[{in_runs(group)}]"
        found.append(f"{count} x {inner}" if count > 1 else inner)
        at += size * count
    return ", ".join(found)


def repeats(texts: list[str], at: int, size: int) -> int:
    """How often the group of `size` texts at a place comes there, one after another."""
    group = texts[at : at + size]
    count = 1
    while texts[at + count * size : at + (count + 1) * size] == group:
        count += 1
    return count


def equal_gates(site: Site, draw: Draw) -> str:
    """Which gates have the same mask, in the canonical order i, f, g, o; "none" where all differ."""
    masks = np.moveaxis(decisions(draw, site.rate), site.axes.index("gates"), 0)
    names = "ifgo" if len(masks) == 4 else [str(index) for index in range(len(masks))]
    pairs = [
        f"{names[first]} = {names[second]}"
        for first, second in itertools.combinations(range(len(masks)), 2)
        if np.array_equal(masks[first], masks[second])
    ]
    return ", ".join(pairs) or "none"


def evaluation_draws(evidence: Evidence) -> str:
    """Whether evaluation takes from the stream, and whether that changes anything is for identity.eval to say."""
    passes = evidence.of(Role.EVAL)
    if not passes:
        return ""
    return ", ".join(passes[0][1].draws) or "nothing"


def seeds(evidence: Evidence) -> Profile:
    """Whether the same seed gives the same draws, and another seed others."""
    first = evidence.main[0]
    if not first[1].draws or evidence.variant.draws != "native":
        return {}
    found = {}
    again = evidence.of(Role.REPEAT)
    if again:
        equal = all(
            key in again[0][1].draws and same(draw.values, again[0][1].draws[key].values)
            for key, draw in first[1].draws.items()
        )
        found["same seed again"] = "the same draws" if equal else "other draws"
    others = [item for item in evidence.of(evidence.variant.mode, Role.OTHER) if item[0].seed != first[0].seed]
    if others:
        equal = all(
            key in others[0][1].draws and same(draw.values, others[0][1].draws[key].values)
            for key, draw in first[1].draws.items()
        )
        found["another seed"] = "the same draws" if equal else "other draws"
    return found


def scale(evidence: Evidence) -> Profile:
    """What survivors are multiplied by, and the rounding rules that give every bit of them."""
    site = scaled_site(evidence.context)
    measured = "" if site is None else scale_of(evidence, site)
    if isinstance(measured, str):
        return {}
    found, _ = measured
    if not found.informative:
        return {}
    return {
        "scale of survivors": f"{found.ratio:.6g}",
        "rounding rules that fit": ", ".join(found.rules) or f"none; nearest {found.nearest}, {found.nearest_ulp} ULPs",
    }


def state(evidence: Evidence, one: Pass, result: PassResult) -> Profile:
    """Which of the results is h and which is c, and which of the two dropout touches."""
    found: Profile = {}
    asked = {site.at for site in evidence.variant.sites}
    drawn = [name for name in "hc" if f"state.{name}" in result.draws]
    if drawn or asked & {"state.h", "state.c"}:
        found["dropout touches"] = " and ".join(drawn) or "neither h nor c"
    if not states(evidence.context) or not {"h", "c"} <= set(result.outputs):
        return found
    reference = evidence.reference(one, result).outputs
    straight = max(distance(result.outputs[name], reference[name]) for name in "hc")
    swapped = max(distance(result.outputs["h"], reference["c"]), distance(result.outputs["c"], reference["h"]))
    found["states"] = "h is the hidden state, c the cell state" if straight < swapped else "h and c are swapped"
    y = result.outputs.get("y")
    if y is not None and y.ndim == 3 and result.outputs["h"].ndim == 2 and y.shape[-1] == result.outputs["h"].shape[-1]:
        last = distance(y[:, -1], result.outputs["h"]) == 0.0
        found["last step of the sequence"] = "is h, bit for bit" if last else "is not h"
    return found


def agreement(evidence: Evidence, one: Pass, result: PassResult) -> str:
    """How many of the outputs and gradients lie within their limits of the reference on the same draws."""
    try:
        expected = flatten(evidence.reference(one, result))
    except MissingDraw:
        return "cannot be told: a draw is missing"
    actual = flat_result(result)
    far = [
        name
        for name, array in expected.items()
        if name not in actual or distance(actual[name], array) > limit_of(evidence.context, name, one.mode)[0]
    ]
    return EVERYTHING if not far else f"not in {', '.join(far)}"


def differing(first: Profile, second: Profile) -> dict[str, tuple[str, str]]:
    """The entries that two profiles both have and disagree in, or that only one of them has (the other is then "")."""
    names = dict.fromkeys((*first, *second))
    return {
        name: (first.get(name, ""), second.get(name, ""))
        for name in names
        if first.get(name, "") != second.get(name, "")
    }
