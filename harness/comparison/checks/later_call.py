"""`value.later_call`: a second and a third call give what a program built anew gives on the same draws.

A state that is carried over from batch to batch, weights that are dropped in place for good, a cache, a statistic that drifts:
the first call is right, and so are all masks. The reference knows one call alone, so it stands for the program built anew. Asked
of own code, in training and in evaluation, and of any implementation where the case lists the check by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.state import distance
from harness.comparison.checks.stateful import LAST, WRONG, TwoCalls
from harness.comparison.checks.value import limit_of
from harness.comparison.context import Evidence, MissingDraw, flat_result, flatten, wide
from harness.execution.plan import LATER_CALL, values_again
from harness.layers._sites import draw_of
from harness.records import Arrays, Pass, PassResult, Role, Verdict

WEIGHT, KERNEL = "weight.recurrent", "recurrent_kernel"
#: The later calls by what a row says of them: those that a cause can be named of come first.
WORDS = {
    Role.AGAIN: "the second call",
    Role.EVAL_AGAIN: "a second call in evaluation",
    Role.THIRD: "the third call",
}


@check(LATER_CALL, lambda _context: [LATER_CALL], lambda context, backend: values_again(context.variant, backend))
def later_call(evidence: Evidence) -> Iterator[Finding]:
    """The worst array of the later calls, in times of its limit."""
    calls = [(one, result) for one, result in evidence.of(*WORDS)]
    if not calls:
        yield Finding(LATER_CALL, Verdict.UNSUPPORTED, cause="is not called twice after one seeding")
        return
    first = [*evidence.main[:1], *evidence.of(Role.EVAL)[:1]]
    try:
        before = max(deviation(evidence, *call) for call in first)
    except MissingDraw as error:
        yield unasked(f"the first call draws nothing at {error}")
        return
    if before[0] > 1.0:
        yield unasked(f"the first call's {before[1]} differs already")
        return
    answers = [
        judged(evidence, one, result) for one, result in sorted(calls, key=lambda call: list(WORDS).index(call[0].role))
    ]
    bad = [answer for answer in answers if answer.verdict is not Verdict.PASS]
    yield bad[0] if bad else max(answers, key=lambda answer: answer.measured or 0.0)


def unasked(why: str) -> Finding:
    """The row of a question that another row's failure makes void."""
    return Finding(LATER_CALL, Verdict.UNSUPPORTED, cause=f"not asked, since {why}")


def judged(evidence: Evidence, one: Pass, result: PassResult) -> Finding:
    """One later call."""
    try:
        far, name = deviation(evidence, one, result)
    except MissingDraw as error:
        cause = f"{WORDS[one.role]} draws nothing at {error}"
        return Finding(LATER_CALL, Verdict.FAIL, cause=cause, seed=str(one.seed))
    if not name:
        return Finding(LATER_CALL, Verdict.ILL_CONDITIONED, cause="no limit can be derived", seed=str(one.seed))
    if far <= 1.0:
        return Finding(LATER_CALL, Verdict.PASS, far, 1.0, "limits", name, seed=str(one.seed))
    causes = [
        words for words, expected in carried(evidence, one, result).items() if fits(evidence, one, result, expected)
    ]
    what = causes[0] if causes else "something is carried over from call to call"
    cause = f"the first call is right, and {WORDS[one.role]} is not: {what}"
    return Finding(LATER_CALL, Verdict.FAIL, far, 1.0, "limits", name, cause, seed=str(one.seed))


def deviation(evidence: Evidence, one: Pass, result: PassResult) -> tuple[float, str]:
    """How many times its limit the farthest array lies from the reference on this pass's draws, and its name.

    Arrays that were not given are the rows' of `value` and `gradient`.
    """
    limits = limits_of(evidence, one, result)
    actual = flat_result(result)
    gaps = [
        (distance(actual[name], expected) / limits[name], name)
        for name, expected in flatten(evidence.reference(one, result)).items()
        if name in limits and name in actual
    ]
    return max(gaps, default=(0.0, ""))


def limits_of(evidence: Evidence, one: Pass, result: PassResult) -> dict[str, float]:
    """The limit of every array on this pass's own draws; of those alone for which one can be derived."""
    bounds = evidence.bounds(one, result)
    limits = {name: limit_of(evidence.context, name, one.mode, bounds)[0] for name in bounds}
    return {name: max(limit, 1e-300) for name, limit in limits.items() if np.isfinite(limit)}


def fits(evidence: Evidence, one: Pass, result: PassResult, expected: Arrays) -> bool:
    """Whether all outputs are those that a carried-over thing would give."""
    limits = limits_of(evidence, one, result)
    given = {name: array for name, array in expected.items() if name in result.outputs}
    return bool(given) and all(
        distance(result.outputs[name], array) <= limits.get(name, np.inf) for name, array in given.items()
    )


def carried(evidence: Evidence, one: Pass, result: PassResult) -> dict[str, Arrays]:
    """What a second call would give by what is carried into it, where the case's kind has such a thing."""
    if one.role is Role.THIRD:
        return {}
    expected: dict[str, Arrays] = {}
    if hasattr(evidence.variant.config, "stateful"):
        calls = TwoCalls(evidence, one, result)
        for start in (LAST, *WRONG):
            expected[f"it starts from {start}, where each batch starts from zero: the state is kept"] = calls.second(
                start
            )
    dropped = dropped_in_place(evidence, one, result)
    if dropped is not None:
        expected[
            "it starts from the weights that the first call dropped: the mask is multiplied into them for good"
        ] = dropped()
    return expected


def dropped_in_place(evidence: Evidence, one: Pass, result: PassResult) -> Callable[[], Arrays] | None:
    """The second call on a recurrent kernel that the first call's mask has cut for good; None where the case drops none."""
    context = evidence.context
    site = next((site for site in context.variant.sites if site.at == WEIGHT and site.active), None)
    if site is None or len(site.axes) != 3 or KERNEL not in context.variant.weights or one.mode != "train":
        return None

    def second() -> Arrays:
        inputs, weights, _ = context.arrays()
        mask = np.asarray(draw_of(site, evidence.required(*evidence.main[0])), dtype=np.float64)
        kernel = np.asarray(weights[KERNEL], dtype=np.float64)
        scale = 1.0 / site.keep if site.scale == "inverted" else 1.0
        cut = (kernel.reshape(kernel.shape[0], site.full[1], -1) * mask * scale).reshape(kernel.shape)
        return context.kind.evaluate(
            context.variant.config,
            wide(inputs),
            {**wide(weights), KERNEL: cut},
            context.variant.sites,
            evidence.required(one, result),
            train=True,
        ).outputs

    return second
