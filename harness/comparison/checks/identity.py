"""`identity.*`: where dropout must change nothing: in evaluation and at rate 0; and at rate 1, where nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Context, Evidence
from harness.comparison.kernel import compare_arrays
from harness.records import Role, Verdict


def noise_layer(context: Context) -> bool:
    """Whether the layer is nothing but its noise: y = x without it."""
    return not context.variant.weights and set(context.output_shapes) == {"y"}


@check("identity.eval", lambda c: ["identity.eval"] if c.variant.mode == "train" and c.variant.sites else [])
def evaluation(evidence: Evidence) -> Iterator[Finding]:
    """In evaluation mode the outputs are those of the layer without dropout; a noise layer's are its input, bit for bit."""
    one, result = evidence.of(Role.EVAL)[0]
    yield _compared(
        "identity.eval", evidence, result.outputs, evidence.reference(one, result).outputs, "eval", str(one.seed)
    )


def rate_zero(context: Context) -> bool:
    """Whether there are sites, and the noise of every one changes nothing."""
    sites = context.variant.sites
    return context.variant.mode == "train" and bool(sites) and all(site.silent for site in sites)


@check("identity.rate0", lambda context: ["identity.rate0"] if rate_zero(context) else [])
def rate0(evidence: Evidence) -> Iterator[Finding]:
    """At rate 0 training gives what evaluation gives: a noise layer bit for bit, a recurrent one within its limit."""
    for one, result in evidence.main[:1]:
        expected = evidence.context.reference({}, train=False, gradients=False).outputs
        yield _compared("identity.rate0", evidence, result.outputs, expected, "eval", str(one.seed))


def rate_one(context: Context) -> bool:
    """Whether the layer is a plain dropout that keeps nothing."""
    sites = context.variant.sites
    return (
        context.variant.mode == "train"
        and noise_layer(context)
        and len(sites) == 1
        and sites[0].rate == 1.0
        and sites[0].masks
    )


@check("identity.rate1", lambda context: ["identity.rate1"] if rate_one(context) else [])
def rate1(evidence: Evidence) -> Iterator[Finding]:
    """At rate 1 every output is zero: not NaN, not the input."""
    for one, result in evidence.main[:1]:
        y = np.asarray(result.outputs["y"], dtype=np.float64)
        # Nothing times NaN or infinity is NaN for a layer that multiplies, and zero for one that selects: value.y has it.
        x = np.asarray(evidence.context.arrays()[0]["x"], dtype=np.float64)
        y = y[np.isfinite(x)] if y.shape == x.shape else y
        if not y.size:
            yield Finding("identity.rate1", Verdict.ERROR, cause="no finite elements: nothing was compared")
            return
        wrong = int(np.count_nonzero(y != 0.0))
        cause = f"{wrong} of {y.size} elements are not zero" if wrong else ""
        verdict = Verdict.FAIL if wrong else Verdict.PASS
        yield Finding("identity.rate1", verdict, wrong, 0, "elements", cause=cause, seed=str(one.seed))


def _compared(
    name: str, evidence: Evidence, outputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], mode: str, seed: str
) -> Finding:
    """The worst output against what it should be, within the limit of that mode (0 for a noise layer: bit for bit)."""
    worst: Finding | None = None
    for key, wanted in expected.items():
        if key not in outputs:
            return Finding(name, Verdict.FAIL, cause=f"gave no output {key!r}", seed=seed)
        limit = limit_of(evidence.context, key, mode)[0] if not noise_layer(evidence.context) else 0.0
        if not np.isfinite(limit):
            cause = f"{key}: rounding alone may make it overflow or not: no limit can be derived"
            return Finding(name, Verdict.ILL_CONDITIONED, cause=cause, seed=seed)
        found = compare_arrays(outputs[key], wanted, limit, with_digest=False)
        if found.problem or not found.compared:
            return Finding(
                name, Verdict.FAIL, cause=f"{key}: {found.problem or 'no elements: nothing was compared'}", seed=seed
            )
        at = str(list(found.max_abs_at)) if found.max_abs_at is not None else ""
        cause = "" if found.agrees else f"{key}: {found.mismatches} of {found.compared} elements differ"
        verdict = Verdict.PASS if found.agrees else Verdict.FAIL
        finding = Finding(name, verdict, found.max_abs, limit, "absolute", at, cause, seed=seed)
        if worst is None or (finding.verdict is Verdict.FAIL and worst.verdict is Verdict.PASS):
            worst = finding
    return worst or Finding(name, Verdict.ERROR, cause="no outputs: nothing was compared", seed=seed)
