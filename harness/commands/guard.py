"""From exceptions to exit codes: what a person sees when something goes wrong."""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from harness.commands.unheard import unheard_messages
from harness.errors import UserError, by_surroundings
from harness.registry import complaints
from harness.reporting.exits import Exit

_settled: contextvars.ContextVar[int] = contextvars.ContextVar("settled", default=Exit.OK)
_words: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("words", default=())


def settle(code: int) -> None:
    """Say how the command will end, before it prints: a reader that goes away must not turn a difference into a success."""
    _settled.set(code)


def command_line() -> list[str]:
    """The words of the command that runs now, as they were given: from a shell, or to `harness.cli.main` in a program."""
    return ["harness", *_words.get()]


@unheard_messages()
def guarded(command: click.Command, arguments: list[str]) -> int:
    """Run a click command; return its exit code.

    A command returns its code (or None for 0). Bad usage, `UserError`, and a disk that is full or may not be written to are
    explained on stderr and give 4, Ctrl-C gives 2. What else escapes is a bug of ours: one line says so and where the
    traceback was written; with -v it is shown. Gives 3.
    """
    for stream in (sys.stdout, sys.stderr):
        # A sign or a name that the terminal's encoding lacks is escaped, rather than the end of the command.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    settle(Exit.OK)
    _words.set(tuple(arguments))
    restore = _stop_on_terminate()
    try:
        result = command.main(arguments, prog_name="harness", standalone_mode=False)
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else Exit.OK
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except UserError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        if len(error.problems) > 1:
            click.echo(f"{len(error.problems)} problems", err=True)
        return Exit.USAGE
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader has gone (`harness list | head`), which click turns into an exit of its own. What a run or a gate has come
        # to stays what it is.
        _abandon_stdout()
        return _settled.get()
    except Exception as error:
        if isinstance(error, OSError) and by_surroundings(error):
            what = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {what}{error.strerror}", err=True)
            _abandon_stdout()
            return Exit.USAGE
        _internal(error, verbose=any(word in ("-v", "--verbose", "-vv") for word in arguments))
        return Exit.INTERNAL
    finally:
        restore()
        with contextlib.suppress(OSError, ValueError):
            for line in complaints():
                click.echo(f"warning: {line}", err=True)


def _abandon_stdout() -> None:
    """Where stdout takes no more, drop what it holds: at its end the interpreter would fail on it, with a code of its own."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _stop_on_terminate() -> Callable[[], object]:
    """Make SIGTERM, which CI sends when it cancels, what Ctrl-C is: workers end and a run is stored as far as it came."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    return lambda: signal.signal(signal.SIGTERM, before)


def _internal(error: Exception, verbose: bool) -> None:
    click.echo(f"internal error: {type(error).__name__}: {error}", err=True)
    text = "".join(traceback.format_exception(error))
    if verbose:
        click.echo(text, err=True)
        return
    handle, name = tempfile.mkstemp(prefix="harness-", suffix=".traceback.txt")
    os.close(handle)
    Path(name).write_text(text, encoding="utf-8", errors="backslashreplace")
    click.echo(f"This is a bug of the harness. The traceback is in {name}; -v shows it here.", err=True)
