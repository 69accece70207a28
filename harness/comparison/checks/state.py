"""`state.*`: which of a recurrent layer's results is h, which is c, and how they belong to the sequence.

Document 004's question: `LSTM(return_sequences=True, return_state=True)` returns the sequence, h and c; the sequence's last step
is h, and c is neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import active_sites
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Context, Evidence, wide
from harness.records import Arrays, Pass, PassResult, Verdict


def states(context: Context) -> bool:
    """Whether the layer returns both states."""
    return {"h", "c"} <= set(context.output_shapes)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The largest absolute difference; inf for other shapes. A NaN is infinitely far from all but a NaN."""
    if first.shape != second.shape or not first.size:
        return float("inf")
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(first - second)
    gap = np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0.0, gap)
    return float("inf") if bool(np.isnan(gap).any()) else float(gap.max())


@check("state.order", lambda context: ["state.order"] if states(context) else [])
def order(evidence: Evidence) -> Iterator[Finding]:
    """What is called h is the hidden state and what is called c the cell state, and not the other way round."""
    for one, result in evidence.main[:1]:
        reference = evidence.reference(one, result).outputs
        if distance(reference["h"], reference["c"]) <= sum(limit_of(evidence.context, k, one.mode)[0] for k in "hc"):
            cause = "the case's h and c are no farther apart than rounding: it cannot tell them"
            yield Finding("state.order", Verdict.ILL_CONDITIONED, cause=cause)
            return
        if not {"h", "c"} <= set(result.outputs):
            yield Finding("state.order", Verdict.FAIL, cause="gave no h and c")
            return
        straight = {key: distance(result.outputs[key], reference[key]) for key in "hc"}
        crossed = {key: distance(result.outputs[key], reference[other]) for key, other in ("hc", "ch")}
        limits = {key: limit_of(evidence.context, key, one.mode)[0] for key in "hc"}
        swapped = crossed["h"] <= limits["c"] and crossed["c"] <= limits["h"]
        cause = ""
        if swapped:
            cause = "h and c are swapped"
        elif max(straight.values()) >= max(crossed.values()):
            wrong = [key for key in "hc" if not straight[key] <= limits[key]]
            cause = f"neither (h, c) nor (c, h): see {' and '.join('value.' + key for key in wrong)}"
        verdict = Verdict.FAIL if cause else Verdict.PASS
        near, far = max(straight.values()), max(crossed.values())
        note = "distance to (h, c), and to (c, h)"
        yield Finding("state.order", verdict, near, far, "absolute", cause=cause, seed=str(one.seed), note=note)


def last_step_plans(context: Context) -> bool:
    """Where the whole sequence and the states are returned, nothing is dropped between them, and it ends where y ends."""
    return (
        "state.last_step" in context.kind.checks
        and states(context)
        and len(context.output_shapes.get("y", ())) == 3
        and not any(site.at == "output" for site in active_sites(context))
        and context.kind.ends_in_state(context.variant.config)
    )


@check("state.last_step", lambda context: ["state.last_step"] if last_step_plans(context) else [])
def last_step(evidence: Evidence) -> Iterator[Finding]:
    """The last step of the sequence is h, bit for bit, and c is neither."""
    for one, result in evidence.main[:1]:
        yield last_step_of(result.outputs, str(one.seed))


def last_step_of(outputs: Arrays, seed: str) -> Finding:
    """The finding for given outputs y (B, T, H), h and c (B, H) or (layers, B, H)."""
    missing = [key for key in ("y", "h", "c") if key not in outputs]
    if missing:
        return Finding("state.last_step", Verdict.FAIL, cause=f"gave no {', '.join(missing)}")
    y = outputs["y"]
    h, c = (state if state.ndim == 2 else state[-1] for state in (outputs["h"], outputs["c"]))
    if not y.size:
        return Finding("state.last_step", Verdict.ERROR, cause="no elements: nothing was compared")
    if not np.isfinite(np.asarray(h, dtype=np.float64)).any():
        return Finding("state.last_step", Verdict.ERROR, cause="h has no finite element: nothing was compared")
    to_h, to_c = distance(y[:, -1], h), distance(y[:, -1], c)
    cause = ""
    if to_h != 0.0:
        cause = "the last step is c" if to_c == 0.0 else "the last step is neither h nor c"
        if distance(y[:, 0], h) == 0.0 and y.shape[1] > 1:
            cause = "h is the first step of the sequence"
    elif to_c == 0.0:
        cause = "h and c are the same"
    verdict = Verdict.FAIL if cause else Verdict.PASS
    return Finding("state.last_step", verdict, to_h, 0, "absolute", cause=cause, seed=seed, note=f"to c: {to_c:.3g}")


