"""stderr that nobody reads any more ends nothing: what a command was to compute and to write, it computes and writes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO, Any, cast


class Unheard:
    """A text stream that swallows what its reader does not take; in all else the stream that it stands before."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or do as if."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._close()
            return len(text)

    def flush(self) -> None:
        """Flush what is read."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._close()

    def _close(self) -> None:
        """Lead the stream nowhere: at its end the interpreter would fail on what it holds, with an exit code of its own."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def unheard_messages() -> Iterator[None]:
    """Within it, messages on stderr may go unheard."""
    before = sys.stderr
    sys.stderr = cast(Any, Unheard(before))
    try:
        yield
    finally:
        sys.stderr = before
