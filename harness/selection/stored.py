"""Cases by name: those of a stored run, and those of a list of ids that a word on the command line means."""

from __future__ import annotations

import fnmatch
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from harness.cases.loading import SUFFIXES, display_name, is_python, python_problem
from harness.errors import Problem, UserError, did_you_mean

#: Of a stored run (harness.reporting.store): the file that says that it is one, and the file that names its cases.
_RUN, _CASES, _FORMAT = "run.json", "cases.json", "parity-harness run"


def is_run(path: str | Path) -> bool:
    """Whether a folder is a stored run, by what its run.json says of itself."""
    try:
        described = json.loads((Path(path) / _RUN).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and described.get("format") == _FORMAT


def cases_of(path: str | Path) -> list[str]:
    """The ids of a stored run's cases, in its order. Raises UserError where they cannot be read."""
    file = Path(path) / _CASES
    packed = file.with_name(f"{_CASES}.gz")
    try:
        text = gzip.decompress(packed.read_bytes()) if packed.is_file() and not file.exists() else file.read_bytes()
        return [str(case["id"]) for case in json.loads(text)["cases"]]
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise UserError(Problem(f"{path}: not a stored run: {_CASES} holds no cases ({error!r})")) from error


def names_cases(word: str) -> bool:
    """Whether a word is meant as a case, where a stored run might stand too: an id, a case file, or a folder of them."""
    path = Path(word.partition("::")[0])
    if "::" in word or path.suffix in SUFFIXES or is_python(path):
        return True
    return path.is_dir() and not is_run(path) and any(path.rglob("*.y*ml"))


def meant(word: str, ids: Iterable[str]) -> list[str]:
    """Those of some ids that a word means: an id, a case file, a folder, a pattern with `*` and `?`, or a stored run.

    The file or folder need not be there any more. Raises UserError where it means none.
    """
    known = list(ids)
    if is_run(word):
        of_run = set(cases_of(word))
        return [one for one in known if one in of_run]
    path, sign, variant = word.partition("::")
    if is_python(Path(path)):
        raise UserError(python_problem(Path(path)))
    name = display_name(Path(path))
    whole = f"{name}{sign}{variant}"
    pattern = whole.replace("[", "[[]")
    inside = "" if name == "." else f"{name}/"
    found = [
        one
        for one in known
        if one == whole
        or (not sign and (one.partition("::")[0] == name or one.startswith(inside)))
        or fnmatch.fnmatchcase(one, pattern)
    ]
    if not found:
        near = did_you_mean(whole, [*known, *dict.fromkeys(one.partition("::")[0] for one in known)])
        raise UserError(f"{word!r} is no case of this run{near}")
    return found
