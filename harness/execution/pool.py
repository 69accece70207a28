"""The pool: one thread and one long-lived worker for each (environment, backend), side by side.

A worker that dies or does not answer in time costs the job it was doing; the thread starts a new one and goes on. What a
job gave is handed to `consume` in that thread, before the worker's next job, because large arrays lie in a mapping that the
next answer overwrites. Results come out in the order in which jobs were put in, so that a run's table does not depend on luck.
"""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Generic, TypeVar

from harness.errors import WorkerError
from harness.execution import environments, messages
from harness.execution.plan import PlannedJob
from harness.execution.process import Worker, WorkerTimeout
from harness.records import Arrays, JobResult, Verdict

Result = TypeVar("Result")
Context = TypeVar("Context")
#: Jobs put in ahead of the slowest worker, for each worker: enough to keep all busy, few enough to keep memory flat.
AHEAD = 32


@dataclass
class Task(Generic[Result, Context]):
    """A job on its way, and what its arrays are made from when its turn comes."""

    job: PlannedJob
    context: Context
    done: threading.Event
    result: Result | None = None
    failure: BaseException | None = None


class Pool(Generic[Result, Context]):
    """Runs jobs on workers. Use as a context manager: leaving it ends every worker.

    consume   what to do with a job's result, in its worker's thread.
    arrays    a job's inputs, weights and cotangents, made from its context when its turn comes, so that memory stays flat.
    on_start  told of each job when a worker takes it up.
    side_by_side  how many workers compute at the same time; None: all of them.
    """

    def __init__(
        self,
        consume: Callable[[JobResult, Context], Result],
        arrays: Callable[[Context], tuple[Arrays, Arrays, Arrays]],
        on_start: Callable[[PlannedJob], None] | None = None,
        side_by_side: int | None = None,
    ) -> None:
        self._turns: AbstractContextManager[object] = (
            nullcontext() if side_by_side is None else BoundedSemaphore(side_by_side)
        )
        self._consume = consume
        self._arrays = arrays
        self._on_start = on_start
        self._queues: dict[tuple[str, str], queue.Queue[Task[Result, Context] | None]] = {}
        self._threads: list[threading.Thread] = []
        self._workers: dict[tuple[str, str], Worker] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Pool[Result, Context]:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        # A busy worker is ended under its thread, which then sees that the pool is stopping.
        for worker in list(self._workers.values()):
            worker.kill()
        for waiting in self._queues.values():
            waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def run(self, jobs: Iterable[tuple[PlannedJob, Context]]) -> Iterator[tuple[PlannedJob, Result]]:
        """Run all jobs; yields (job, result) in the order of the jobs. Re-raises what `consume` raised."""
        waiting: list[Task[Result, Context]] = []
        ahead = AHEAD
        for job, context in jobs:
            task: Task[Result, Context] = Task(job, context, threading.Event())
            self._put(task)
            waiting.append(task)
            ahead = AHEAD * max(1, len(self._queues))
            while waiting and (waiting[0].done.is_set() or len(waiting) > ahead):
                yield self._finish(waiting.pop(0))
        while waiting:
            yield self._finish(waiting.pop(0))

    def _finish(self, task: Task[Result, Context]) -> tuple[PlannedJob, Result]:
        # A wait with a timeout lets Ctrl-C through on every platform.
        while not task.done.wait(timeout=0.5):
            pass
        if task.failure is not None:
            raise task.failure
        assert task.result is not None
        return task.job, task.result

    def _put(self, task: Task[Result, Context]) -> None:
        job = task.job
        if job.verdict is not None or job.backend.recorded is not None:
            # Nothing to run: the verdict is known, or the outputs stand in the case.
            self._complete(task, lambda: _unrun(job))
            return
        if job.worker not in self._queues:
            self._queues[job.worker] = queue.Queue()
            thread = threading.Thread(target=self._serve, args=(job.worker,), name="/".join(job.worker), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queues[job.worker].put(task)

    def _complete(self, task: Task[Result, Context], result: Callable[[], JobResult]) -> None:
        try:
            task.result = self._consume(result(), task.context)
        except BaseException as error:
            task.failure = error
        finally:
            task.done.set()

    def _serve(self, key: tuple[str, str]) -> None:
        """A worker's thread: take a task, run it, hand its result on."""
        while not self._stopping.is_set():
            task = self._queues[key].get()
            if task is None:
                break
            with self._turns:
                if self._on_start is not None:
                    self._on_start(task.job)
                self._complete(task, functools.partial(self._run, key, task))
        worker = self._workers.pop(key, None)
        if worker is not None:
            worker.stop()

    def _run(self, key: tuple[str, str], task: Task[Result, Context]) -> JobResult:
        job = task.job
        try:
            if key not in self._workers:
                environment = environments.resolve(key[0])
                assert environment is not None
                self._workers[key] = Worker(environment, key[1])
            inputs, weights, cotangents = self._arrays(task.context)
            header, arrays = messages.request(
                job.variant, job.backend, job.passes, inputs, weights, cotangents, job.profile
            )
            answer, found = self._workers[key].ask(header, arrays, job.variant.timeout)
        except WorkerError as error:
            worker = self._workers.pop(key, None)
            if worker is not None:
                worker.kill()
            verdict = Verdict.TIMEOUT if isinstance(error, WorkerTimeout) else Verdict.CRASH
            return JobResult(job.variant, job.backend, verdict=verdict, message=str(error), recipe=job.recipe)
        return messages.result(job.variant, job.backend, job.passes, answer, found, job.recipe)


def _unrun(job: PlannedJob) -> JobResult:
    return JobResult(
        job.variant, job.backend, verdict=job.verdict, message=job.message, recipe=job.recipe, missing=job.missing
    )
