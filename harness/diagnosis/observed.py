"""What one pass gave, and how well an evaluation explains it: deviations in units of each array's own limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.comparison.checks.identity import noise_layer
from harness.comparison.checks.value import limit_of, names
from harness.comparison.context import GRADIENT, Context, Evidence, MissingDraw, flat_result, flatten, wide
from harness.comparison.tolerance import Bound, K, sensitivity
from harness.diagnosis.fault import Fault, planted
from harness.diagnosis.setting import Setting
from harness.layers.base import DoesNotFit
from harness.records import Arrays, Pass, PassResult, Role
from harness.rounding import Rounding, unit_roundoff

#: An explanation may miss a limit by this factor; then the limits of the faulty layer itself decide, which may be wider.
SLACK = 100.0
#: What an evaluation raises where a draw or a shape does not fit; anything else is an error of the fault.
UNFIT = (DoesNotFit, MissingDraw)


@dataclass(frozen=True)
class Observed:
    """One pass: its setting, what it gave, what the reference gives (None: it lacks a draw), and the limits, by flat names."""

    one: Pass
    setting: Setting
    actual: Arrays
    expected: Arrays | None
    limits: Mapping[str, float]

    def failing(self) -> list[str]:
        """The arrays that the reference does not explain."""
        return [name for name in self.limits if not self.right(name)]

    def right(self, name: str) -> bool:
        """Whether an array is within its limit of the reference."""
        return self.expected is not None and deviation(self.actual[name], self.expected[name], self.limits[name]) <= 1.0

    def ratio(self, name: str, predicted: np.ndarray) -> float:
        """The largest deviation over the limit; infinite for other shapes, or NaN and infinities that disagree.

        What must be exact in a right layer may be rounded in a faulty one.
        """
        limit = self.limits[name]
        if limit == 0.0:
            limit = K * unit_roundoff(self.setting.dtype) * float(np.max(np.abs(predicted), initial=0.0))
        return deviation(self.actual[name], predicted, limit)


def deviation(actual: np.ndarray, predicted: np.ndarray, limit: float) -> float:
    """Max |actual - predicted| / limit; 0 where they are equal, also with a limit of 0."""
    if actual.shape != predicted.shape:
        return float("inf")
    a, b = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, gap)
    largest = float(np.max(gap, initial=0.0))
    if largest == 0.0:
        return 0.0
    return largest / limit if limit > 0.0 and np.isfinite(largest) else float("inf")


def judged_limit(context: Context, name: str, mode: str, own: dict[str, Bound] | None = None) -> float:
    """The limit of an array; infinite where rounding alone could explain any difference, which gets no verdict either."""
    limit, bound, given = limit_of(context, name, mode, own)
    return float("inf") if bound.ill_conditioned and not given else limit


def setting_of(context: Context, one: Pass, result: PassResult | None, first: Arrays) -> Setting:
    """The setting of a pass, with the draws that it recorded."""
    inputs, weights, cotangents = context.arrays()
    draws = context.draws(result.draws) if result is not None else {}
    return Setting(
        kind=context.kind,
        config=context.variant.config,
        inputs=wide(inputs),
        weights=wide(weights),
        sites=context.variant.sites,
        draws=draws,
        train=one.mode == "train",
        dtype=context.variant.dtype,
        cotangents=wide(cotangents) if one.gradients else None,
        raw=dict(result.draws) if result is not None else {},
        first=first,
    )


def wanted(context: Context) -> set[str]:
    """The arrays that the case compares, by the names of `flatten`."""
    return {row if row.startswith(GRADIENT) else row.removeprefix("value.") for row in names(context)}


def observed(evidence: Evidence) -> list[Observed]:
    """The passes that values are compared for: the main ones, then evaluation."""
    context = evidence.context
    first: Arrays = {}
    found: list[Observed] = []
    compared = wanted(context)
    for one, result in [*evidence.main, *evidence.of(Role.EVAL)[:1]]:
        setting = setting_of(context, one, result, first)
        if not found:
            first = setting.draws
        actual = {name: array for name, array in flat_result(result).items() if name in compared}
        try:
            expected = flatten(evidence.reference(one, result))
        except UNFIT:
            expected = None
        exact = one.role == Role.EVAL and noise_layer(context)
        limits = {name: 0.0 if exact else judged_limit(context, name, one.mode) for name in actual}
        seen = Observed(one, setting, actual, expected, limits)
        if (
            expected is not None
            and not exact
            and any(1.0 < seen.ratio(k, expected[k]) <= SLACK for k in seen.failing())
        ):
            # As the check does: what is near its limit is judged by the bounds on its own draws.
            own = evidence.bounds(one, result)
            wider = {k: max(limit, judged_limit(context, k, one.mode, own)) for k, limit in limits.items()}
            seen = dataclasses.replace(seen, limits=wider)
        found.append(seen)
    return found


def predicted(faults: Iterable[Fault], setting: Setting) -> Arrays | None:
    """What the reference with these faults gives; None where they do not fit the setting. Raises FaultError."""
    try:
        return flatten(planted(faults)(setting))
    except UNFIT:
        return None


def own_limits(faults: tuple[Fault, ...], one: Observed) -> dict[str, float]:
    """Limits of the faulty layer: its own sensitivity to rounding, where that is more than the right one's."""

    def evaluate(rounding: Rounding | None) -> Arrays:
        return predicted(faults, one.setting.changed(rounding=rounding)) or {}

    bounds = sensitivity(evaluate, one.setting.dtype).bounds
    return {
        name: max(limit, 0.0 if bounds[name].ill_conditioned else bounds[name].limit) if name in bounds else limit
        for name, limit in one.limits.items()
    }
