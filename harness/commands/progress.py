"""Progress of a run on stderr: a bar on a terminal, elsewhere a line now and then; a line for each comparison with -v."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from harness.commands.console import messages
from harness.commands.heartbeat import Heartbeat
from harness.reporting.summary import clean
from harness.reporting.verdicts import DIFFERENCES, SIGNS, words, worst

if TYPE_CHECKING:
    from harness.execution.plan import PlannedJob
    from harness.records import Compared

Item = TypeVar("Item")


class Progress(AbstractContextManager["Progress"]):
    """Shows how far a run of `total` comparisons is, what it works on, and how many differences it found so far."""

    def __init__(self, total: int, *, quiet: bool = False, verbose: int = 0) -> None:
        from rich import progress

        console = messages()
        self._lines = verbose > 0 and not quiet
        self._console = console
        self._differences = 0
        self._bar = progress.Progress(
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[found]}", style="red"),
            progress.TextColumn("{task.description}", style="dim", markup=False),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("starting workers", total=total, found="")
        self._pulse = Heartbeat(total, lambda line: console.print(clean(line), soft_wrap=True))
        self._pulsing = not quiet and not console.is_terminal

    def __enter__(self) -> Progress:
        self._bar.start()
        if self._pulsing:
            self._pulse.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pulse.end()
        self._bar.stop()

    def start(self, job: PlannedJob) -> None:
        """A worker begins a job; called from the workers' threads."""
        name = f"{job.variant.id}  {job.backend.label}"
        self._pulse.started(name)
        self._bar.update(self._task, description=clean(name))

    def done(self, event: Compared) -> None:
        """A comparison has its rows."""
        verdict = worst(row.verdict for row in event.rows)
        differences = sum(row.verdict in DIFFERENCES for row in event.rows)
        self._differences += differences
        self._pulse.finished(differences)
        found = f"{self._differences} differ" if self._differences else ""
        self._bar.update(self._task, advance=1, found=found)
        if self._lines and verdict is not None:
            line = f"{SIGNS[verdict]} {words(verdict):<16} {event.variant.id}  {event.backend.label}"
            self._bar.console.print(clean(line), soft_wrap=True)


def counted(items: Sequence[Item], what: str, *, quiet: bool = False) -> Iterator[Item]:
    """The items, with a bar on a terminal that says how many are done."""
    from rich import progress

    console = messages()
    yield from progress.track(items, what, console=console, transient=True, disable=quiet or not console.is_terminal)
