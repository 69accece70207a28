"""Reading one YAML file into plain values, with the place of every key and value.

The events come from ruamel.yaml: from libyaml where `ruamel.yaml.clib` is installed (twenty times faster), else from its
Python parser. What they mean is decided in `composer`, once for both. A text that libyaml refuses is parsed again in Python, so
that a message does not depend on what is installed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from harness.cases.composer import Composer, Marks
from harness.errors import Place, Problem, UserError

try:
    from _ruamel_yaml import CParser
except ImportError:  # the extra wheel is missing: slower, same meaning
    CParser = None

#: A case is a page of text; larger arrays belong in `.npy` files.
MAX_BYTES = 1 << 20
#: Line breaks of YAML 1.1, which libyaml still counts as such; text with them goes the slow way.
_OLD_BREAKS = re.compile(r"[\x85\u2028\u2029]")

Steps = Sequence[str | int]


class Document:
    """One YAML file: `value` holds dicts, lists and scalars; `place` tells where each stands."""

    __slots__ = ("marks", "path", "text", "value")

    def __init__(self, path: str, text: str, value: Any, marks: Any) -> None:
        self.path = path
        self.text = text
        self.value = value
        self.marks = marks

    def place(self, path: Steps = (), *, key: bool = False) -> Place:
        """The place of the value at `path`, of its key with `key`; of the nearest thing around it that exists."""
        node = self.marks
        mark = node.mark if isinstance(node, Marks) else node
        for depth, step in enumerate(path):
            if not isinstance(node, Marks):
                break
            try:
                child = node.parts[step]
            except (KeyError, IndexError, TypeError):
                break
            if key and depth == len(path) - 1 and node.keys is not None:
                return self._place(node.keys[step])
            node = child
            mark = node.mark if isinstance(node, Marks) else node
        return self._place(mark)

    def _place(self, mark: Any) -> Place:
        if mark is None:
            return Place(self.path)
        return Place(self.path, mark.line + 1, mark.column + 1)


def read(path: str, name: str) -> Document:
    """Read a case file; `name` is what messages call it. Raises UserError with everything wrong with it as YAML."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - quick; a pipe or a device would block
            raise UserError(Problem("is not a file", Place(name)))
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(Problem("no such file", Place(name))) from None
    except (OSError, ValueError) as error:
        raise UserError(Problem(f"cannot be read: {error}", Place(name))) from None
    if len(data) > MAX_BYTES:
        raise UserError(
            Problem(f"is larger than {MAX_BYTES:,} bytes; put large arrays in .npy files beside the case", Place(name))
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UserError(Problem("is not UTF-8 text, so no YAML case", Place(name, line, column))) from None
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """Parse YAML text to one document. Raises UserError with all problems."""
    if CParser is not None and (text.isascii() or not _OLD_BREAKS.search(text)):
        try:
            return Document(name, text, *Composer(name).document(CParser(text).get_event))
        except (YAMLError, UnicodeError):
            pass
    return parse_slowly(text, name)


def parse_slowly(text: str, name: str) -> Document:
    """Parse with ruamel.yaml's Python parser, whose messages are the ones to show."""
    composer = Composer(name)
    try:
        return Document(name, text, *composer.document(YAML(typ="safe", pure=True).parse(text).__next__))
    except MarkedYAMLError as error:
        raise UserError([*composer.problems, _syntax(error, name)]) from None
    except YAMLError as error:
        words = getattr(error, "reason", "") or str(error)
        problem = Problem(f"is no YAML: {_one_line(words)}", _position(text, error, name))
        raise UserError([*composer.problems, problem]) from None
    except UserError:
        raise
    except Exception as error:  # the parser trips over some malformed escapes and directives
        raise UserError(Problem(f"is no YAML: {_one_line(str(error))}", Place(name))) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _syntax(error: MarkedYAMLError, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    parts = [_one_line(part) for part in (error.problem, error.context) if part]
    place = Place(name, mark.line + 1, mark.column + 1) if mark is not None else Place(name)
    return Problem("is no YAML: " + ", ".join(parts), place)


def _position(text: str, error: YAMLError, name: str) -> Place:
    """A ReaderError has an offset into the text."""
    offset = getattr(error, "position", None)
    if not isinstance(offset, int):
        return Place(name)
    line = text.count("\n", 0, offset) + 1
    return Place(name, line, offset - text.rfind("\n", 0, offset))
