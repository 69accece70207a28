"""Make reports/shipped again: run the shipped cases, pack the stored run, and write its page.

    python scripts/ship_report.py                       runs `harness run cases --power` first, a quarter of an hour
    python scripts/ship_report.py --from reports/latest packs a run that is there already

The folder is a whole stored run: `harness report reports/shipped`, `explain`, `gate`, `compare` and the rest read it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.cli import main as harness  # noqa: E402
from harness.reporting import html  # noqa: E402
from harness.reporting.packing import pack  # noqa: E402
from harness.reporting.store import read  # noqa: E402

COMMAND = ["harness", "run", "cases"]


def ship(source: Path, target: Path) -> None:
    """Pack the stored run in `source` into `target`, with its page. Raises UserError where `source` is none."""
    run = read(source)
    run.meta["command"] = COMMAND  # where it was stored meanwhile is nobody's matter
    html.write(read(pack(run, target)))


def main() -> int:
    """Return the exit code of the run; one that is not complete is not shipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, help="a stored run to pack, instead of running the cases")
    parser.add_argument("--to", dest="target", type=Path, default=ROOT / "reports" / "shipped")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.source or Path(folder) / "run"
        if arguments.source is None:
            code = harness(["run", "cases", "--out", str(source), "--power", "--quiet"])
            if code:
                print(f"not shipped: the run ended with {code}", file=sys.stderr)
                return code
        ship(source, arguments.target)
    for path in sorted(arguments.target.iterdir()):
        print(f"{path.stat().st_size:>10} {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
