"""Start a worker: `python bootstrap.py ADDRESS BACKEND`, in any interpreter from 3.6 on.

Run by path, not with `-m`: the interpreter may be another environment's, where this package is not installed, and where the
host's site-packages must not appear (they hold NumPy for another Python). So the package `harness` is mounted from
the folder this file lies in, and nothing else of the host is put on the path.
"""

import importlib.util
import os
import sys


def mount() -> None:
    """Make `import harness` find the package that this file belongs to, without touching sys.path otherwise."""
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(here)
    # A script's own folder comes first on sys.path, where `protocol` and `serve` would shadow other modules.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    spec = importlib.util.spec_from_file_location(
        "harness", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["harness"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    mount()
    from harness.worker.serve import main

    sys.exit(main(sys.argv[1:]))
