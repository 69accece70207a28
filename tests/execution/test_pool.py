"""The pool: a worker that crashes, hangs or is killed costs its row; the run goes on with a new worker, in order."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import variant

from harness.comparison.context import Context
from harness.environments import CURRENT
from harness.execution.plan import PlannedJob, passes_of, planned
from harness.execution.pool import Pool
from harness.execution.process import Worker, WorkerDied, WorkerTimeout
from harness.records import Arrays, BackendRef, JobResult, Variant, Verdict

NUMPY = BackendRef("numpy", "numpy.dropout")


def case(index: int, timeout: float = 60.0, shape: tuple[int, ...] = (3, 4)) -> Variant:
    return variant("dropout", {"rate": 0.5}, {"x": shape}, id=f"case{index}", timeout=timeout, backends=(NUMPY,))


def run(
    cases: list[Variant], on_start: Callable[[PlannedJob], None] | None = None, side_by_side: int | None = None
) -> list[JobResult]:
    def tasks() -> Iterator[tuple[PlannedJob, Context]]:
        for one in cases:
            yield planned(one, one.backends[0], passes_of(one)), Context(one)

    def consume(result: JobResult, _context: Context) -> JobResult:
        return result

    with Pool(consume, lambda context: context.arrays(), on_start, side_by_side) as pool:
        return [result for _, result in pool.run(tasks())]


@pytest.fixture
def ill(tmp_path: Path) -> Callable[..., list[Variant]]:
    """Cases of a port that strikes its own process in the cases named."""

    def make(count: int, number: signal.Signals, *at: int, timeout: float = 60.0) -> list[Variant]:
        port = tmp_path / "port.py"
        port.write_text(
            "import os\n"
            "def run(case):\n"
            f"    if case.seed in {at}:\n"
            f"        os.kill(os.getpid(), {int(number)})\n"
            '    return {"y": case.inputs["x"]}\n'
        )
        ref = BackendRef("numpy", None, target=f"{port}:run")
        return [
            dataclasses.replace(
                case(index, timeout if index in at else 60.0), backends=(ref,), seeds=(index,), sites=()
            )
            for index in range(count)
        ]

    return make


def test_results_come_in_the_order_of_the_jobs() -> None:
    results = run([case(index) for index in range(40)])
    assert [result.variant.id for result in results] == [f"case{index}" for index in range(40)]
    assert {result.verdict for result in results} == {None}
    assert len({result.passes[0][1].outputs["y"].tobytes() for result in results}) == 1


@pytest.mark.parametrize("side_by_side", [None, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_worker_costs_one_row(
    ill: Callable[..., list[Variant]], number: signal.Signals, side_by_side: int | None
) -> None:
    """Its next job, whose request had been sent ahead, is done by the new worker."""
    results = run(ill(5, number, 2, 3), side_by_side=side_by_side)
    assert [result.verdict for result in results] == [None, None, Verdict.CRASH, Verdict.CRASH, None]
    assert f"was killed by {number.name}" in results[2].message


def test_a_hanging_worker_costs_one_row_and_its_time(ill: Callable[..., list[Variant]]) -> None:
    start = time.monotonic()
    results = run(ill(3, signal.SIGSTOP, 1, timeout=1.0))
    assert [result.verdict for result in results] == [None, Verdict.TIMEOUT, None]
    assert results[1].message == "no answer within 1 s"
    assert time.monotonic() - start > 1.0


def test_leaving_the_pool_ends_every_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    workers: list[Worker] = []

    def started(*arguments: Any) -> Worker:
        workers.append(Worker(*arguments))
        return workers[-1]

    monkeypatch.setattr("harness.execution.lane.Worker", started)
    run([case(0), case(1)])
    (worker,) = workers
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_arrays_that_cannot_be_made_reach_the_caller() -> None:
    def arrays(_context: Context) -> Any:
        raise MemoryError

    with pytest.raises(MemoryError), Pool(lambda result, _: result, arrays) as pool:
        list(pool.run((planned(one, NUMPY, passes_of(one)), Context(one)) for one in [case(0), case(1)]))


def test_the_worker_computes_while_its_last_answer_is_consumed() -> None:
    """A small request is posted before the answer to the one before it is taken."""
    posted: list[float] = []
    taken: list[float] = []

    class Watched(Worker):
        def post(self, header: dict[str, Any], arrays: Arrays) -> None:
            posted.append(time.monotonic())
            super().post(header, arrays)

        def take(self, timeout: float) -> tuple[dict[str, Any], Arrays]:
            answer = super().take(timeout)
            taken.append(time.monotonic())
            return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.execution.lane.Worker", Watched)
        run([case(index) for index in range(6)])
        ahead = [sent < before for sent, before in zip(posted[1:], taken, strict=False)]
        assert ahead[1:] == [True] * 4, "all but the first find a request waiting"
        posted.clear()
        taken.clear()
        run([case(index, shape=(1 << 14,)) for index in range(3)])
        assert not any(sent < before for sent, before in zip(posted[1:], taken, strict=False)), "large ones do not"


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

    cases = [case(index, shape=(1 << 19,)) for index in range(4)]
    with Pool(consume, lambda context: context.arrays()) as pool:
        list(pool.run((planned(one, NUMPY, passes_of(one)), Context(one)) for one in cases))
    assert len(set(sums)) == 1
    assert sums[0] != 0


def test_a_backend_that_is_not_installed_is_an_error_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.environments.has", lambda package: package != "torch")
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
