"""`value.*` and `gradient.*`: outputs and gradients against the float64 reference on the implementation's own draws.

A native layer that differs from the reference on its own draws differs in meaning or in rounding, never by luck; the limit
is the case's own sensitivity to rounding (docs/tolerance.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.context import GRADIENT, Context, Evidence, flat_result, flatten
from harness.comparison.kernel import Comparison, compare_arrays
from harness.comparison.tolerance import Bound
from harness.records import Pass, PassResult, Verdict

#: A deviation above this part of the limit is judged by the bound on the draws that it belongs to.
NEAR = 4.0


def names(context: Context) -> list[str]:
    """`value.<output>` for every output and `gradient.<name>` for every input of floats and every weight."""
    variant = context.variant
    owed = [f"value.{name}" for name in context.output_shapes]
    if variant.gradients:
        integers = context.kind.integer_inputs(variant.config, variant.input_shapes())
        compared = [name for name in (*variant.inputs, *variant.weights) if variant.compares(name)]
        owed += [GRADIENT + name for name in compared if name not in integers]
    return owed


def left_out(context: Context) -> list[str]:
    """`gradient.<name>` for every weight of which the case leaves the gradient out."""
    variant = context.variant
    return [GRADIENT + name for name in variant.weights if variant.gradients and not variant.compares(name)]


def limit_of(context: Context, name: str, mode: str, own: dict[str, Bound] | None = None) -> tuple[float, Bound, bool]:
    """The limit of one output, where it comes from, and whether the case overrides it. own: bounds on a pass's own draws."""
    bound = (own or context.bounds(mode))[name]
    row = name if name.startswith(GRADIENT) else f"value.{name}"
    for key in (row, row.split(".")[0]):
        if key in context.variant.tolerance:
            return float(context.variant.tolerance[key]), bound, True
    return bound.limit, bound, False


@check("value", lambda context: [*names(context), *left_out(context)])
def value(evidence: Evidence) -> Iterable[Finding]:
    """The worst deviation over all passes, for each output and gradient."""
    for row in left_out(evidence.context):
        yield Finding(row, Verdict.UNSUPPORTED, cause="not asked: the case compares the gradients of its inputs alone")
    for row in names(evidence.context):
        name = row if row.startswith(GRADIENT) else row.removeprefix("value.")
        findings = []
        for one, result in evidence.main:
            actual = flat_result(result).get(name)
            if actual is None:
                findings.append(Finding(row, Verdict.ERROR, cause=absent(result, [name]), seed=str(one.seed)))
                continue
            expected = flatten(evidence.reference(one, result))[name]
            limit, bound, own = limit_of(evidence.context, name, one.mode)
            comparison = _compared(evidence, actual, expected, limit)
            # What a report draws of it needs no second look at the arrays.
            evidence.keep(ulps_key(result, name), comparison.ulp_histogram)
            if not own and (bound.ill_conditioned or comparison.max_abs > limit / NEAR):
                # Other masks may be several times as sensitive as those of the case's first tape: judge by its own.
                limit, bound, own = limit_of(evidence.context, name, one.mode, evidence.bounds(one, result))
                comparison = _compared(evidence, actual, expected, limit)
            findings.append(_finding(row, one, comparison, limit, bound, own))
        yield max(findings, key=_severity)


def ulps_key(result: PassResult, name: str) -> tuple[str, int, str]:
    """Under which `Evidence.once` keeps the distances in ULPs of one array of a pass."""
    return "ulps", id(result), name


def _compared(evidence: Evidence, actual: np.ndarray, expected: np.ndarray, limit: float) -> Comparison:
    """Without a bound on what rounding may do, the comparison still says by how much the two differ."""
    finite = min(limit, float(np.finfo(np.float64).max))
    return compare_arrays(actual, expected, finite, dtype=evidence.variant.dtype, with_digest=False)


def absent(result: PassResult, names: Sequence[str]) -> str:
    """What is said of owed arrays that a pass did not give: nothing was compared, which is never a refusal in words."""
    gradients = [name.removeprefix(GRADIENT) for name in names if name.startswith(GRADIENT)]
    if gradients and not result.gradients:
        return 'gave no gradients: a port may give them itself, under "gradients"; without any, set `gradients: false`'
    wanted, given = (gradients, result.gradients) if gradients else (list(names), result.outputs)
    what = "gradient of" if gradients else "output"
    return f"gave no {what} {', '.join(wanted)}; it gave: {', '.join(given) or 'nothing'}"


def _finding(row: str, one: Pass, comparison: Comparison, limit: float, bound: Bound, own: bool) -> Finding:
    note = (
        "limit set by the case"
        if own
        else f"{comparison.max_abs / bound.sensitivity:.2g} S"
        if bound.sensitivity
        else ""
    )
    if comparison.problem is not None:
        return Finding(row, Verdict.FAIL, cause=comparison.problem, seed=str(one.seed))
    if comparison.compared == 0:
        return Finding(row, Verdict.ERROR, cause="the output has no elements: nothing was compared", seed=str(one.seed))
    # NaN never enters max_abs, so a mismatch without a deviation is one of finiteness.
    at = comparison.max_abs_at if comparison.max_abs > limit else comparison.first_mismatch or comparison.max_abs_at
    where = str(list(at)) if at is not None else ""
    common = {"measured": comparison.max_abs, "limit": limit, "unit": "absolute", "where": where, "seed": str(one.seed)}
    if bound.ill_conditioned and not own:
        cause = _unbounded(bound)
        if not np.isfinite(limit):
            common["limit"] = None
        return Finding(row, Verdict.ILL_CONDITIONED, cause=cause, note=note, **common)  # type: ignore[arg-type]
    if comparison.agrees:
        return Finding(row, Verdict.PASS, note=note, **common)  # type: ignore[arg-type]
    return Finding(row, Verdict.FAIL, cause=_cause(comparison), note=note, **common)  # type: ignore[arg-type]


def _unbounded(bound: Bound) -> str:
    if not np.isfinite(bound.sensitivity):
        return "rounding alone may make it overflow or not: no limit can be derived"
    if bound.magnitude == 0.0:
        return f"it is 0 and rounding alone may make it {bound.sensitivity:.1e}: no limit can be derived"
    return f"rounding alone may move it by {bound.sensitivity:.1e}, of at most {bound.magnitude:.1e}"


def _cause(comparison: Comparison) -> str:
    parts = [f"{comparison.mismatches} of {comparison.compared} elements differ"]
    if comparison.nan_disagreements:
        parts.append(f"{comparison.nan_disagreements} NaN on one side only")
    if comparison.inf_disagreements:
        parts.append(f"{comparison.inf_disagreements} infinite on one side only")
    if comparison.zero_disagreements:
        parts.append(f"{comparison.zero_disagreements} zero on one side only")
    return ", ".join(parts)


def _severity(finding: Finding) -> tuple[int, float]:
    order = (Verdict.PASS, Verdict.ILL_CONDITIONED, Verdict.ERROR, Verdict.FAIL)
    ratio = (
        finding.measured / finding.limit if finding.measured is not None and finding.limit else finding.measured or 0.0
    )
    return order.index(finding.verdict), ratio
