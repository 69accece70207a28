"""What YAML's events mean: the core schema of YAML 1.2, bounded, with the place of every key and value.

`1e-5` is a number and `on` a text; keys are text and stand once; aliases and nesting are bounded; other tags are refused.
https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from harness.errors import Place, Problem, UserError

#: Values in one file, aliases counted as often as they are used.
MAX_VALUES = 200_000
MAX_DEPTH = 64
MAX_TEXT = 10_000

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NUMBER_STARTS = frozenset("0123456789+-.")
_MEANINGFUL = _NUMBER_STARTS | {"", "~", *"nNtTfF"}
_CORE = "tag:yaml.org,2002:"
_KINDS = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}


class Marks:
    """Where a value starts and, for a mapping or a list, where its parts do. `keys` are the places of a mapping's keys."""

    __slots__ = ("keys", "mark", "parts")

    def __init__(self, mark: Any, parts: Any = None, keys: Any = None) -> None:
        self.mark = mark
        self.parts = parts
        self.keys = keys


class Composer:
    """Builds values from events. Problems with the meaning are collected; problems with the syntax are raised."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Any, Any, int]] = {}
        self.count = 0

    def document(self, take: Callable[[], Any]) -> tuple[Any, Any]:
        """The value and the marks of the only document; `take` gives the next event. Raises UserError, or the parser's errors."""
        self.next = take
        event = self.next()
        while type(event) is StreamStartEvent:
            event = self.next()
        if type(event) is StreamEndEvent:
            raise UserError(Problem("is empty; a case needs at least about, layer and backends", Place(self.name)))
        assert type(event) is DocumentStartEvent
        if event.version is not None and tuple(event.version) != (1, 2):
            self.complain("cases are YAML 1.2; take the %YAML line out", event.start_mark)
        value, marks = self.node(self.next(), 0)
        event = self.next()
        assert type(event) is DocumentEndEvent
        event = self.next()
        if type(event) is not StreamEndEvent:
            self.complain("a second document starts here; write one case a file", event.start_mark)
        if self.problems:
            raise UserError(self.problems)
        return value, marks

    def complain(self, message: str, mark: Any) -> None:
        self.problems.append(Problem(message, Place(self.name, mark.line + 1, mark.column + 1)))

    def stop(self, message: str, mark: Any) -> UserError:
        self.complain(message, mark)
        return UserError(self.problems)

    def node(self, event: Any, depth: int) -> tuple[Any, Any]:
        """The value and the marks of the node that starts with `event`."""
        kind = type(event)
        if kind is ScalarEvent:
            value: Any = event.value
            if event.ctag is not None:
                value = self.tagged(event)
            elif len(value) > MAX_TEXT:
                self.complain(f"this text is longer than {MAX_TEXT:,} characters", event.start_mark)
                value = value[:MAX_TEXT]
            elif not value.isascii():
                self.encodable(event)
            elif event.implicit[0] and value[:1] in _MEANINGFUL:
                value = self.plain(event)
            marks: Any = event.start_mark
            if event.anchor is not None:
                self.anchors[event.anchor] = (value, marks, 1)
            return value, marks
        if kind is AliasEvent:
            return self.alias(event)
        if depth >= MAX_DEPTH:
            raise self.stop(f"is nested more than {MAX_DEPTH} levels deep", event.start_mark)
        before = self.count
        if kind is MappingStartEvent:
            value, marks = self.mapping(event, depth + 1)
        else:
            assert kind is SequenceStartEvent
            value, marks = self.sequence(event, depth + 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, marks, self.count - before + 1)
        return value, marks

    def mapping(self, start: Any, depth: int) -> tuple[Any, Any]:
        if start.ctag is not None:
            self.collection_tag(start, "map")
        values: dict[str, Any] = {}
        parts: dict[str, Any] = {}
        keys: dict[str, Any] = {}
        take = self.next
        while True:
            event = take()
            if type(event) is MappingEndEvent:
                break
            mark = event.start_mark
            key, _ = self.node(event, depth)
            value, marks = self.node(take(), depth)
            if type(key) is not str:
                self.complain(f"a key must be text, not {_show(key)}; quote it", mark)
            elif key in values:
                first = keys[key].line + 1
                self.complain(f"the key {_show(key)} stands here twice (first on line {first})", mark)
            elif key == "<<":
                self.complain("merge keys (<<) are not part of YAML 1.2; write the keys out", mark)
            else:
                values[key] = value
                parts[key] = marks
                keys[key] = mark
                if len(values) > MAX_VALUES:
                    self.counted(len(values), start)
        self.counted(2 * len(values), start)
        return values, Marks(start.start_mark, parts, keys)

    def sequence(self, start: Any, depth: int) -> tuple[Any, Any]:
        if start.ctag is not None:
            self.collection_tag(start, "seq")
        values: list[Any] = []
        parts: list[Any] = []
        take = self.next
        while True:
            event = take()
            if type(event) is SequenceEndEvent:
                break
            value, marks = self.node(event, depth)
            values.append(value)
            parts.append(marks)
            if len(values) > MAX_VALUES:
                self.counted(len(values), start)
        self.counted(len(values), start)
        return values, Marks(start.start_mark, parts)

    def counted(self, size: int, start: Any) -> None:
        """Count the values of a list or mapping when it ends. Until then the size of the file bounds them."""
        self.count += size
        if self.count > MAX_VALUES:
            raise self.stop(f"holds more than {MAX_VALUES:,} values; put large arrays in .npy files", start.start_mark)

    def alias(self, event: Any) -> tuple[Any, Any]:
        known = self.anchors.get(event.anchor)
        if known is None:
            raise self.stop(f"the alias *{event.anchor} names no anchor before it", event.start_mark)
        value, marks, size = known
        self.count += size
        if self.count > MAX_VALUES:
            raise self.stop(f"aliases blow this file up to more than {MAX_VALUES:,} values", event.start_mark)
        return value, marks

    def plain(self, event: Any) -> Any:
        """A plain scalar by the core schema."""
        text = event.value
        if text[:1] not in _NUMBER_STARTS:
            return _WORDS.get(text, text)
        if _INT.match(text):
            return self.integer(text, 10, event)
        if _FLOAT.match(text):
            return float(text)
        if _OCTAL.match(text):
            return self.integer(text[2:], 8, event)
        if _HEX.match(text):
            return self.integer(text[2:], 16, event)
        return _WORDS.get(text, text)

    def integer(self, text: str, base: int, event: Any) -> int:
        if len(text) > 40:
            self.complain("this number has too many digits", event.start_mark)
            return 0
        return int(text, base)

    def tagged(self, event: Any) -> Any:
        """A scalar with a tag: the core's own are honoured where they fit."""
        tag = str(event.tag)
        name = tag.removeprefix(_CORE)
        if tag == "!" or name == "str":
            self.encodable(event)
            return event.value
        if tag == name or name not in _KINDS:
            self.complain(f"the tag {_tag_text(tag)} is not allowed in a case", event.start_mark)
            return None
        value = self.plain(event)
        if name == "float" and type(value) is int:
            return float(value)
        if type(value) is not _KINDS[name]:
            self.complain(f"{_show(event.value)} is no !!{name}", event.start_mark)
        return value

    def collection_tag(self, event: Any, expected: str) -> None:
        if event.tag is not None and str(event.tag) not in ("!", _CORE + expected):
            self.complain(f"the tag {_tag_text(str(event.tag))} is not allowed in a case", event.start_mark)

    def encodable(self, event: Any) -> None:
        try:
            event.value.encode()
        except UnicodeEncodeError:
            self.complain("half a surrogate pair is no text", event.start_mark)


def _tag_text(tag: str) -> str:
    tag = tag if len(tag) <= 60 else tag[:57] + "..."
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else f"!{tag.removeprefix('!')}"


def _show(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict | list) else ("a mapping" if isinstance(value, dict) else "a list")
    return text if len(text) <= 60 else text[:57] + "..."
