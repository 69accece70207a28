"""Signs of life where there is no terminal: a line on stderr every fifteen seconds, in a log as in a CI job.

It says how much is done of all, how many differences there are so far, what runs now, and about how long the rest takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Seconds between two lines. A run that is shorter says nothing.
EVERY = 15.0
#: So many comparisons must be done before their pace says how long the others take.
PACE = 5


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 10 min`: as one says it of what is still to come."""
    if seconds < 90.0:
        return f"{max(1, round(seconds)):d} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Heartbeat:
    """Says how far a run of `total` comparisons is, until it is stopped. Thread-safe.

    say    what is told each line.
    every  seconds between two of them.
    clock  the time in seconds.
    """

    def __init__(
        self,
        total: int,
        say: Callable[[str], None],
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._say, self._every, self._clock = total, say, every, clock
        self._lock = threading.Lock()
        self._done = self._differences = 0
        self._now = ""
        self._start = self._since = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def begin(self) -> None:
        """Start to speak."""
        self._thread.start()

    def end(self) -> None:
        """Say nothing any more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def started(self, name: str) -> None:
        """A comparison has begun."""
        with self._lock:
            self._now, self._since = name, self._clock()

    def finished(self, differences: int) -> None:
        """A comparison has its rows, so many of them differences."""
        with self._lock:
            self._done += 1
            self._differences += differences

    def line(self) -> str:
        """What is said now."""
        with self._lock:
            now = self._clock()
            parts = [f"{self._done} of {self._total} done"]
            if self._differences:
                parts.append(f"{self._differences} differ")
            if self._now and self._done < self._total:
                # Workers start long before the rows come in order; that nothing has started for a while is what takes long.
                seconds = now - self._since
                parts.append(f"now {self._now}" + (f", for {duration(seconds)}" if seconds >= self._every else ""))
            if PACE <= self._done < self._total:
                rest = (now - self._start) / self._done * (self._total - self._done)
                parts.append(f"about {duration(rest)} left")
            return "; ".join(parts)

    def _beat(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._say(self.line())
            except (OSError, ValueError):
                # Nobody listens on stderr any more: the run goes on without words.
                return
