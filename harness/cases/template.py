"""Filling a case's placeholders: one tree of values for each combination of the matrix.

A key's value is put in wherever a value of the case says `"{key}"`; where that is the whole text, it keeps its type. A key that
is itself a key of the case (`dtype`), or a dotted path into it (`config.units`, `dropout.0.rate`), sets that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from harness.cases.matrix import Combination, value_text
from harness.cases.problems import Complaints, Path
from harness.cases.schema import CaseFile
from harness.errors import did_you_mean

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)\}")
#: Texts for people: braces in them that are no matrix key stand for themselves.
_PROSE = ("about", "reason", "source")


class Template:
    """A case's tree with its placeholders, ready to be filled with combinations."""

    def __init__(self, tree: Mapping[str, Any], keys: Collection[str], text: str, complaints: Complaints) -> None:
        """`text` is the file's: without a placeholder anywhere in it there is no need to search the tree."""
        self.tree = {key: value for key, value in tree.items() if key != "matrix"}
        self.known = frozenset(keys)
        self.used: set[str] = set()
        self.settings: dict[str, Path] = {}
        if keys or PLACEHOLDER.search(text) or "\\" in text:
            self._survey(self.tree, (), complaints)
        for key in keys:
            self._resolve(key, complaints)

    def fill(self, combination: Combination) -> dict[str, Any]:
        """The tree for one combination. Parts that no key changes are shared with the template, not copied."""
        if not combination.values:
            return self.tree
        tree: dict[str, Any] = _substitute(self.tree, combination.values)
        for key, path in self.settings.items():
            tree = _set(tree, path, combination.values[key])
        return tree

    def origin(self, path: Path, combination: Combination) -> tuple[str, Path] | None:
        """The matrix key that made the value at `path` and where that value stands; None where the case itself says it."""
        for key, setting in self.settings.items():
            if path[: len(setting)] == setting:
                return key, combination.origin[key] + path[len(setting) :]
        node: Any = self.tree
        for depth, step in enumerate((*path, None)):
            if isinstance(node, str):
                match = PLACEHOLDER.search(node)
                if match is None or match[1] not in combination.origin:
                    return None
                return match[1], combination.origin[match[1]] + (path[depth:] if match[0] == node else ())
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return None

    def unfilled(self, path: Path) -> bool:
        """Whether what stands at `path` is for the matrix to say: a placeholder, or a value that a key sets."""
        if any(path[: len(setting)] == setting or setting[: len(path)] == path for setting in self.settings.values()):
            return True
        node: Any = self.tree
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return isinstance(node, str) and "{" in node

    def _survey(self, node: Any, path: Path, complaints: Complaints) -> None:
        """Note which keys are used; a placeholder of no key is a mistake, save in prose."""
        for where, text in _texts(node, path):
            prose = str(where[-1]) in _PROSE
            for match in PLACEHOLDER.finditer(text):
                if match[1] in self.known:
                    if not prose:
                        self.used.add(match[1])
                elif not prose:
                    near = did_you_mean(match[1], self.known)
                    complaints.add(where, f"{match[0]} is no key of the matrix{near}")

    def _resolve(self, key: str, complaints: Complaints) -> None:
        where: Path = ("matrix", key)
        head = key.partition(".")[0]
        if head not in CaseFile.model_fields or head == "matrix":
            if key not in self.used:
                near = did_you_mean(key, CaseFile.model_fields)
                message = f'is used nowhere: not as "{{{key}}}" and not as a key of the case{near}'
                complaints.add(where, message, key=True)
            return
        path = _path(self.tree, key)
        if path is None:
            if key not in self.used:
                complaints.add(where, "is no path into this case", key=True)
            return
        for other, taken in self.settings.items():
            if taken[: len(path)] == path or path[: len(taken)] == taken:
                complaints.add(where, f"sets what {other} sets", key=True)
                return
        self.settings[key] = path


def _texts(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, str):
        if "{" in node:
            yield path, node
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from _texts(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, (*path, index))


def _substitute(node: Any, values: Mapping[str, Any], prose: bool = False) -> Any:
    """`node` with placeholders replaced; the very same object where nothing changes. In prose a value is always text."""
    if isinstance(node, str):
        if "{" not in node:
            return node
        match = PLACEHOLDER.fullmatch(node)
        if match is not None and not prose:
            return values.get(match[1], node)
        return PLACEHOLDER.sub(lambda match: value_text(values[match[1]]) if match[1] in values else match[0], node)
    if isinstance(node, dict):
        items = {key: _substitute(item, values, key in _PROSE) for key, item in node.items()}
        return items if any(items[key] is not node[key] for key in items) else node
    if isinstance(node, list):
        entries = [_substitute(item, values) for item in node]
        return entries if any(new is not old for new, old in zip(entries, node, strict=True)) else node
    return node


def _path(tree: Any, key: str) -> Path | None:
    """The path that a dotted key names: entries of lists must exist, the last keys of mappings need not."""
    steps = key.split(".")
    path: Path = ()
    node = tree
    while steps:
        if isinstance(node, dict) or node is None:
            known = node or {}
            size = next((n for n in range(len(steps), 0, -1) if ".".join(steps[:n]) in known), 1)
            step: str | int = ".".join(steps[:size])
            node, steps = known.get(step), steps[size:]
        elif isinstance(node, list):
            step, steps = steps[0], steps[1:]
            if not step.isdigit() or int(step) >= len(node):
                return None
            step = int(step)
            node = node[step]
        else:
            return None
        path = (*path, step)
    return path


def _set(tree: Any, path: Path, value: Any) -> Any:
    """A copy of `tree` with one value replaced; what is beside the path is shared."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(tree, list):
        assert isinstance(step, int)
        return [*tree[:step], _set(tree[step], rest, value), *tree[step + 1 :]]
    tree = tree or {}
    return {**tree, step: _set(tree.get(step), rest, value)}
