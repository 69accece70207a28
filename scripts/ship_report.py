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
from harness.errors import UserError  # noqa: E402
from harness.reporting import html  # noqa: E402
from harness.reporting.packing import pack  # noqa: E402
from harness.reporting.parts import kept_cases, parts_of  # noqa: E402
from harness.reporting.store import read  # noqa: E402


def ship(source: Path, target: Path) -> None:
    """Pack the stored run in `source` into `target`, with its page.

    Raises UserError where `source` is no run, or one that was interrupted or resumed: its time, and the machine and versions of
    what it kept, would be those of several runs.
    """
    run = read(source)
    if run.meta["interrupted"] or kept_cases(run.meta):
        raise UserError(
            f"{source}: the run was {'interrupted' if run.meta['interrupted'] else 'resumed'}: run it in one go"
        )
    run.meta["command"] = without_place(run.meta["command"])
    if len(parts := parts_of(run.meta)) > 1:
        run.meta["parts"] = [one | {"command": without_place(one["command"])} for one in parts]
    html.write(read(pack(run, target)))


def without_place(command: list[str]) -> list[str]:
    """A command without --out: where a run was stored meanwhile is nobody's matter, and may name a machine."""
    found, skip = [], False
    for word in command:
        if not skip and word != "--out" and not word.startswith("--out="):
            found.append(word)
        skip = word == "--out"
    return found


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
        try:
            ship(source, arguments.target)
        except UserError as error:
            print(f"not shipped: {error}", file=sys.stderr)
            return 4
    for path in sorted(arguments.target.iterdir()):
        print(f"{path.stat().st_size:>10} {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
