"""Matrix expansion: every combination of the values, first key slowest, and the ids that they give the variants."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.cases.problems import Complaints, Path, show, validate
from harness.cases.schema import MatrixEntry
from harness.errors import did_you_mean

MAX_VARIANTS = 10_000
_RESERVED = ("include", "exclude")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*\Z")
_LONG = 48


@dataclass(frozen=True, slots=True)
class Combination:
    """One set of matrix values; `origin` is where each stands in the case."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Path] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """What it adds to the case's id: `::[rate=0.5-dtype=float32]`."""
        if not self.values:
            return ""
        return "::[" + "-".join(f"{key}={value_text(value)}" for key, value in self.values.items()) + "]"


def value_text(value: Any) -> str:
    """A matrix value within an id or a text: as in the file for words, numbers as Python prints them, else compact JSON."""
    if isinstance(value, str):
        text = value if value and value.isprintable() else json.dumps(value)
    elif isinstance(value, bool) or value is None or isinstance(value, list | dict):
        text = json.dumps(value, separators=(",", ":"))
    else:
        text = repr(value)
    if len(text) > _LONG:
        import hashlib  # seldom needed, and slow to import

        text = text[: _LONG - 10] + "~" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return text


def identity(value: Any) -> Any:
    """A hashable stand-in: equal exactly for values that mean the same (1 and 1.0 do, 1 and true do not)."""
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    if isinstance(value, float) and math.isnan(value):
        return ("nan",)
    if isinstance(value, list):
        return ("list", *map(identity, value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, identity(item)) for key, item in value.items()))
    return value


def combinations(raw: Any, complaints: Complaints) -> list[Combination]:
    """All combinations of a case's `matrix`, or an empty list after complaints."""
    before = len(complaints)
    if not isinstance(raw, Mapping):
        complaints.add(("matrix",), f"must be a mapping, not {show(raw)}")
        return []
    lists = {key: values for key, values in raw.items() if key not in _RESERVED}
    for key, values in lists.items():
        _check_list(key, values, complaints)
    extra = validate(MatrixEntry, {key: raw[key] for key in _RESERVED if key in raw}, ("matrix",), complaints)
    if extra is None or len(complaints) > before:
        return []
    if not lists and not extra.include:
        complaints.add(("matrix",), "has no key with values")
        return []
    count = math.prod(len(values) for values in lists.values()) if lists else 0
    if count + len(extra.include) > MAX_VARIANTS:
        total = f"{count + len(extra.include):,}"
        complaints.add(("matrix",), f"makes {total} variants; at most {MAX_VARIANTS:,} are possible")
        return []
    return _expand(lists, extra, complaints)


def matrix_values(raw: Any) -> dict[str, list[Any]]:
    """Every key of a case's `matrix` with all of its values, also of a matrix that has problems."""
    if not isinstance(raw, Mapping):
        return {}
    found = {
        key: list(values) if isinstance(values, list) else [] for key, values in raw.items() if key not in _RESERVED
    }
    include = raw.get("include")
    entries = [entry for entry in include if isinstance(entry, Mapping)] if isinstance(include, list) else []
    if not found and entries:
        found = {key: [] for key in entries[0]}
    for entry in entries:
        for key, value in entry.items():
            if key in found:
                found[key].append(value)
    return found


def _check_list(key: str, values: Any, complaints: Complaints) -> None:
    where: Path = ("matrix", key)
    if not _NAME.match(key):
        complaints.add(where, "a matrix key is a word or a dotted path", key=True)
    if not isinstance(values, list):
        complaints.add(where, f"must be a list of values, not {show(values)}")
        return
    if not values:
        complaints.add(where, "must not be empty")
    seen: set[Any] = set()
    for index, value in enumerate(values):
        if identity(value) in seen:
            complaints.add((*where, index), f"the value {value_text(value)} stands twice")
        seen.add(identity(value))


def _expand(lists: Mapping[str, list[Any]], extra: MatrixEntry, complaints: Complaints) -> list[Combination]:
    before = len(complaints)
    keys = list(lists) or list(extra.include[0])
    excluded = [_exclusion(entry, index, lists, complaints) for index, entry in enumerate(extra.exclude)]
    for index, entry in enumerate(extra.include):
        where: Path = ("matrix", "include", index)
        for key in entry:
            if key not in keys:
                complaints.add((*where, key), f"is no key of the matrix{did_you_mean(key, keys)}", key=True)
        missing = [key for key in keys if key not in entry]
        if missing:
            complaints.add(where, f"needs a value for {', '.join(missing)}")
    if len(complaints) > before:
        return []
    found: list[Combination] = []
    seen: dict[Any, int] = {}
    used = [0] * len(excluded)
    for picks in itertools.product(*(enumerate(values) for values in lists.values())) if lists else ():
        values = {key: value for key, (_, value) in zip(keys, picks, strict=True)}
        marks = {key: identity(value) for key, value in values.items()}
        hits = [index for index, rule in enumerate(excluded) if all(marks[key] == mark for key, mark in rule.items())]
        for index in hits:
            used[index] += 1
        if not hits:
            seen[tuple(marks.values())] = len(found)
            origin = {key: ("matrix", key, index) for key, (index, _) in zip(keys, picks, strict=True)}
            found.append(Combination(values, origin))
    for index, count in enumerate(used):
        if not count:
            complaints.add(("matrix", "exclude", index), "excludes nothing: no combination has these values")
    for index, entry in enumerate(extra.include):
        values = {key: entry[key] for key in keys}
        mark = tuple(identity(value) for value in values.values())
        if mark in seen:
            complaints.add(("matrix", "include", index), "this combination is there already")
        seen[mark] = len(found)
        found.append(Combination(values, {key: ("matrix", "include", index, key) for key in keys}))
    if not found:
        complaints.add(("matrix", "exclude"), "excludes every combination")
    if len(complaints) == before:
        _check_ids(found, complaints)
    return found if len(complaints) == before else []


def _exclusion(
    entry: Mapping[str, Any], index: int, lists: Mapping[str, list[Any]], complaints: Complaints
) -> dict[str, Any]:
    where: Path = ("matrix", "exclude", index)
    if not entry:
        complaints.add(where, "must not be empty")
    for key in entry:
        if key not in lists:
            complaints.add((*where, key), f"is no key of the matrix{did_you_mean(key, lists)}", key=True)
    return {key: identity(value) for key, value in entry.items()}


def _check_ids(found: list[Combination], complaints: Complaints) -> None:
    """Values of different types can look alike (0.5 and "0.5"); then two variants would have one id."""
    seen: set[str] = set()
    for combination in found:
        if combination.suffix in seen:
            where = list(combination.origin.values())[-1]
            complaints.add(where, f"two variants would have the id {combination.suffix[2:]}")
        seen.add(combination.suffix)
