"""The glossary in docs/design.md: each word once, each with a name in the code that means nothing else there."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = re.findall(
    r"^\| ([a-z]+) \| (.+) \| `([\w.]+):(\w+)` \|$", (ROOT / "docs/design.md").read_text("utf-8"), re.MULTILINE
)


def classes() -> Counter[str]:
    """How many classes of the package have a name."""
    return Counter(
        node.name
        for path in (ROOT / "harness").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )


def test_the_words_are_there_each_once() -> None:
    words = [word for word, *_ in ROWS]
    assert len(words) >= 20
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(("word", "module", "name"), [(word, module, name) for word, _, module, name in ROWS])
def test_a_word_has_a_name_in_the_code(word: str, module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_no_name_of_the_glossary_means_a_second_thing() -> None:
    count = classes()
    assert {name for *_, name in ROWS if count[name] > 1} == set()
