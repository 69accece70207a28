"""One family of errors. A `UserError` is the user's to mend and says how; anything else that escapes is our bug.

A user error carries problems, each with its place, so that all of them can be shown at once
(the habit of cattrs' structured errors and of compilers).
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands. Lines and columns count from 1; 0 means that it is not known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column or 1}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: `file:line:col: path: what is wrong (did you mean …?)`."""

    message: str
    place: Place | None = None
    path: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place) if self.place else "", self.path, self.message) if part)


class HarnessError(Exception):
    """Base of everything that the harness raises on purpose."""


class UserError(HarnessError):
    """Bad input: a usage error, an invalid case, a missing file. The command line shows it without a traceback, exit 4."""

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        if isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


#: What a disk, its quota or its permissions do to a program; theirs to mend who own them, and no bug.
_SURROUNDINGS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EMFILE, errno.ENFILE}
)


def by_surroundings(error: BaseException) -> bool:
    """Whether the machine refused something: no bug, and nothing that was asked for wrongly."""
    return isinstance(error, OSError) and error.errno in _SURROUNDINGS


class WorkerError(HarnessError):
    """A worker process could not be started, died, or spoke out of turn."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known word, or an empty string where none is near.

    A word that differs in nothing but capitals is nearest.
    """
    words = list(known)
    same = [one for one in words if one.casefold() == word.casefold()]
    near = same or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
