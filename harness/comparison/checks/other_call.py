"""`mask.other_call`: a second call of the same layer, with no new seed, draws another mask.

A mask that is drawn once and kept is the classic fault of locked dropout written by hand: every batch of a training loses the
same units. It is asked of own code that draws from a generator with a state, and of any implementation where the case lists the
check by name; a layer that documents that it keeps its mask is a known difference there.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.comparison.checks.base import Finding, check
from harness.comparison.checks.mask import LUCK, keys, luck, native, same_draw
from harness.comparison.context import Context, Evidence
from harness.execution.plan import OTHER_CALL, masks_again
from harness.records import Role, Verdict

FEW = "not asked: of so few elements two masks may be equal by luck; a larger batch or more units would tell"


def plans(context: Context) -> list[str]:
    """Where masks are drawn natively."""
    return [OTHER_CALL] if native(context) and keys(context) else []


@check(OTHER_CALL, plans, lambda context, backend: masks_again(context.variant, backend))
def other_call(evidence: Evidence) -> Iterator[Finding]:
    """Of every site that could tell, the later calls' draws are not all the first one's."""
    again = evidence.of(Role.AGAIN)
    if not again or again[0][1].anew:
        yield Finding(OTHER_CALL, Verdict.UNSUPPORTED, cause=refused(evidence))
        return
    first = evidence.main[0][1]
    later = [result for _, result in evidence.of(Role.AGAIN, Role.THIRD)]
    asked = [key for site, key, kind in keys(evidence.context) if luck(site, kind) ** len(later) <= LUCK]
    if not asked:
        yield Finding(OTHER_CALL, Verdict.UNSUPPORTED, cause=FEW)
        return
    missing = [key for key in asked if any(key not in result.draws for result in (first, *later))]
    kept = [key for key in asked if all(same_draw(first, result, key) for result in later)]
    parts = [f"the second call has the first one's mask at {', '.join(kept)}: drawn once and kept"] if kept else []
    parts += [f"drew nothing at {', '.join(missing)}"] if missing else []
    verdict = Verdict.FAIL if parts else Verdict.PASS
    count = len(kept) + len(missing)
    note = f"compared: {', '.join(asked)}"
    seed = str(again[0][0].seed)
    yield Finding(OTHER_CALL, verdict, count, 0, "sites", cause="; ".join(parts), note=note, seed=seed)


def refused(evidence: Evidence) -> str:
    """Why there was no second call of the same layer."""
    if evidence.of(Role.AGAIN):
        return (
            "makes its layer anew in every call and seeds it: make it with `case.keep(make)`, and it lives through both"
        )
    return "is not called twice after one seeding"
