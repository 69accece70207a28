"""A run: plan, execution and comparison joined. What comes out is a stream of compared jobs, for a report to store."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from harness.comparison.compare import compare
from harness.comparison.context import Context
from harness.comparison.retry import sampled, second_stage, unsettled
from harness.comparison.sampling import staged
from harness.execution.plan import PlannedJob, expand, later_calls, passes_of, planned
from harness.execution.pool import Pool
from harness.execution.retry import fresh_jobs
from harness.internal import Phases, failure, noted
from harness.records import Arrays, BackendRef, Compared, JobResult, Pass, Variant, Verdict


@dataclass(frozen=True)
class Afresh:
    """A job that draws afresh for a suspicious result, in the context of its variant."""

    context: Context

    def arrays(self) -> tuple[Arrays, Arrays, Arrays]:
        """The variant's inputs and weights; gradients are not taken."""
        inputs, weights, _ = self.context.arrays()
        return inputs, weights, {}


class Runner:
    """Workers that outlast a run, so that many small runs start each framework once. A context manager.

    on_start  called in a worker's thread when it takes up a job, for a progress bar.
    today     the day on which known differences are judged; default: this one.
    jobs      how many workers compute at the same time; default: all of them, one for each framework.
    profile   measure all of the profile: one more pass, and the frameworks' own parameters.
    """

    def __init__(
        self,
        *,
        on_start: Callable[[PlannedJob], None] | None = None,
        today: datetime.date | None = None,
        jobs: int | None = None,
        profile: bool = False,
    ) -> None:
        self._day = today or datetime.date.today()
        self._profile = profile
        self._on_start = on_start
        self._context: Context | None = None
        self._pool: Pool[Compared | JobResult, Context | Afresh] = Pool(
            self._consume, lambda context: context.arrays(), on_start, jobs, self._failed
        )

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        self._pool.__exit__()

    def run(
        self, variants: Iterable[Variant], select: Callable[[BackendRef], bool] = lambda _: True
    ) -> Iterator[Compared]:
        """Run every (variant, implementation) and compare it; yields in plan order, however the workers finish.

        An exception of ours costs the comparison in which it was raised: that gets an `error` row (harness.internal).

        select  which backends to run; the others are left out of the plan.
        """
        for programs, some in itertools.groupby(variants, key=lambda variant: variant.programs):
            if programs:
                yield from (compared for variant in some for compared in self._programs(variant, select))
                continue
            for _, compared in self._pool.run(self._tasks(some, select)):
                assert isinstance(compared, Compared)
                yield self._again(compared) if compared.again else compared

    def _programs(self, variant: Variant, select: Callable[[BackendRef], bool]) -> Iterator[Compared]:
        """The comparisons of a pair of programs, in workers of its own: a program may change the process that it runs in."""
        # What calls programs and follows their values is not imported before there is a pair.
        from harness.pairs.running import comparisons

        def start(ref: BackendRef) -> None:
            if self._on_start is not None:
                self._on_start(PlannedJob(variant, ref))

        yield from comparisons(variant, select, self._day, start)

    def _again(self, compared: Compared) -> Compared:
        """The verdicts of suspicious rows, after the same implementation has drawn afresh: the same worker, after its next jobs.

        Seldom: a right implementation's row is suspicious once in ten thousand.
        """
        try:
            context = Context(compared.variant)
            jobs = fresh_jobs(compared.variant, compared.backend, staged().factor)
            drawn = [result for _, result in self._pool.run((job, Afresh(context)) for job in jobs)]
            settled = second_stage(compared, [one for one in drawn if isinstance(one, JobResult)], context, self._day)
            if not settled.whole:
                return settled
            from harness.diagnosis.diagnose import with_symptoms

            return with_symptoms(settled)
        except Exception as error:
            return noted(unsettled(compared), [failure(error, "its suspicious rows were tried again")])

    def _tasks(
        self, variants: Iterable[Variant], select: Callable[[BackendRef], bool]
    ) -> Iterator[tuple[PlannedJob, Context]]:
        for variant in variants:
            context = self._shared(variant)
            passes: tuple[Pass, ...] | None = None
            for ref in expand(variant, select):
                try:
                    passes = passes_of(variant, self._profile) if passes is None else passes
                    job = planned(variant, ref, later_calls(variant, ref, passes))
                except Exception as error:
                    job = PlannedJob(variant, ref, failure=error)
                yield dataclasses.replace(job, profile=self._profile), context

    def _shared(self, variant: Variant) -> Context:
        """What a variant's backends share; kept from the run before where that was of the same variant."""
        if self._context is None or self._context.variant is not variant:
            self._context = Context(variant)
        return self._context

    def _consume(self, result: JobResult, context: Context | Afresh) -> Compared | JobResult:
        if isinstance(context, Afresh):
            return sampled(result, context.context)
        return conclude(result, context, self._day)

    def _failed(self, job: PlannedJob, context: Context | Afresh, error: Exception) -> Compared:
        """The comparison of a job that came to no result by an exception of ours."""
        if isinstance(context, Afresh):
            raise error
        phase = "it was planned" if job.failure is error else "it was run"
        return noted(Compared(job.variant, job.backend), [failure(error, phase)])


def conclude(result: JobResult, context: Context, today: datetime.date) -> Compared:
    """What a run says of one job: its comparison, and the causes of what differs. Raises nothing of ours (harness.internal)."""
    judged = compare(result, context, today)
    compared, evidence = judged.compared, judged.evidence
    bad = (Verdict.FAIL, Verdict.ERROR)
    if evidence is None or all(row.verdict not in bad for row in compared.rows):
        return compared
    # The search is not imported before something differs.
    from harness.diagnosis.diagnose import explained

    phases = Phases()
    compared = phases.attempt("its causes were looked for", lambda: explained(compared, evidence), compared)
    return noted(compared, phases.failures)


def run(
    variants: Iterable[Variant],
    *,
    select: Callable[[BackendRef], bool] = lambda _: True,
    on_start: Callable[[PlannedJob], None] | None = None,
    today: datetime.date | None = None,
    jobs: int | None = None,
    profile: bool = False,
) -> Iterator[Compared]:
    """Run every (variant, implementation) and compare it, with workers of its own; arguments as of `Runner`.

    Closing the iterator, or an exception in its consumer, ends all workers.
    """
    with Runner(on_start=on_start, today=today, jobs=jobs, profile=profile) as runner:
        yield from runner.run(variants, select)
