"""Files that appear whole or not at all: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from harness.errors import Place, Problem, UserError

_PARTIAL = ".partial-"
#: What a compressed file's name ends in.
PACKED = ".gz"


def write_whole(path: Path, data: str | bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    Raises UserError where a folder has that name.
    """
    if path.is_dir():
        raise UserError(Problem("is a folder; name a file to write", Place(str(path))))
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}{_PARTIAL}{os.getpid()}-{secrets.token_hex(3)}")
    try:
        partial.write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
        publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def publish(partial: Path, path: Path) -> None:
    """Flush a finished file to the disk and give it its name, in one step that cannot be seen half-done."""
    flush(partial)
    partial.replace(path)
    sync_folder(path.parent)


def publish_set(partial: Path, folder: Path, names: Sequence[str], marker: str) -> None:
    """Move a set of finished files into `folder`. While `marker` is not there the set is not whole; it comes last."""
    for name in (*names, marker):
        flush(partial / name)
    with undisturbed():
        (folder / marker).unlink(missing_ok=True)
        for name in names:
            (partial / name).replace(folder / name)
        sync_folder(folder)
        (partial / marker).replace(folder / marker)
        sync_folder(folder)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for a moment, so that what belongs together is done together; then they have their way.

    A no-op in a thread other than the main one, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            # None: set outside Python, and not ours to know.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])


def flush(path: Path) -> None:
    """Make a file's content last through a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames within a folder last through a power cut (a no-op where folders cannot be opened)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents. Raises UserError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(Problem(f"cannot create the folder {str(folder)!r}: {error.strerror or error}")) from error


def partial_folder(folder: Path) -> Path:
    """Make a folder for unfinished files inside `folder`, having cleared those that dead processes left there."""
    make_folder(folder)
    for old in folder.glob(f"{_PARTIAL}*"):
        if not _alive(old.name.removeprefix(_PARTIAL).split("-")[0]):
            shutil.rmtree(old, ignore_errors=True)
    new = folder / f"{_PARTIAL}{os.getpid()}-{secrets.token_hex(3)}"
    make_folder(new)
    return new


def _alive(pid: str) -> bool:
    """Whether a process of that number runs; an odd name counts as alive, so that nothing foreign is deleted."""
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def present(path: Path) -> Path:
    """The file, or where it is not there the compressed one of its name and `.gz`."""
    packed = path.with_name(path.name + PACKED)
    return packed if packed.is_file() and not path.exists() else path


def open_text(path: Path) -> IO[str]:
    """Open a text file that may be compressed; only a newline ends a line, and is itself."""
    found = present(path)
    if found.name.endswith(PACKED):
        return gzip.open(found, "rt", encoding="utf-8", newline="\n")
    return found.open(encoding="utf-8", newline="\n")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def removed_after(folder: Path) -> Iterator[Path]:
    """Yield a folder and remove it afterwards, whatever happened."""
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