def handover_plans(context: Context) -> bool:
    """Where an encoder hands its states to a decoder."""
    return "state.handover" in context.kind.checks


@check("state.handover", lambda context: ["state.handover"] if handover_plans(context) else [])
def handover(evidence: Evidence) -> Iterator[Finding]:
    """The decoder starts from the encoder's (h, c), in that order: not from (c, h), not from zeros."""
    one, result = evidence.main[0]
    if "y" not in result.outputs:
        yield Finding("state.handover", Verdict.FAIL, cause="gave no decoder output")
        return
    right = evidence.reference(one, result).outputs["y"]
    wrong = alternatives(evidence, one, result)
    limit = limit_of(evidence.context, "y", one.mode)[0]
    near = distance(result.outputs["y"], right)
    blind = [name for name, other in wrong.items() if distance(right, other) <= 2 * limit]
    if blind:
        cause = f"the case cannot tell (h, c) from {', '.join(blind)}"
        yield Finding("state.handover", Verdict.ILL_CONDITIONED, near, limit, "absolute", cause=cause)
        return
    gaps = {name: distance(result.outputs["y"], other) for name, other in wrong.items()}
    nearest = min(gaps, key=lambda name: gaps[name])
    fits = near < gaps[nearest]
    cause = "" if fits else f"the decoder starts from {nearest}"
    note = "distance to (h, c); to " + ", to ".join(f"{name}: {gap:.2g}" for name, gap in gaps.items())
    verdict = Verdict.PASS if fits else Verdict.FAIL
    yield Finding(
        "state.handover", verdict, near, gaps[nearest], "absolute", cause=cause, note=note, seed=str(one.seed)
    )


def alternatives(evidence: Evidence, one: Pass, result: PassResult) -> Arrays:
    """The decoder's output had it started from something else, by what it started from."""
    variant = evidence.variant
    trace = evidence.reference(one, result).trace
    h, c = trace["encoder.h"][:, :, -1], trace["encoder.c"][:, :, -1]
    inputs, weights, _ = evidence.context.arrays()
    own = wide(weights) if variant.config.tied else stripped(wide(weights))
    alone = evidence.context.kind.half(variant.config, return_sequences=variant.config.return_sequences)
    assert alone is not None
    decoder, config = alone
    sites = [site._replace(at=site.at.removeprefix(DECODER)) for site in variant.sites if site.at.startswith(DECODER)]
    draws = stripped(evidence.drawn(one, result))

    def run(h0: np.ndarray, c0: np.ndarray) -> np.ndarray:
        start = {"x": np.asarray(inputs["z"], np.float64), "h0": h0, "c0": c0}
        with np.errstate(invalid="ignore", over="ignore"):
            return decoder.evaluate(config, start, own, sites, draws, train=one.mode == "train").outputs["y"]

    zero = np.zeros_like(h)
    shape = h.shape if variant.config.layers > 1 else h.shape[1:]
    starts = {"(c, h)": (c, h), "zeros": (zero, zero), "h without c": (h, zero), "c without h": (zero, c)}
    return {name: run(first.reshape(shape), second.reshape(shape)) for name, (first, second) in starts.items()}


DECODER = "decoder."


def stripped(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The decoder's own arrays, without their prefix."""
    return {name.removeprefix(DECODER): array for name, array in arrays.items() if name.startswith(DECODER)}
