"""The pool: a worker that crashes, hangs or is killed costs its row; the run goes on with a new worker, in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from simulated import variant

from harness.comparison.context import Context
from harness.execution.environments import CURRENT
from harness.execution.plan import PlannedJob, passes_of, planned
from harness.execution.pool import Pool
from harness.execution.process import Worker, WorkerDied, WorkerTimeout
from harness.records import BackendRef, JobResult, Variant, Verdict

NUMPY = BackendRef("numpy", "numpy.dropout")


def case(index: int, timeout: float = 60.0, shape: tuple[int, ...] = (3, 4)) -> Variant:
    return variant("dropout", {"rate": 0.5}, {"x": shape}, id=f"case{index}", timeout=timeout, backends=(NUMPY,))


def run(cases: list[Variant], on_start: Callable[[Pool[JobResult, Context], PlannedJob], None]) -> list[JobResult]:
    def tasks() -> Iterator[tuple[PlannedJob, Context]]:
        for one in cases:
            yield planned(one, NUMPY, passes_of(one)), Context(one)

    def consume(result: JobResult, _context: Context) -> JobResult:
        return result

    with Pool(consume, lambda context: context.arrays(), lambda job: on_start(pool, job)) as pool:
        return [result for _, result in pool.run(tasks())]


def strike(number: int, at: str) -> Callable[[Pool[JobResult, Context], PlannedJob], None]:
    """Send a signal to the worker when it takes up the case `at`."""

    def on_start(pool: Pool[JobResult, Context], job: PlannedJob) -> None:
        if job.variant.id == at:
            os.kill(pool._workers["", "numpy"].pid, number)

    return on_start


def test_results_come_in_the_order_of_the_jobs() -> None:
    results = run([case(index) for index in range(40)], lambda _pool, _job: None)
    assert [result.variant.id for result in results] == [f"case{index}" for index in range(40)]
    assert {result.verdict for result in results} == {None}
    assert len({result.passes[0][1].outputs["y"].tobytes() for result in results}) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_worker_costs_one_row(number: signal.Signals) -> None:
    results = run([case(index) for index in range(4)], strike(number, "case2"))
    assert [result.verdict for result in results] == [None, None, Verdict.CRASH, None]
    assert f"was killed by {number.name}" in results[2].message


def test_a_hanging_worker_costs_one_row_and_its_time() -> None:
    start = time.monotonic()
    results = run([case(0), case(1, timeout=1.0), case(2)], strike(signal.SIGSTOP, "case1"))
    assert [result.verdict for result in results] == [None, Verdict.TIMEOUT, None]
    assert results[1].message == "no answer within 1 s"
    assert time.monotonic() - start > 1.0


def test_leaving_the_pool_ends_every_worker() -> None:
    pids = []

    def on_start(pool: Pool[JobResult, Context], job: PlannedJob) -> None:
        if job.variant.id == "case1":
            pids.append(pool._workers["", "numpy"].pid)

    run([case(0), case(1)], on_start)
    (pid,) = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_consume_raises_reaches_the_caller() -> None:
    def consume(_result: JobResult, _context: Context) -> JobResult:
        raise ZeroDivisionError

    one = case(0)
    with pytest.raises(ZeroDivisionError), Pool(consume, lambda context: context.arrays()) as pool:
        list(pool.run([(planned(one, NUMPY, passes_of(one)), Context(one))]))


def test_large_arrays_survive_the_next_job() -> None:
    """What `consume` keeps of a mapping would change under it; copies must be taken there, and the order must hold."""
    sums = []

    def consume(result: JobResult, _context: Context) -> JobResult:
        sums.append(float(result.passes[0][1].outputs["y"].sum()))
        return result

    cases = [case(index, shape=(1 << 19,)) for index in range(3)]
    with Pool(consume, lambda context: context.arrays()) as pool:
        list(pool.run((planned(one, NUMPY, passes_of(one)), Context(one)) for one in cases))
    assert len(set(sums)) == 1
    assert sums[0] != 0


def test_a_backend_that_is_not_installed_is_an_error_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.execution.environments.has", lambda package: package != "torch")
    one = variant("dropout", {"rate": 0.5}, {"x": (3, 4)})
    job = planned(one, BackendRef("torch", "torch.nn.Dropout"), passes_of(one))
    assert (job.verdict, job.message) == (Verdict.ERROR, "not installed: torch")


def test_worker_answers_and_reports_its_death() -> None:
    worker = Worker(CURRENT, "numpy")
    answer, _ = worker.ask({"op": "describe", "packages": ["numpy", "no_such_package"]}, {}, 30)
    assert answer["found"] == {"numpy": True, "no_such_package": False}
    assert answer["versions"]["numpy"] == np.__version__
    os.kill(worker.pid, signal.SIGTERM)
    with pytest.raises(WorkerDied, match="SIGTERM"):
        worker.ask({"op": "ping"}, {}, 30)
    worker.kill()


def test_worker_timeout() -> None:
    worker = Worker(CURRENT, "numpy")
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerTimeout):
        worker.ask({"op": "ping"}, {}, 0.2)
    worker.kill()
