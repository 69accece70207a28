"""A run: plan, execution and comparison joined. What comes out is a stream of compared jobs, for a report to store."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator

from harness.comparison.compare import compare
from harness.comparison.context import Context
from harness.execution.plan import PlannedJob, expand, passes_of, planned
from harness.execution.pool import Pool
from harness.records import BackendRef, Compared, JobResult, Variant


def run(
    variants: Iterable[Variant],
    *,
    select: Callable[[BackendRef], bool] = lambda _: True,
    on_start: Callable[[PlannedJob], None] | None = None,
    today: datetime.date | None = None,
    jobs: int | None = None,
    profile: bool = False,
) -> Iterator[Compared]:
    """Run every (variant, implementation) and compare it; yields in plan order, however the workers finish.

    select    which backends to run; the others are left out of the plan.
    on_start  called in a worker's thread when it takes up a job, for a progress bar.
    jobs      how many workers compute at the same time; default: all of them, one for each framework.
    profile   measure all of the profile: one more pass, and the frameworks' own parameters.
    today     the day on which known differences are judged; default: this one.

    Closing the iterator, or an exception in its consumer, ends all workers.
    """
    day = today or datetime.date.today()

    def tasks() -> Iterator[tuple[PlannedJob, Context]]:
        for variant in variants:
            context = Context(variant)
            passes = passes_of(variant, profile)
            for ref in expand(variant, select):
                yield dataclasses.replace(planned(variant, ref, passes), profile=profile), context

    def consume(result: JobResult, context: Context) -> Compared:
        return compare(result, context, day)

    with Pool(consume, lambda context: context.arrays(), on_start, jobs) as pool:
        for _, compared in pool.run(tasks()):
            yield compared
