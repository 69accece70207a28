"""A worker whose host was killed ends too, also in the middle of a long call, and leaves nothing in memory-backed folders."""

import os
import shutil
import threading
import time

#: Seconds between two looks at the parent.
EVERY = 1.0
_PREFIX = "harness-"


def watch(address: str) -> None:
    """End this process, at once, when its parent has gone.

    A worker that waits for a request sees its connection close; one that computes, or hangs, would see nothing. (Linux's
    PR_SET_PDEATHSIG follows the thread that started the process, which may end before the host does.)
    """
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)
        leave(address)
        os._exit(1)

    threading.Thread(target=look, name="orphan", daemon=True).start()


def leave(address: str) -> None:
    """Remove the host's folder for this worker: its socket, arenas and log. The host does so itself unless it was killed."""
    folder = os.path.dirname(os.path.abspath(address))
    if os.path.basename(folder).startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
