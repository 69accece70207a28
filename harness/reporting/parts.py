"""What a run is made of: of each of its parts the command, the machine and the time, as run.json has them.

A run in one go has one part. One that `--resume` went on with has those of before and its own; a merged one those of its shards.
Its time is the sum of theirs, also where they ran at the same time.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from harness.reporting.summary import plural

#: What run.json says of each part.
PART = ("command", "started", "seconds", "comparisons", "shard", "machine")


def part(
    command: Sequence[str],
    started: datetime.datetime,
    seconds: float,
    comparisons: int,
    shard: str,
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """One part. comparisons  how many were made in it, also those that a later part made anew."""
    told = (list(command), started.isoformat(timespec="seconds"), round(seconds, 3), comparisons, shard, dict(machine))
    return dict(zip(PART, told, strict=True))


def parts_of(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a run, by its run.json, which names them where there are several."""
    given = meta.get("parts")
    if given:
        return list(given)
    known = {"command": [], "started": "", "seconds": 0.0, "comparisons": 0, "shard": ""} | dict(meta)
    return [{key: known[key] for key in PART}]


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What run.json says of the whole: when it began, its time, its machine.

    The machine has every processor where the parts had different ones, so that a baseline's fingerprint is that of the machines
    that computed, not of the one that put the parts together.
    """
    machine = dict(parts[0]["machine"])
    for key in ("cpu", "machine", "system", "python"):
        machine[key] = " + ".join(sorted({str(one["machine"].get(key, "")) for one in parts}))
    told: dict[str, Any] = {
        "started": min(str(one["started"]) for one in parts),
        "seconds": round(sum(float(one["seconds"]) for one in parts), 3),
        "machine": machine,
    }
    return told if len(parts) == 1 else told | {"parts": [dict(one) for one in parts]}


def took(meta: Mapping[str, Any]) -> str:
    """How long a run took, and of how many parts that is the sum: `12.3 s`, or
    `12.3 s, the sum of 2 parts; 5 of 7 cases kept by --resume`.
    """
    parts = parts_of(meta)
    text = f"{float(meta.get('seconds', 0.0)):.1f} s"
    if len(parts) > 1:
        text += f", the sum of {plural(len(parts), 'part')}"
    if kept := kept_cases(meta):
        text += f"; {kept} of {plural(int(meta['cases']), 'case')} kept by --resume"
    return text


def kept_cases(meta: Mapping[str, Any]) -> int:
    """How many cases `--resume` took over from an earlier run; 0 of a run that was not resumed."""
    return int((meta.get("kept") or {}).get("cases", 0))
