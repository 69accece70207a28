"""The pool: one lane with its long-lived worker for each (environment, backend), side by side.

A worker that dies or does not answer in time costs the job it was doing; the lane starts a new one and goes on. Results come
out in the order in which jobs were put in, so that a run's table does not depend on luck.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from threading import BoundedSemaphore
from typing import Generic, TypeVar

from harness.execution.lane import Lane, Task
from harness.execution.plan import PlannedJob
from harness.records import Arrays, JobResult

Result = TypeVar("Result")
Context = TypeVar("Context")
#: Jobs put in ahead of the slowest worker, for each worker: enough to keep all busy, few enough to keep memory flat.
AHEAD = 32


class Pool(Generic[Result, Context]):
    """Runs jobs on workers. Use as a context manager: leaving it ends every worker.

    consume   what to do with a job's result, in its worker's thread.
    arrays    a job's inputs, weights and cotangents, made from its context when its turn comes, so that memory stays flat.
    on_start  told of each job when a worker takes it up.
    side_by_side  how many workers compute at the same time; None: all of them.
    failed    what stands for the result of a job that came to none by an exception of ours; default: it is raised again.
    """

    def __init__(
        self,
        consume: Callable[[JobResult, Context], Result],
        arrays: Callable[[Context], tuple[Arrays, Arrays, Arrays]],
        on_start: Callable[[PlannedJob], None] | None = None,
        side_by_side: int | None = None,
        failed: Callable[[PlannedJob, Context, Exception], Result] | None = None,
    ) -> None:
        self._consume = consume
        self._failed = failed
        self._arrays = arrays
        self._on_start = on_start
        self._turns = None if side_by_side is None else BoundedSemaphore(side_by_side)
        self._lanes: dict[tuple[str, str], Lane[Result, Context]] = {}

    def __enter__(self) -> Pool[Result, Context]:
        return self

    def __exit__(self, *_exc: object) -> None:
        for lane in self._lanes.values():
            lane.stop()
        for lane in self._lanes.values():
            lane.join(timeout=10)

    def run(self, jobs: Iterable[tuple[PlannedJob, Context]]) -> Iterator[tuple[PlannedJob, Result]]:
        """Run all jobs; yields (job, result) in the order of the jobs. Re-raises what `failed` raises, and Ctrl-C."""
        waiting: list[Task[Result, Context]] = []
        ahead = AHEAD
        for job, context in jobs:
            task: Task[Result, Context] = Task(job, context, threading.Event())
            self._put(task)
            waiting.append(task)
            ahead = AHEAD * max(1, len(self._lanes))
            while waiting and (waiting[0].done.is_set() or len(waiting) > ahead):
                yield self._finish(waiting.pop(0))
        while waiting:
            yield self._finish(waiting.pop(0))

    def _finish(self, task: Task[Result, Context]) -> tuple[PlannedJob, Result]:
        # A wait with a timeout lets Ctrl-C through on every platform.
        while not task.done.wait(timeout=0.5):
            pass
        if isinstance(task.failure, Exception) and self._failed is not None:
            return task.job, self._failed(task.job, task.context, task.failure)
        if task.failure is not None:
            raise task.failure
        assert task.result is not None
        return task.job, task.result

    def _put(self, task: Task[Result, Context]) -> None:
        job = task.job
        if job.failure is not None:
            task.fail(job.failure)
            return
        if job.verdict is not None or job.backend.recorded is not None:
            # Nothing to run: the verdict is known, or the outputs stand in the case.
            task.finish(lambda: _unrun(job), self._consume)
            return
        if job.worker not in self._lanes:
            self._lanes[job.worker] = Lane(job.worker, self._consume, self._arrays, self._on_start, self._turns)
        self._lanes[job.worker].put(task)


def _unrun(job: PlannedJob) -> JobResult:
    return JobResult(
        job.variant, job.backend, verdict=job.verdict, message=job.message, recipe=job.recipe, missing=job.missing
    )
