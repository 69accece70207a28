"""`repeat.*`: the same call again, from the same seed, gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import distinct, same
from harness.comparison.checks.value import absent, names
from harness.comparison.context import GRADIENT, Context, Evidence, flat_result
from harness.records import Arrays, Role, Verdict


def plans(context: Context) -> list[str]:
    """One for outputs and, where gradients are taken, one for them."""
    taken = any(name.startswith(GRADIENT) for name in names(context))
    return ["repeat.forward", "repeat.gradient"] if taken else ["repeat.forward"]


@check("repeat", plans)
def repeat(evidence: Evidence) -> Iterator[Finding]:
    """Outputs and gradients of the repeated pass are bit-equal to the first."""
    one, first = evidence.main[0]
    again = evidence.of(Role.REPEAT)
    flat = flat_result(first)
    for row in plans(evidence.context):
        gradients = row == "repeat.gradient"
        owed = [name.removeprefix("value.") for name in names(evidence.context)]
        missing = [name for name in owed if name.startswith(GRADIENT) == gradients and name not in flat]
        if missing:
            yield Finding(row, Verdict.ERROR, cause=absent(first, missing), seed=str(one.seed))
        elif gradients:
            taken = [result.gradients for other, result in again if other.gradients]
            yield _finding(row, [first.gradients, *taken], str(one.seed))
        else:
            yield _finding(row, [first.outputs, *(result.outputs for _, result in again)], str(one.seed))


def _finding(name: str, runs: Sequence[Arrays], seed: str) -> Finding:
    keys = sorted({key for run in runs for key in run})
    if not keys or len(runs) < 2:
        return Finding(name, Verdict.ERROR, cause="gave nothing to compare")
    other = [
        key
        for key in keys
        if not all(key in run and key in runs[0] and same(runs[0][key], run[key]) for run in runs[1:])
    ]
    sets = distinct([[run[key] for key in keys if key in run] for run in runs])
    note = f"{sets} distinct in {len(runs)} runs"
    cause = f"other bits in {', '.join(other)} from the same seed: {note}" if other else ""
    verdict = Verdict.NONDETERMINISTIC if other else Verdict.PASS
    return Finding(name, verdict, sets, 1, "distinct runs", cause=cause, note=note, seed=seed)
