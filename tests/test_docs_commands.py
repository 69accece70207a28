"""Every `harness …` line that is shown, in documentation, workflow files and --help, is taken by the command line itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.cli import make
from harness.errors import UserError
from harness.reporting.merging import shard_of

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "docs/**/*.yml", ".github/**/*.md", ".github/**/*.yml", "cases/**/*.md")
    for path in ROOT.glob(pattern)
)
GROUP = make()
VARIABLES = {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}
_OPERATORS = {"|", "||", "&&", ";", "&", "(", ")"}
_REDIRECTIONS = {">", ">>", "<", "2>", "&>"}


def commands_of(line: str) -> Iterator[list[str]]:
    """The words after `harness` of each command of a shell line, without comments and redirections."""
    line = re.sub(r"\$\{\{[^}]*\}\}", "1", line)
    line = re.sub(r"\$\{?(\w+)\}?", lambda match: VARIABLES.get(match[1], "x"), line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in [*lexer, ";"]:
        if word in _OPERATORS:
            if words[:1] == ["harness"]:
                yield words[1:]
            words = []
        elif word in _REDIRECTIONS:
            skip = True
        elif skip:
            skip = False
        else:
            words.append(word)


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of what stands in fenced blocks; a line that ends in a backslash goes on in the next."""
    inside, held = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif inside:
            held += line.rstrip("\\") if line.endswith("\\") else line
            if not line.endswith("\\"):
                yield number, held
                held = ""


def shown_in(path: Path) -> Iterator[tuple[str, list[str], bool]]:
    """(place, words, whether it is a whole command) of each command line in a file."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    lines = blocks(text) if path.suffix == ".md" else enumerate(text.splitlines(), 1)
    for number, line in lines:
        found = re.match(r"\s*(?:\$ |- (?:run: )?|run: |again: )?(harness [a-z-].*)", line)
        for words in commands_of(found[1]) if found else ():
            yield f"{name}:{number}", words, True
    for number, line in enumerate(text.splitlines(), 1):
        # In prose, `[…]` is what may be left out, and `…` what the reader puts there.
        for span in re.findall(r"`(harness [a-z-][^`]*)`", line):
            plain = re.sub(r"(?<=\s)\[|\](?=\s|$)", "", span).replace("…", "x").replace("(x)", "")
            for words in commands_of(plain):
                yield f"{name}:{number}", words, False


def examples() -> Iterator[tuple[str, list[str], bool]]:
    """The command lines of every --help; what follows three blanks or more is a remark."""

    def of(command: click.Command, name: str) -> Iterator[tuple[str, list[str], bool]]:
        for line in (command.epilog or "").splitlines():
            found = re.match(r"\s+(harness .*?)(?:\s{3,}.*)?$", line)
            for words in commands_of(found[1]) if found else ():
                yield f"{name} --help", words, True
        if isinstance(command, click.Group):
            context = click.Context(command)
            for inner in command.list_commands(context):
                child = command.get_command(context, inner)
                assert child is not None
                yield from of(child, f"{name} {inner}")

    yield from of(GROUP, "harness")


SHOWN = [one for path in PAGES for one in shown_in(path)] + list(examples())


def problem(words: list[str], whole: bool) -> str:
    """Why the command line would not take these words; "" if it does.

    Prose may name an option without its value, and leave arguments out or in capitals.
    """
    command: click.Command = GROUP
    name = "harness"
    rest = list(words)
    try:
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            name, found = rest[0], command.get_command(click.Context(command), rest[0])
            if found is None:
                return f"there is no command {name!r}"
            command, rest = found, rest[1:]
        if isinstance(command, click.Group) and not rest:
            return "" if not whole else f"{name} takes a command"
        parsed = command.make_context(name, rest)
        if parsed.params.get("shard"):
            shard_of(parsed.params["shard"])
    except click.exceptions.Exit:
        return ""  # --help, --version
    except click.MissingParameter as error:
        return error.format_message() if whole else ""
    except (click.UsageError, UserError) as error:
        message = str(error)
        placeholder = isinstance(error, click.BadParameter) and any(word.isupper() for word in words)
        return "" if not whole and (placeholder or message.endswith("requires an argument.")) else message
    return ""


@pytest.mark.parametrize(
    ("place", "words", "whole"), SHOWN, ids=[f"{place} {' '.join(words)}" for place, words, _ in SHOWN]
)
def test_what_is_shown_is_taken(place: str, words: list[str], whole: bool) -> None:
    assert problem(words, whole) == ""


def test_all_kinds_of_places_are_looked_at() -> None:
    places = {re.sub(r":\d+$", "", place) for place, _, _ in SHOWN}
    assert {"README.md", "docs/reports.md", "docs/ci/github.yml", "docs/ci/gitlab.yml", "harness run --help"} <= places
    assert len(SHOWN) > 100


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("harness run cases --bakend torch", "No such option"),
        ("harness rnu cases", "there is no command 'rnu'"),
        ("harness run", "Missing"),
        ("harness run cases --jobs many", "'many' is not a valid integer"),
        ("harness run cases --shard 5/4", "it takes i/n"),
        ("harness report --format pdf", "'pdf' is not one of"),
        ("true && harness baseline updat | cat", "there is no command 'updat'"),
        ("harness gate today", ""),
        ("harness compare one", "Missing"),
    ],
)
def test_what_is_wrong_would_be_seen(line: str, words: str) -> None:
    (found,) = commands_of(line)
    assert words in problem(found, whole=True)
    assert bool(problem(found, whole=True)) == bool(words)
