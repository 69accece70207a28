"""`power.json` beside a stored run: what each of its cases could not notice (docs/diagnosis.md).

    format, version   "parity-harness power file", 1
    noticed_from      a fault is noticed where its effect is more than this many limits
    faults            [name, cause] of every fault of these cases; cases refer to them by number
    rows              names of the rows that notice, by number
    cases             case: id; source: SHA-256 of the case file's text; key: of all that the power depends on;
                      effects: [fault, effect over limit (null: infinite), row] for each fault that applies

The file is no part of the run: it may be missing, and may be made later. Entries of a case whose file was another one when the
run was made are not shown.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.power import NOTICED, Power
from harness.reporting import files
from harness.reporting.store import StoredRun

POWER = "power.json"
FORMAT = "parity-harness power file"
VERSION = 1


@dataclass(frozen=True)
class CasePower:
    """What was measured for one case. source: SHA-256 of the case file's text; key: as of harness.diagnosis.power_key."""

    case: str
    source: str
    key: str
    faults: tuple[Power, ...]

    @property
    def missed(self) -> tuple[Power, ...]:
        """The faults that the case could not notice."""
        return tuple(one for one in self.faults if not one.noticed)


def text_digest(text: str) -> str:
    """The SHA-256 of a case file's text, in hex."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def of_run(run: StoredRun) -> dict[str, CasePower]:
    """The powers of a stored run's cases by id, in the run's order; {} where none were measured.

    What is not of the run's cases, or of another text of their files, is left out.
    """
    stored = read(run.folder)
    found = {}
    for case in run.cases:
        one = stored.get(case["id"])
        if one is not None and one.source == text_digest(run.sources.get(case["path"], "")):
            found[one.case] = one
    return found


def read(folder: Path) -> dict[str, CasePower]:
    """Every entry of a folder's power file; {} where there is none, or one that this harness cannot read."""
    try:
        data = json.loads((folder / POWER).read_text(encoding="utf-8"))
        if data["format"] != FORMAT or data["version"] != VERSION:
            return {}
        return {case["case"]: _case(case, data["faults"], data["rows"]) for case in data["cases"]}
    except (OSError, ValueError, LookupError, TypeError):
        # A file that can be made again at any time is not worth an error.
        return {}


def _case(case: Mapping[str, Any], faults: Sequence[Sequence[str]], rows: Sequence[str]) -> CasePower:
    judged = [
        Power(faults[fault][0], faults[fault][1], math.inf if effect is None else float(effect), rows[row])
        for fault, effect, row in case["effects"]
    ]
    return CasePower(case["case"], case["source"], case["key"], tuple(judged))


def _figure(ratio: float) -> float | None:
    """Four significant digits, unless they would turn a fault that is just noticed into one that is not."""
    if not math.isfinite(ratio):
        return None
    short = float(f"{ratio:.4g}")
    return short if (short > NOTICED) == (ratio > NOTICED) else ratio


def write(folder: Path, found: Iterable[CasePower]) -> Path:
    """Write a folder's power file, whole or not at all."""
    faults: dict[tuple[str, str], int] = {}
    rows: dict[str, int] = {}
    cases = [
        {
            "case": one.case,
            "source": one.source,
            "key": one.key,
            "effects": [
                [
                    faults.setdefault((power.fault, power.cause), len(faults)),
                    _figure(power.ratio),
                    rows.setdefault(power.by, len(rows)),
                ]
                for power in one.faults
            ],
        }
        for one in found
    ]
    head = {"format": FORMAT, "version": VERSION, "noticed_from": NOTICED}
    head |= {"faults": [list(name) for name in faults], "rows": list(rows)}
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    text = json.dumps(head, indent=1, allow_nan=False)[:-2] + ',\n "cases": [\n' + lines + "\n]}\n"
    files.write_whole(folder / POWER, text)
    return folder / POWER
