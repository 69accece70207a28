"""docs/facts.md: every case that it names exists, loads, and every row has a case and a verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cases import load

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_0-9]+/[\w-]+\.yaml)`", TEXT)))


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    part = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")
    ][2:]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_case_exists_and_loads(name: str) -> None:
    assert (ROOT / "cases" / name).is_file()
    assert load([ROOT / "cases" / name])


def test_every_row_names_a_case_and_a_verdict() -> None:
    assert len(rows("Systems")) == 13
    causes = rows("Causes of a mismatch")
    assert [int(cells[0].split()[0]) for cells in causes] == list(range(1, 16))
    for cells in rows("Systems") + causes:
        assert len(cells) == 3
        assert re.search(r"`[\w/-]+\.yaml`", cells[1]), cells[0]
        assert cells[2].startswith("confirmed"), cells[0]
