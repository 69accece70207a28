"""parity-harness: does the same recurrent configuration mean the same computation in every framework?

This module is imported on the far side too, by workers as old as Python 3.6 with NumPy alone, so it imports nothing but the
version: the Python API (harness/api.py) is imported when one of its names is first used.
"""

from harness.version import __version__ as __version__

#: What a user calls; `dir(harness)` lists it.
_PUBLIC = ("Result", "Runner", "assert_parity", "pair", "run")

MYPY = False  # what type checkers take for true
if MYPY:
    from harness.api import Result as Result
    from harness.api import Runner as Runner
    from harness.api import assert_parity as assert_parity
    from harness.api import run as run
    from harness.pairs.api import pair as pair
else:

    def __dir__():
        return ["__version__", *_PUBLIC]

    def __getattr__(name):
        if name == "pair":
            from harness.pairs.api import pair

            return pair
        if name in _PUBLIC:
            from harness import api

            return getattr(api, name)
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
