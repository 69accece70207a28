"""A lane: one thread, its long-lived worker, and the jobs that wait for it.

While the worker computes a job, a small request of the next one already waits in its socket: without that the worker would
stand still while the host compares. What a job gave is handed to `consume` in the lane's thread. Large arrays lie in a mapping
that a later answer overwrites; answers that may overlap in time use two of them in turn (harness.execution.process).
"""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from harness import environments
from harness.errors import WorkerError
from harness.execution import messages
from harness.execution.plan import PlannedJob
from harness.execution.process import Worker, WorkerTimeout
from harness.records import Arrays, JobResult, Verdict

Result = TypeVar("Result")
Context = TypeVar("Context")
Message = tuple[dict[str, Any], Arrays]
#: A request with arrays of at most so many bytes is sent ahead. With its header it fits into a socket's buffer beside nothing
#: else, so that the host never waits to send while the worker waits to be read.
SMALL = 1 << 15


@dataclass
class Task(Generic[Result, Context]):
    """A job on its way, and what its arrays are made from when its turn comes."""

    job: PlannedJob
    context: Context
    done: threading.Event
    result: Result | None = None
    failure: BaseException | None = None

    def finish(self, result: Callable[[], JobResult], consume: Callable[[JobResult, Context], Result]) -> None:
        """Hand the job's result on; what that raises is kept for whoever waits for the task."""
        try:
            self.result = consume(result(), self.context)
        except BaseException as error:
            self.failure = error
        finally:
            self.done.set()

    def fail(self, error: BaseException) -> None:
        """Hand an exception on instead of a result."""
        self.failure = error
        self.done.set()


class Lane(Generic[Result, Context]):
    """One worker's thread. Jobs finish in the order in which they were put in.

    key       (environment, backend).
    consume, arrays, on_start   as of harness.execution.pool.Pool.
    turns     held while the worker computes and its result is consumed; None: lanes do not wait for one another, and small
              requests are sent ahead.
    """

    def __init__(
        self,
        key: tuple[str, str],
        consume: Callable[[JobResult, Context], Result],
        arrays: Callable[[Context], tuple[Arrays, Arrays, Arrays]],
        on_start: Callable[[PlannedJob], None] | None,
        turns: AbstractContextManager[object] | None,
    ) -> None:
        self._key = key
        self._consume = consume
        self._arrays = arrays
        self._on_start = on_start
        self._turns = turns
        self._queue: queue.Queue[Task[Result, Context] | None] = queue.Queue()
        #: Taken from the queue, but not sent yet.
        self._held: Task[Result, Context] | None = None
        self._stopping = threading.Event()
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._serve, name="/".join(key), daemon=True)
        self._thread.start()

    def put(self, task: Task[Result, Context]) -> None:
        """Queue a task."""
        self._queue.put(task)

    def stop(self) -> None:
        """End the worker, a busy one too, and with it the thread; `join` waits for it."""
        self._stopping.set()
        worker = self._worker
        if worker is not None:
            worker.kill()
        self._queue.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout)

    def _serve(self) -> None:
        """The thread: run task after task until the lane is stopped."""
        while (task := self._next(wait=True)) is not None:
            if self._turns is None:
                self._run(task)
            else:
                with self._turns:
                    self._run(task)
        if self._worker is not None:
            self._worker.stop()

    def _next(self, *, wait: bool) -> Task[Result, Context] | None:
        """The next task; None where the lane is stopped or, without waiting, where there is none."""
        if self._stopping.is_set():
            return None
        if self._held is not None:
            task, self._held = self._held, None
            return task
        try:
            return self._queue.get(block=wait)
        except queue.Empty:
            return None

    def _run(self, task: Task[Result, Context]) -> None:
        """Run a task, then those whose requests could be sent while the one before was computed."""
        current: Task[Result, Context] | None = task
        sent = False
        while current is not None:
            following: Task[Result, Context] | None = None
            try:
                if self._on_start is not None:
                    self._on_start(current.job)
                worker = self._started()
                if not sent:
                    worker.post(*self._request(current))
                following = self._send_ahead(worker)
                answer = worker.take(current.job.variant.timeout)
            except WorkerError as error:
                self._give_up()
                # What had been sent ahead went with the worker: it comes next.
                self._held = following or self._held
                following = None
                outcome = functools.partial(_lost, current.job, error)
            except BaseException as error:
                # A bug of ours, or arrays that cannot be made: whoever waits for the task is told.
                self._give_up()
                self._held = following or self._held
                current.fail(error)
                return
            else:
                outcome = functools.partial(_gave, current.job, answer)
            current.finish(outcome, self._consume)
            current, sent = following, True

    def _started(self) -> Worker:
        """The lane's worker; a new one where there is none. Raises WorkerError where it does not start."""
        if self._worker is None:
            environment = environments.resolve(self._key[0])
            assert environment is not None
            self._worker = Worker(environment, self._key[1])
            if self._stopping.is_set():
                # The lane was stopped while the worker started, and did not see it.
                self._worker.kill()
        return self._worker

    def _give_up(self) -> None:
        """End a worker that is of no further use."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _request(self, task: Task[Result, Context]) -> Message:
        job = task.job
        return messages.request(job.variant, job.backend, job.passes, *self._arrays(task.context), job.profile)

    def _send_ahead(self, worker: Worker) -> Task[Result, Context] | None:
        """Send the next task's request, if one waits and it is small; returns the task where it was sent."""
        task = None if self._turns is not None else self._next(wait=False)
        if task is None:
            return None
        self._held = task
        try:
            header, arrays = self._request(task)
            if sum(array.nbytes for array in arrays.values()) > SMALL:
                return None
            worker.post(header, arrays)
        except Exception:
            # Whatever it was will be met again in this task's own turn; the answer that is owed may still come.
            return None
        self._held = None
        return task


def _lost(job: PlannedJob, error: WorkerError) -> JobResult:
    """The result of a job whose worker died or did not answer in time."""
    verdict = Verdict.TIMEOUT if isinstance(error, WorkerTimeout) else Verdict.CRASH
    return JobResult(job.variant, job.backend, verdict=verdict, message=str(error), recipe=job.recipe)


def _gave(job: PlannedJob, answer: Message) -> JobResult:
    """The result of a job that was answered."""
    return messages.result(job.variant, job.backend, job.passes, *answer, job.recipe)
