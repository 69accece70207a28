"""How much of its limit each comparison of a stored run needs: what the factor k of docs/tolerance.md rests on, for all kinds.

    python docs/measure_limits.py                      # print the table, of reports/shipped
    python docs/measure_limits.py --write              # put it into tolerance.md
    python docs/measure_limits.py --run reports/latest # of another run

A figure is the worst error over the sensitivity S of its own case and draws. Limits that a case sets itself, and what must be
exact, are left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from harness.comparison.tolerance import K
from harness.records import Verdict
from harness.reporting.store import read

DOCUMENT = Path(__file__).with_name("tolerance.md")
SHIPPED = Path(__file__).parent.parent / "reports" / "shipped"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
FAMILIES = ("value", "gradient")
COMPARED = (Verdict.PASS, Verdict.FAIL)


@dataclass
class Group:
    """Comparisons of one layer kind in one dtype: error / S of each, by family, and who made them."""

    implementations: set[str] = field(default_factory=set)
    ratios: dict[str, list[float]] = field(default_factory=lambda: {family: [] for family in FAMILIES})


def groups(folder: Path) -> dict[tuple[str, str], Group]:
    """What a stored run compared with derived limits, by (layer kind, dtype)."""
    found: dict[tuple[str, str], Group] = defaultdict(Group)
    for row in read(folder).rows():
        family = row.check.partition(".")[0]
        derived = (
            row.unit == "absolute" and row.limit and row.measured is not None and "set by the case" not in row.note
        )
        if family in FAMILIES and derived and row.verdict in COMPARED:
            group = found[row.layer, row.dtype]
            group.implementations.add(f"{row.backend}: {row.implementation} {row.environment}")
            group.ratios[family].append(K * row.measured / row.limit)
    return dict(sorted(found.items()))


def table(folder: Path) -> str:
    """A Markdown table of a stored run, a row for each (layer kind, dtype), and its last line in words."""
    lines = [
        "| layer kind | dtype | implementations | comparisons | outputs | gradients |",
        "|---|---|---:|---:|---:|---:|",
    ]
    worst, total, everyone = 0.0, 0, set()
    for (layer, dtype), group in groups(folder).items():
        ratios = [ratio for family in FAMILIES for ratio in group.ratios[family]]
        worst, total = max(worst, *ratios), total + len(ratios)
        everyone |= group.implementations
        largest = [f"{max(group.ratios[family]):.1f}" if group.ratios[family] else "" for family in FAMILIES]
        lines.append(
            f"| `{layer}` | {dtype} | {len(group.implementations)} | {len(ratios)} | {largest[0]} | {largest[1]} |"
        )
    words = (
        f"{total:,} comparisons by {len(everyone)} implementations, old environments among them; the worst needs {worst:.1f} S, "
        f"so k = {K:g} has a margin of {K / worst:.1f}."
    )
    return "\n".join([*lines, "", words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=SHIPPED, help="the stored run  [default: reports/shipped]")
    parser.add_argument("--write", action="store_true", help="put the table into tolerance.md")
    arguments = parser.parse_args()
    text = table(arguments.run)
    if not arguments.write:
        print(text)
        return
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
