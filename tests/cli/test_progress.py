"""Commands that take their time say on a terminal how far they are, and nothing with -q or in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

CASE = """about: Dropout in NumPy.
layer: dropout
config: {rate: 0.5}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
backends: [numpy]
expect:
  - {backend: "numpy: *", check: value.y, reason: made up}
"""


@pytest.fixture
def shown(monkeypatch):
    """What is drawn on a terminal's stderr."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    monkeypatch.setattr("harness.commands.progress.messages", lambda: console)
    return text


@pytest.fixture
def stored(harness, tmp_path):
    """A run with one difference: a known one that is gone."""
    (tmp_path / "case.yaml").write_text(CASE, encoding="utf-8")
    assert harness("run", "case.yaml", "-q")[0] == 1
    return harness


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["power", "case.yaml"], "case power"),
        (["profile", "case.yaml"], "1/1"),
        (["explain", "--stored"], "causes"),
    ],
)
def test_progress(stored, shown, words, said):
    assert stored(*words)[0] == 0
    assert said in shown.getvalue()
    before = len(shown.getvalue())
    assert stored(*words, "--quiet")[0] == 0
    assert len(shown.getvalue()) == before


def test_a_pipe_gets_no_progress(stored):
    for words in (["power", "case.yaml"], ["profile", "case.yaml"], ["explain", "--stored"]):
        said = stored(*words)[2]
        assert not [word for word in ("case power", "1/1", "causes", "\x1b") if word in said]
