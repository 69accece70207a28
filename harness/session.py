"""A run from its chosen cases to the stored run: what the command line and the Python API do alike.

pytest stores nothing: each of its items takes its one comparison from `Runner.run`, as this does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import history
from harness.errors import HarnessError
from harness.execution.plan import expand
from harness.records import BackendRef, Compared, Variant
from harness.reporting.files import undisturbed
from harness.reporting.store import StoredRun, read
from harness.reporting.writer import Writer

Select = Callable[[BackendRef], bool]


def with_backends(variants: Iterable[Variant], select: Select, timeout: float | None = None) -> list[Variant]:
    """Those that have an implementation to run, with a time limit for each call instead of their own where one is given."""
    found = [variant for variant in variants if any(True for _ in expand(variant, select))]
    return found if timeout is None else [dataclasses.replace(variant, timeout=timeout) for variant in found]


def comparisons(variants: Iterable[Variant], select: Select) -> int:
    """How many comparisons a run of these makes."""
    return sum(1 for variant in variants for _ in expand(variant, select))


def store(
    events: Iterable[Compared], planned: int, writer: Writer, done: Callable[[Compared], None] | None = None
) -> None:
    """Store every comparison as it comes, each wholly also where Ctrl-C comes meanwhile.

    planned  how many there shall be.
    done     told of each.

    Raises HarnessError if one was lost.
    """
    made = 0
    for event in events:
        with undisturbed():
            writer.add(event)
            if done is not None:
                done(event)
        made += 1
    if made != planned:
        raise HarnessError(f"{planned} comparisons were planned, and {made} were made")


def closed(folder: str | Path, database: Path | None) -> StoredRun:
    """The stored run of a folder whose writer has finished, remembered in a history where there is one."""
    stored = read(folder)
    if database is not None:
        history.remember(stored, database)
    return stored
