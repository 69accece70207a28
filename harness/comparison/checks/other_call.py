"""`mask.other_call`: a second call of the same layer, with no new seed, draws another mask.

A mask that is drawn once and kept is the classic fault of locked dropout written by hand: every batch of a training loses the
same units. It is asked of own code that draws from a generator with a state, and of any implementation where the case lists the
check by name; a layer that documents that it keeps its mask is a known difference there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import LUCK, keys, luck, native, same_draw
from harness.comparison.context import Context, Evidence
from harness.execution.plan import OTHER_CALL, masks_again
from harness.records import PassResult, Role, Verdict

FEW = "not asked: of so few elements two masks may be equal by luck; a larger batch or more units would tell"


def plans(context: Context) -> list[str]:
    """Where masks are drawn natively."""
    return [OTHER_CALL] if native(context) and keys(context) else []


@check(OTHER_CALL, plans, lambda context, backend: masks_again(context.variant, backend))
def other_call(evidence: Evidence) -> Iterator[Finding]:
    """Of every site that could tell, no call has an earlier one's mask; of small masks, the calls do not all have one."""
    again = evidence.of(Role.AGAIN)
    if not again or again[0][1].anew:
        yield Finding(OTHER_CALL, Verdict.UNSUPPORTED, cause=refused(evidence))
        return
    calls = [evidence.main[0][1], *(result for _, result in evidence.of(Role.AGAIN, Role.THIRD))]
    chance = {key: luck(site, kind) for site, key, kind in keys(evidence.context)}
    asked = [key for key, one in chance.items() if one ** (len(calls) - 1) <= LUCK]
    if not asked:
        yield Finding(OTHER_CALL, Verdict.UNSUPPORTED, cause=FEW)
        return
    missing = [key for key in asked if any(key not in result.draws for result in calls)]
    kept = [key for key in asked if all(same_draw(calls[0], result, key) for result in calls[1:])]
    repeating = [key for key in asked if key not in kept and chance[key] <= LUCK and repeated(calls, key)]
    parts = [f"the second call has the first one's mask at {', '.join(kept)}: drawn once and kept"] if kept else []
    parts += [f"a later call has an earlier one's mask at {', '.join(repeating)}"] if repeating else []
    parts += [f"drew nothing at {', '.join(missing)}"] if missing else []
    verdict = Verdict.FAIL if parts else Verdict.PASS
    count = len(kept) + len(repeating) + len(missing)
    note = f"compared: {', '.join(asked)}"
    seed = str(again[0][0].seed)
    yield Finding(OTHER_CALL, verdict, count, 0, "sites", cause="; ".join(parts), note=note, seed=seed)


def repeated(calls: Sequence[PassResult], key: str) -> bool:
    """Whether any two calls drew the same bits at a site."""
    return any(same_draw(one, other, key) for one, other in itertools.combinations(calls, 2))


def refused(evidence: Evidence) -> str:
    """Why there was no second call of the same layer."""
    if evidence.of(Role.AGAIN):
        return (
            "makes its layer anew in every call and seeds it: make it with `case.keep(make)`, and it lives through both"
        )
    return "is not called twice after one seeding"
