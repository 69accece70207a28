"""The documentation's examples run, and it names every API that has a rule."""

import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.streams import registry

TEXT = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")


def test_examples_run(monkeypatch):
    registry.known()
    monkeypatch.setattr(registry, "_rules", {name: list(rules) for name, rules in registry.known().items()})
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {"__name__": "example"}
    for block in blocks:
        exec(block, names)


def test_the_console_example_prints_what_it_shows(capsys):
    (command, shown) = re.search(r"\$ harness (mask --like torch.*?)\n((?:[01] [01 ]+\n)+)", TEXT).groups()
    assert main(command.split()) == 0
    assert capsys.readouterr().out == shown


def named() -> set[str]:
    """Every API that the documentation names: `.LSTM` continues the prefix before it, "`Dropout1d` to `3d`" is three."""
    found, last = set(), ""
    for token in re.findall(r"`([\w.]+)`", TEXT):
        if re.fullmatch(r"\d[dD]", token):
            found |= {last[:-2] + number + token[1] for number in "123"}
        else:
            last = last.rpartition(".")[0] + token if token.startswith(".") else token
            found.add(last)
    return found


@pytest.mark.parametrize("name", sorted(registry.known()))
def test_every_api_is_named(name):
    assert name in named()


@pytest.mark.parametrize("name", sorted(registry.known()))
def test_every_version_that_was_measured_is_named(name):
    (*_, last) = [version for rule in registry.known()[name] for version in rule.measured] or ["none"]
    assert last in TEXT
