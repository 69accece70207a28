"""How a command ends. Imports nothing of the harness, so that the command line starts quickly."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes: pytest's where pytest has one, our own from 10."""

    OK = 0
    DIFFERENCE = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING = 5
    BACKEND = 10
