"""`state.continued`, `state.reset`: where the second call of a layer that keeps its states starts.

Keras: "the last state for each sample at index i in a batch will be used as initial state for the sample of index i in the
following batch" (https://keras.io/api/layers/recurrent_layers/lstm/, `stateful`). The reference of a second call is a layer that
is given the first call's last h and c, on the draws of the second call; its gradient ends at these states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import same
from harness.comparison.checks.state import distance
from harness.comparison.checks.value import limit_of
from harness.comparison.context import GRADIENT, Context, Evidence, flat_result, flatten, wide
from harness.comparison.tolerance import sensitivity
from harness.layers.base import Evaluation
from harness.records import Arrays, Pass, PassResult, Role, Verdict
from harness.rounding import Rounding

LAST, ZERO = "the first call's last (h, c)", "zero"
#: What else a second call could start from, by how it is made of the first call's last states.
WRONG = {
    "the first call's (c, h)": lambda h, c: (c, h),
    "the first call's h without c": lambda h, c: (h, np.zeros_like(c)),
    "the first call's c without h": lambda h, c: (np.zeros_like(h), c),
}


def keeps_states(context: Context) -> bool:
    """Whether the case's layer keeps its states."""
    return bool(getattr(context.variant.config, "stateful", False))


@check("state.continued", lambda context: ["state.continued"] if keeps_states(context) else [])
def continued(evidence: Evidence) -> Iterator[Finding]:
    """A second call starts from the last states of the first one."""
    yield finding(evidence, "state.continued", Role.CONTINUED, LAST)


@check("state.reset", lambda context: ["state.reset"] if keeps_states(context) else [])
def reset(evidence: Evidence) -> Iterator[Finding]:
    """A second call after a reset starts from zero."""
    yield finding(evidence, "state.reset", Role.RESET, ZERO)


class TwoCalls:
    """The reference of two calls: on the draws of the first pass of a case, and on those of another one."""

    def __init__(self, evidence: Evidence, one: Pass, result: PassResult) -> None:
        self.context, self.one = evidence.context, one
        first, drawn = evidence.main[0]
        self.draws = evidence.required(first, drawn), evidence.required(one, result)

    def second(self, start: str, rounding: Rounding | None = None) -> Arrays:
        """Outputs and gradients of the second call, by what it starts from."""
        states: Arrays = {}
        if start != ZERO:
            before = self._call(self.draws[0], {}, {}, rounding).outputs
            h, c = before["h"], before["c"]
            if start in WRONG and h.shape != c.shape:
                return {}
            h, c = WRONG[start](h, c) if start in WRONG else (h, c)
            states = {"h0": h, "c0": c}
        cotangents = wide(self.context.arrays()[2]) if self.one.gradients else {}
        found = flatten(self._call(self.draws[1], states, cotangents, rounding))
        return {
            name: array
            for name, array in found.items()
            if name.startswith(GRADIENT) or name in self.context.output_shapes
            if name.removeprefix(GRADIENT) not in states
        }

    def _call(
        self, draws: Mapping[str, np.ndarray], states: Arrays, cotangents: Arrays, rounding: Rounding | None
    ) -> Evaluation:
        variant = self.context.variant
        inputs, weights, _ = self.context.arrays()
        return self.context.kind.evaluate(
            variant.config.model_copy(update={"return_state": True}),
            wide(inputs) | states,
            wide(weights),
            variant.sites,
            draws,
            train=self.one.mode == "train",
            cotangents=cotangents or None,
            rounding=rounding,
        )


def finding(evidence: Evidence, name: str, role: str, start: str) -> Finding:
    """Compare the second call of one role with the reference that begins at `start`, and with what else it might begin at."""
    one, result = evidence.of(role)[0]
    calls = TwoCalls(evidence, one, result)
    right, actual = calls.second(start), flat_result(result)
    bounds = sensitivity(lambda rounding: calls.second(start, rounding), evidence.variant.dtype).bounds
    limits = {key: limit_of(evidence.context, key, one.mode, bounds)[0] for key in right}

    def worst(expected: Arrays) -> tuple[float, str]:
        """How many times its limit the farthest array lies from what is expected, and its name."""
        return max(
            (distance(actual.get(key, np.empty(0)), array) / max(limits[key], 1e-300), key)
            for key, array in expected.items()
        )

    others = {other: calls.second(other) for other in (LAST, ZERO, *WRONG) if other != start}
    others = {other: expected for other, expected in others.items() if expected}
    blind = [
        other
        for other, expected in others.items()
        if all(distance(right[key], array) <= 2.0 * limits[key] for key, array in expected.items())
    ]
    if blind:
        cause = f"the case cannot tell {start} from {', '.join(blind)}"
        return Finding(name, Verdict.ILL_CONDITIONED, cause=cause, seed=str(one.seed))
    far, where = worst(right)
    cause = ""
    if far > 1.0:
        fitting = [other for other, expected in others.items() if worst(expected)[0] <= 1.0]
        found = (
            f"the second call starts from {fitting[0]}" if fitting else f"{where} is not that of a start from {start}"
        )
        cause = f"{found}, not from {start}" if fitting else found
    verdict = Verdict.FAIL if far > 1.0 else Verdict.PASS
    return Finding(name, verdict, far, 1.0, "limits", where, cause, masks_of(evidence, result), str(one.seed))


def masks_of(evidence: Evidence, result: PassResult) -> str:
    """Whether the second call has masks of its own."""
    first = evidence.main[0][1].draws
    kept = sorted(key for key, draw in result.draws.items() if key in first and same(first[key].values, draw.values))
    if not result.draws or evidence.variant.draws != "native":
        return ""
    return f"the first call's masks at {', '.join(kept)}" if kept else "masks drawn anew"
