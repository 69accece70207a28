"""parity-harness: does the same recurrent configuration mean the same computation in every framework?

This module is imported on the far side too, by workers as old as Python 3.6 with NumPy alone, so it imports nothing: the
Python API (harness/api.py) is imported when one of its names is first used.
"""

__version__ = "0.1.0"

MYPY = False  # what type checkers take for true
if MYPY:
    from harness.api import Result as Result
    from harness.api import Runner as Runner
    from harness.api import assert_parity as assert_parity
    from harness.api import run as run
else:

    def __getattr__(name):
        if name in ("Result", "Runner", "assert_parity", "run"):
            from harness import api

            return getattr(api, name)
        raise AttributeError("module 'harness' has no attribute {!r}".format(name))
