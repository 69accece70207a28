"""What a stored run could not run although this machine should have: `python scripts/not_run.py reports/latest`.

A case of an old framework needs an interpreter that not every machine has; that much is forgiven, and said. Everything else that
could not be run, a framework that does not import or an environment that was not built, is named, and the exit code is 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.environments import descriptions
from harness.environments.building import problem
from harness.reporting.store import StoredRun, read
from harness.reporting.verdicts import missing

FORGIVEN = "no Python"


def not_run(run: StoredRun) -> tuple[list[str], list[str]]:
    """What could not be run: for want of an interpreter, and for no good reason; each once, with its environment."""
    forgiven, blamed = {}, {}
    for row in run.rows():
        if missing(row):
            why = problem(row.environment) if row.environment in descriptions() else ""
            found = forgiven if why.startswith(FORGIVEN) else blamed
            found[f"{row.environment or 'here'}: {row.backend}: {why or row.cause}"] = True
    return list(forgiven), list(blamed)


def main(folder: str) -> int:
    """Print both kinds on stderr."""
    forgiven, blamed = not_run(read(folder))
    for line in forgiven:
        print(f"left out: {line}", file=sys.stderr)
    for line in blamed:
        print(f"not run: {line}", file=sys.stderr)
    return 1 if blamed or not forgiven else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "reports/latest"))
