"""What to do next, said on stderr after a command: a line to copy, with what it is for behind a `#`."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.reporting.exits import Exit

if TYPE_CHECKING:
    from harness.reporting.store import StoredRun

#: Where a run is stored, and what a gate compares it with, unless the command says otherwise.
LATEST, BASELINE = "reports/latest", "parity-baseline.txt"


def say(command: Sequence[str], why: str, *, other: bool = False) -> None:
    """One step; `other`: what else one may do, below the first."""
    click.echo(f"{'  or:' if other else 'Next:'} {shlex.join(command)}   # {why}", err=True)


def after_run(stored: StoredRun, command: Sequence[str]) -> None:
    """After the run that `command` made: what depends on how it ended."""
    code, shard = stored.exit_code, str(stored.meta.get("shard") or "")
    place = _place(str(stored.folder))
    held = Path(BASELINE).is_file()
    if code is Exit.INTERRUPTED:
        say(resumed(command, stored), "goes on where it was interrupted")
    elif code is Exit.INTERNAL:
        say(["harness", "explain", *place], "shows the traceback")
    elif shard:
        say(
            ["harness", "merge", str(stored.folder)],
            f"with the folders of the other parts of {shard.partition('/')[2]}",
        )
    elif code is Exit.BACKEND:
        say(["harness", "doctor"], "says what this machine lacks")
    elif held:
        say(["harness", "gate", *place], "what is new since the baseline")
    elif code is Exit.OK:
        say(["harness", "baseline", "update", *place], "keeps this run: `harness gate` fails on what is new since")
    if code is Exit.DIFFERENCE and not shard and command[1:2] == ["run"]:
        say([*_first(command), "--last-failed"], "after a change: what differed, again", other=held)


def after_merge(stored: StoredRun, parts: Sequence[StoredRun], command: Sequence[str]) -> None:
    """After shards were put together: those that were interrupted go on, each for itself."""
    for part in parts:
        if part.meta["interrupted"]:
            say(resumed(part.meta["command"], part), f"goes on with {part.folder}; then merge again")
    if not stored.meta["interrupted"]:
        after_run(stored, command)


def resumed(command: Sequence[str], stored: StoredRun) -> list[str]:
    """The command that goes on with an interrupted run.

    What --last-failed chose, it chose from a run that is no more; the stored run knows which cases it was to have.
    """
    if "--last-failed" not in command:
        return [*_first(command), "--resume"]
    folder = str(stored.folder)
    out = ["--out", folder] if _place(folder) else []
    chosen = [word for name, value in itertools.pairwise(command) if name == "--backend" for word in (name, value)]
    chosen += [word for word in command if word.startswith("--backend=")]
    return ["harness", "run", folder, *out, *chosen, "--resume"]


def _first(command: Sequence[str]) -> list[str]:
    """A command without what made it go on from an earlier run."""
    return [word for word in command if word not in ("--resume", "--last-failed")]


def after_gate(folder: str, file: str, *, closed: bool, news: bool) -> None:
    """After a gate: it is closed, or open with something that the baseline could take up; else there is nothing to do."""
    update = ["harness", "baseline", "update", *_place(folder), *([] if file == BASELINE else ["--baseline", file])]
    if closed:
        say(["harness", "explain", *_place(folder)], "why implementations differ")
        say(update, "where the change is meant", other=True)
    elif news:
        say(update, "takes up what is new or better")


def after_update(file: str) -> None:
    """After a baseline was written."""
    say(["git", "add", file], "and commit it: `harness gate` compares every later run with it")


def _place(folder: str) -> list[str]:
    """A stored run as an argument; commands take its usual place for granted."""
    return [] if folder == LATEST else [folder]
