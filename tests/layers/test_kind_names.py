"""A kind's own file is the only one that names it: everything else asks what the kind declares."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.comparison.checks.base import checks
from harness.layers.base import kinds

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "harness"

#: Words that are a kind's name and something else too: the case file's list of dropout sites, a weight's name.
ALSO = {
    "harness/cases/building.py": {"dropout"},
    "harness/cases/export.py": {"dropout"},
    "harness/cases/model.py": {"dropout"},
    "harness/layers/_lstm_names.py": {"dropout"},
    "harness/pairs/weights.py": {"embedding"},
    "harness/layers/_pointwise.py": {"dropout"},
    "harness/layers/_simple_kind.py": {"dropout"},
    "harness/layers/_sites.py": {"dropout"},
    "harness/layers/awd_lstm.py": {"dropout", "embedding"},
    "harness/layers/embedding.py": {"dropout"},
    "harness/layers/zoneout_lstm.py": {"dropout"},
}


def host_files() -> Iterator[tuple[str, str]]:
    """All but the frameworks, which register what they implement of each kind by its name, and the rules of their streams."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        framework = name.startswith("harness/frameworks/") and not name.startswith("harness/frameworks/contract/")
        if not framework and not name.startswith("harness/streams/rules/"):
            yield name, path.read_text(encoding="utf-8")


def named(source: str) -> set[str]:
    """The kinds that a file names as whole texts, or imports from."""
    words = set(kinds())
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in words:
            found.add(node.value)
        for module in modules(node):
            package, _, name = module.rpartition(".")
            if package == "harness.layers" and name in words:
                found.add(name)
    return found


def modules(node: ast.AST) -> list[str]:
    """The modules that a statement may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def test_no_host_file_names_a_kind() -> None:
    """A kind may be made of others, as an encoder and decoder is of two LSTMs."""
    found = {
        name: named(source) - ALSO.get(name, set())
        for name, source in host_files()
        if name.removeprefix("harness/layers/").removesuffix(".py") not in kinds()
    }
    assert {name: words for name, words in found.items() if words} == {}
    for name, words in ALSO.items():
        assert words <= named((ROOT / name).read_text(encoding="utf-8")), f"{name}: not named any more"


def test_a_kind_names_itself_and_what_it_is_made_of() -> None:
    made_of = {"encoder_decoder": {"lstm"}}
    for name, source in host_files():
        kind = name.removeprefix("harness/layers/").removesuffix(".py")
        if kind in kinds():
            assert named(source) - {kind} - ALSO.get(name, set()) == made_of.get(kind, set()), name


@pytest.mark.parametrize(
    "line",
    [
        'if layer == "lstm": pass',
        'ORDER = ("gru", "dropout")',
        'x = {"simple_rnn": 1}',
        "from harness.layers.gru import Gru",
        "from harness.layers import zoneout_lstm",
        "def f():\n    import harness.layers.lstm",
    ],
)
def test_a_name_in_a_host_file_is_found(line: str) -> None:
    assert named(line)


def test_the_checks_that_a_kind_asks_for_are_there() -> None:
    for kind in kinds().values():
        for name in kind.checks:
            assert name in checks() or name.partition(".")[0] in checks(), (kind.name, name)
