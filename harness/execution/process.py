"""One worker process as the host sees it: start it, ask it, know why it died.

The host listens on a local socket in a private folder, with a random authkey; the worker connects to it. Whatever the worker
prints goes to a log file, whose end is quoted when it dies.
"""

from __future__ import annotations

import collections
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from harness.environments import Environment
from harness.errors import WorkerError
from harness.records import Arrays
from harness.worker import bootstrap
from harness.worker.protocol import VERSION, Arena, receive, send

#: Seconds that a worker may take to say hello. It imports NumPy only by then; a loaded CI machine can be slow.
HELLO_TIMEOUT = 60.0
LOG_TAIL = 2000


class WorkerDied(WorkerError):
    """The process ended, or its connection broke, while it owed an answer."""


class WorkerTimeout(WorkerError):
    """No answer within the time allowed."""


class Worker:
    """A running worker. Not thread-safe but for `kill`: one thread owns a worker.

    `post` sends a request, `take` waits for the oldest answer that is owed. Large arrays of an answer lie in a mapping; two
    take turns, so that with at most one request posted ahead an answer is valid until the next but one is posted.
    """

    def __init__(self, environment: Environment, backend: str) -> None:
        self.environment = environment
        self.backend = backend
        self.hello: dict[str, Any] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="harness-", dir=_memory_folder()))
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        address = str(self._folder / "socket")
        self._outbound = Arena(address + ".in")
        self._inbound = (Arena(address + ".out0"), Arena(address + ".out1"))
        #: The mapping of each answer that is owed, oldest first.
        self._owed: collections.deque[int] = collections.deque()
        try:
            self._start(address)
        except BaseException:
            self.kill()
            raise

    def _start(self, address: str) -> None:
        authkey = secrets.token_bytes(32)
        log = self._folder / "log"
        with Listener(address, family="AF_UNIX", authkey=authkey) as listener, log.open("wb") as sink:
            self._process = subprocess.Popen(
                [self.environment.python, bootstrap.__file__, address, self.backend],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self.environment.variables(self.backend) | {"HARNESS_AUTHKEY": authkey.hex()},
                start_new_session=True,
            )
            self._connection = self._accept(listener)
        self.hello, _ = self._receive(HELLO_TIMEOUT)
        if self.hello.get("protocol") != VERSION:
            raise WorkerError(f"the worker speaks protocol {self.hello.get('protocol')}, the host {VERSION}")

    def _accept(self, listener: Listener) -> Connection[Any, Any]:
        """Wait for the worker to connect, or for its process to end."""
        assert self._process is not None
        # Listener has no timeout of its own; its socket does.
        socket = listener._listener._socket  # type: ignore[attr-defined]
        socket.settimeout(0.2)
        deadline = time.monotonic() + HELLO_TIMEOUT
        while True:
            try:
                return listener.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    raise self._died() from None
                if time.monotonic() > deadline:
                    raise WorkerTimeout(f"the worker did not start within {HELLO_TIMEOUT:g} s") from None

    def ask(self, header: dict[str, Any], arrays: Arrays, timeout: float) -> tuple[dict[str, Any], Arrays]:
        """Send a request and wait for its answer. Large arrays of an answer are valid until the next request.

        Raises WorkerDied or WorkerTimeout; after either the worker is of no further use (`kill` it).
        """
        self.post(header, arrays)
        return self.take(timeout)

    def post(self, header: dict[str, Any], arrays: Arrays) -> None:
        """Send a request. Raises WorkerDied.

        One may be posted while another's answer is owed, if it is small (harness.execution.lane.SMALL): a large one would
        overwrite arrays in use, or fill the socket while the worker waits to be read.
        """
        assert self._connection is not None
        # Where no answer is owed the last one has been consumed, and the first mapping serves again: the second one is made
        # only where answers overlap.
        side = 1 - self._owed[-1] if self._owed else 0
        try:
            send(self._connection, {**header, "arena": side}, arrays, self._outbound)
        except OSError:
            raise self._died() from None
        self._owed.append(side)

    def take(self, timeout: float) -> tuple[dict[str, Any], Arrays]:
        """Wait for the oldest answer that is owed. Raises WorkerDied or WorkerTimeout, as `ask`."""
        return self._receive(timeout, self._inbound[self._owed.popleft()])

    def _receive(self, timeout: float, arena: Arena | None = None) -> tuple[dict[str, Any], Arrays]:
        assert self._connection is not None
        try:
            if not self._connection.poll(timeout):
                raise WorkerTimeout(f"no answer within {timeout:g} s")
            answer: tuple[dict[str, Any], Arrays] = receive(self._connection, arena)
        except (EOFError, OSError):
            raise self._died() from None
        return answer

    def _died(self) -> WorkerDied:
        """Say how the process ended, with the last that it printed."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        if code is None:
            how = "closed its connection"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit status {code}"
        tail = self.log()[-LOG_TAIL:].strip()
        return WorkerDied(f"the worker {how}" + (f"; it printed:\n{tail}" if tail else ""))

    def log(self) -> str:
        """What the worker has printed so far."""
        try:
            return (self._folder / "log").read_text(errors="replace")
        except OSError:
            return ""

    @property
    def pid(self) -> int:
        """The worker's process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the worker; politely first, since a busy one has nothing to lose either way."""
        if self._connection is not None and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                send(self._connection, {"op": "exit"}, {})
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
        self.kill()

    def kill(self) -> None:
        """End the worker and whatever it started, at once, and remove its folder."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _memory_folder() -> str | None:
    """A memory-backed folder for sockets and arenas where there is one: an arena on disk would be written back."""
    shm = Path("/dev/shm")
    return str(shm) if shm.is_dir() and os.access(shm, os.W_OK) else None
