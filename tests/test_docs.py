"""The documentation holds together: links lead somewhere, commands exist, nothing names a machine."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterator
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


#: What only one machine has: its folders, the build of its kernel, its name in a network.
MACHINE = {
    "a folder": r"(?<![\w.<{$}~-])/(?:"
    + "|".join(("work", "root", "home/[a-z]+", "Users/[a-z]+", r"tmp/[a-z]{2,}"))
    + r")(?:/|\b)",
    "a kernel": r"Linux-\d+\.\d+",
    "an address": r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?:\.\d{1,3})?\b(?=:\d)",
}


def machine_words(text: str) -> Iterator[str]:
    """What a text says of one machine, with the words around it."""
    for kind, pattern in MACHINE.items():
        for found in re.finditer(pattern, text):
            yield f"{kind}: {text[max(0, found.start() - 40) : found.end() + 40]!r}"


def test_nothing_that_is_committed_names_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert len(names) > 500
    found = []
    for name in names:
        data = (ROOT / name).read_bytes()
        if name.endswith(".gz"):
            data = gzip.decompress(data)
        elif b"\0" in data[:4096]:
            continue
        found += [f"{name}: {words}" for words in machine_words(data.decode("utf-8", errors="replace"))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "see " + "/" + "work/main",
        "File '" + "/" + "home/ann/x.py'",
        "in " + "/" + "tmp/dev/v",
        "Linux" + "-6.1.0-x86_64",
        "10" + ".0.0.7:80",
    ],
)
def test_such_words_are_found(text: str) -> None:
    assert len(list(machine_words(text))) == 1


@pytest.mark.parametrize(
    "text", ["harness/work/x", "~/home/x", "the worker", "Linux, glibc 2.36", "version 10.1.2", "$HOME/tmp/x"]
)
def test_and_others_are_not(text: str) -> None:
    assert list(machine_words(text)) == []
