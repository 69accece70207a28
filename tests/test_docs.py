"""The documentation holds together: links lead somewhere, commands exist, nothing names a machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.commands.group import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist(page: Path) -> None:
    shown = set(re.findall(r"(?:^|`)(?:\$ )?harness ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown - set(COMMANDS) == set()


def test_every_command_is_told_in_the_readme_or_the_docs() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in COMMANDS if f"harness {name}" not in text and f"`{name}`" not in text] == []
