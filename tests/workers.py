"""One runner for all tests of a process: starting a framework takes seconds, a small case a tenth of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.records import BackendRef, Compared, Variant
from harness.running import Runner

_RUNNERS: list[Runner] = []


def run(variants: Iterable[Variant], select: Callable[[BackendRef], bool] = lambda _: True) -> list[Compared]:
    """As `harness.running.run`, in workers that outlast the test."""
    return list(shared().run(variants, select))


def shared() -> Runner:
    """The runner itself, for `harness.run(…, runner=…)`."""
    if not _RUNNERS:
        _RUNNERS.append(Runner())
    return _RUNNERS[0]


def stop() -> None:
    """End them."""
    while _RUNNERS:
        _RUNNERS.pop().close()
