"""pytest's way into the harness: a module with a name of its own, so that a project with its own `harness` keeps its tests.

pytest imports the plugins of all installed packages, whatever project it runs in. Where `harness` is another package or module
there, this one stands aside: it says so in the session's header (a warning could be an error in that project), and nothing else.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_FILES = ("pytest_plugin.py", "pytest_items.py", "tape.py")


def _is_ours() -> bool:
    """Whether `import harness` finds this project's package. Nothing of another one is imported."""
    try:
        found = importlib.util.find_spec("harness")
    except (ImportError, ValueError):
        return False
    places = found.submodule_search_locations if found is not None else None
    return any(all((Path(place) / name).is_file() for name in _FILES) for place in places or ())


if _is_ours():
    from harness.pytest_plugin import *  # noqa: F403
else:

    def pytest_report_header() -> str:
        """Why no case is collected here."""
        return "parity-harness: not loaded, since this project has a package or module named harness of its own"
