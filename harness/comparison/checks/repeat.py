"""`repeat.*`: the same call again, from the same seed, gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import same
from harness.comparison.context import Context, Evidence
from harness.execution.plan import REPEAT
from harness.records import Arrays, Verdict


def plans(context: Context) -> list[str]:
    """One for outputs and, where gradients are taken, one for them."""
    return ["repeat.forward", "repeat.gradient"] if context.variant.gradients else ["repeat.forward"]


@check("repeat", plans)
def repeat(evidence: Evidence) -> Iterator[Finding]:
    """Outputs and gradients of the repeated pass are bit-equal to the first."""
    (one, first), (_, again) = evidence.main[0], evidence.of(REPEAT)[0]
    yield _finding("repeat.forward", first.outputs, again.outputs, str(one.seed))
    if evidence.variant.gradients:
        if not first.gradients:
            yield Finding("repeat.gradient", Verdict.UNSUPPORTED, cause="gave no gradients")
        else:
            yield _finding("repeat.gradient", first.gradients, again.gradients, str(one.seed))


def _finding(name: str, first: Arrays, again: Arrays, seed: str) -> Finding:
    keys = sorted(set(first) | set(again))
    if not keys:
        return Finding(name, Verdict.ERROR, cause="gave nothing to compare")
    other = [key for key in keys if key not in first or key not in again or not same(first[key], again[key])]
    cause = f"other bits in {', '.join(other)} from the same seed" if other else ""
    return Finding(
        name, Verdict.NONDETERMINISTIC if other else Verdict.PASS, len(other), 0, "arrays", cause=cause, seed=seed
    )
