"""`python -m harness` is the command `harness`."""

import os
import sys

_INTERRUPTED = 2


def main() -> int:
    """Run the command line; Ctrl-C while it is still being imported ends like any other.

    CPython remembers a KeyboardInterrupt that passed through an `exec` of text, as dataclasses make while they are imported, and
    then ends the process by SIGINT although it was caught. So that the exit code is 2 always, an interrupted process leaves
    without asking; its workers and files have been seen to by then.
    """
    try:
        from harness.cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = _INTERRUPTED
    else:
        code = command()
    if code == _INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
