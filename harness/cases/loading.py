"""Finding case files and loading them: all problems of all files at once, no array made.

A loaded case holds sizes only, so thousands load quickly and in little memory.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.cases.building import Builder
from harness.cases.document import parse, read
from harness.errors import Place, Problem, UserError, did_you_mean
from harness.records import Variant

SUFFIXES = (".yaml", ".yml")


def load(paths: Iterable[Path | str], pairs: list[str] | None = None) -> list[Variant]:
    """Load case files, and all of the folders among `paths` with what lies below, in order of name.

    pairs  gets the names of the files that are pairs of programs (harness.pairs.case); None: one that is among `paths` is a
           problem, those of folders are left out.

    Raises UserError with every problem of every file.
    """
    collecting = gc.isenabled()
    gc.disable()  # loading makes many small objects and no cycles; collecting would cost a third of the time
    try:
        return list(iterate(paths, pairs))
    finally:
        if collecting:
            gc.enable()


def iterate(paths: Iterable[Path | str], pairs: list[str] | None = None) -> Iterator[Variant]:
    """Like `load`, one variant at a time. The UserError comes after the last good variant."""
    problems: list[Problem] = []
    paths = list(paths)
    named = {display_name(Path(path)) for path in paths}
    for file, name in files(paths, problems):
        try:
            document = read(file, name)
        except UserError as error:
            problems.extend(error.problems)
            continue
        if is_pair(document.value):
            if pairs is not None:
                pairs.append(name)
            elif name in named:
                message = f"is a pair of programs, which this command cannot take: harness run {name}"
                problems.append(Problem(message, Place(name)))
            continue
        builder = Builder(document, folder_of(name))
        yield from builder.variants()
        problems.extend(sorted(builder.problems, key=_position))
    if problems:
        raise UserError(problems)


def is_pair(value: object) -> bool:
    """Whether a document's yardstick is a program instead of a layer kind (harness.pairs.case)."""
    return isinstance(value, dict) and isinstance(value.get("reference"), dict) and "layer" not in value


def _position(problem: Problem) -> tuple[int, int]:
    """In order of the file; what is said of the file as a whole, that more is wrong, comes last."""
    place = problem.place
    return (place.line, place.column) if place and place.line else (sys.maxsize, 0)


def load_one(path: Path | str) -> list[Variant]:
    """The variants of one file. Raises UserError."""
    return load([path])


def from_text(text: str, name: str) -> list[Variant]:
    """The variants of a case file's text, as a stored run has it; `name` is what ids call the file.

    The files of users' own code need not be there. Raises UserError.
    """
    builder = Builder(parse(text, name), folder_of(name), ported=False)
    found = list(builder.variants())
    if builder.problems:
        raise UserError(sorted(builder.problems, key=_position))
    return found


def files(paths: Iterable[Path | str], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Yield (file, name for ids and messages), each file once. A path that is missing or a folder without cases is a problem."""
    seen: set[str] = set()
    for given in paths:
        path = Path(given)
        name = display_name(path)
        if is_python(path):
            problems.append(python_problem(path))
            continue
        if not os.path.lexists(path):
            problems.append(Problem(f"no such file or folder{_near(path)}", Place(name)))
            continue
        if path.is_dir():
            found = [(file, _below_name(name, file[len(str(path)) :])) for file in _below(str(path))]
            if not found:
                problems.append(Problem("holds no case (*.yaml, *.yml)", Place(name)))
        else:
            found = [(str(path), name)]
        for file, file_name in found:
            if file_name not in seen:
                seen.add(file_name)
                yield file, file_name


def _near(path: Path) -> str:
    """The nearest name beside a path that is not there, as a hint."""
    try:
        beside = [entry.name for entry in os.scandir(path.parent) if not entry.name.startswith(".")]
    except OSError:
        return ""
    return did_you_mean(path.name, beside)


def is_python(path: Path) -> bool:
    """Whether this is a Python file that is there, alone or as a target (`port.py:run`)."""
    file = _python_file(path)
    return file.suffix in (".py", ".ipynb") and file.is_file()


def _python_file(path: Path) -> Path:
    return path.parent / path.name.partition(":")[0]


def python_problem(path: Path) -> Problem:
    """What is wrong with Python where a case is asked for: the case beside it that compares it, or how to make one."""
    file = _python_file(path)
    cases = _targeting(file)
    hint = "; `harness init my_port.py` writes a port and a case that compares it"
    if cases:
        more = f", or {len(cases) - 1} more that compare it" if len(cases) > 1 else ""
        hint = f"; did you mean {display_name(cases[0])}{more}?"
    return Problem(f"is Python, no case{hint}", Place(display_name(file)))


def _targeting(file: Path) -> list[Path]:
    """The case files beside a Python file that name it as a target, the one of its own name first; else that one."""
    target = re.compile(rb"""target["']?:\s*["']?(?:[^"'\s]*/)?%b:""" % re.escape(os.fsencode(file.name)))
    own = [file.with_suffix(suffix) for suffix in SUFFIXES]
    beside: list[Path] = []
    with contextlib.suppress(OSError):
        beside = sorted(path for path in file.parent.iterdir() if path.suffix in SUFFIXES and path.is_file())
        beside = [path for path in beside if target.search(path.read_bytes())]
    first = [path for path in own if path in beside or (not beside and path.is_file())]
    return [*first, *(path for path in beside if path not in first)]


def _below(folder: str) -> Iterator[str]:
    """Case files in a folder and its subfolders, sorted, hidden ones left out. Links to folders are not followed."""
    with os.scandir(folder) as entries:
        items = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in items:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif entry.name.endswith(SUFFIXES):
            yield entry.path


def _below_name(folder: str, rest: str) -> str:
    """The name of a file in a folder of that name, without asking the file system again."""
    rest = rest.replace(os.sep, "/").lstrip("/")
    return rest if folder == "." else f"{folder.rstrip('/')}/{rest}"


def display_name(path: Path) -> str:
    """A path as ids and messages give it: posix, seen from the working directory where it lies below that."""
    text = os.path.normpath(path)
    if path.is_absolute():
        here = str(Path.cwd())
        if text.startswith(here + os.sep):
            text = text[len(here) + 1 :]
    return text.replace(os.sep, "/")


def folder_of(name: str) -> str:
    """The folder of a case, as its name gives it; `.` at the top."""
    return name.rpartition("/")[0] or ("/" if name.startswith("/") else ".")
