"""Environments: an interpreter and what is installed in it.

The unnamed environment is the one the host runs in. A named one is described in `environments.toml` (the shipped file, and one
of that name in the current folder) and built outside the repository by `harness env create` (harness.environments.building).
Workers of every environment get the same variables, which make a framework quiet and repeatable and change nothing it computes.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import Place, Problem, UserError, did_you_mean
from harness.frameworks.contract.framework import backends, variables

SHIPPED = Path(__file__).with_name("environments.toml")
OWN = "environments.toml"
#: Written last by a build, so that a folder without it is not an environment: it records what was installed.
COMPLETE = "environment.json"


class Description(BaseModel):
    """What an environment shall be. `python` is a minor version such as "3.6"; `packages` are exact requirements."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    about: str = ""
    python: str = Field(pattern=r"^3\.\d+$")
    packages: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[^=;\s]+$")]]
    backends: list[str] = Field(default_factory=lambda: list(backends()))

    @property
    def key(self) -> str:
        """A hash of all that decides what is installed."""
        content = json.dumps([self.python, sorted(self.packages)])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def has(self, package: str) -> bool:
        """Whether a package is among those to install, `tensorflow-cpu` counting as tensorflow."""
        return self.version(package) is not None

    def version(self, package: str) -> str | None:
        """The version of a package that will be installed; None where it is not among them."""
        pins = {
            name.lower().replace("_", "-"): version
            for name, _, version in (line.partition("==") for line in self.packages)
        }
        wanted = package.lower().replace("_", "-")
        return pins.get(wanted, pins.get(f"{wanted}-cpu"))


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that workers can be started in."""

    name: str
    python: str

    def variables(self, backend: str) -> dict[str, str]:
        """The environment variables of a worker of `backend`."""
        found = dict(os.environ)
        if self.name:
            for name in NOT_PASSED_ON:
                found.pop(name, None)
        found.update(variables(backend))
        found["PYTHONUNBUFFERED"] = "1"
        found.setdefault("PYTHONHASHSEED", "0")
        return found


#: A worker of another interpreter must not see this one's packages; an old TensorFlow ends itself at a flag of XLA's that it does
#: not know (tensorflow/compiler/xla/parse_flags_from_env.cc).
NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "XLA_FLAGS")

CURRENT = Environment("", sys.executable)


@functools.cache
def has(package: str) -> bool:
    """Whether a package can be imported in the current environment; it is found, not imported. Looked for once a process."""
    return importlib.util.find_spec(package) is not None


def folder() -> Path:
    """Where environments are built: HARNESS_ENVIRONMENTS, or the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HARNESS_ENVIRONMENTS") or cache / "parity-harness" / "environments")


def descriptions(own: Path | None = None) -> dict[str, Description]:
    """Every described environment by name; a project's own file adds to the shipped one and wins.

    Raises UserError for a file that is no valid description.
    """
    mine = own or Path(OWN)
    found = dict(_read(SHIPPED))
    if mine.is_file():
        found.update(_read(mine))
    return found


@functools.lru_cache(maxsize=8)
def _parsed(file: Path, _stamp: float) -> Mapping[str, Description]:
    try:
        tree: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(Problem(str(error), Place(str(file)))) from None
    problems, found = [], {}
    for name, entry in tree.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            problems.append(Problem("a name has letters, digits, '.', '_' and '-' only", Place(str(file)), repr(name)))
            continue
        try:
            found[name] = Description.model_validate(entry)
        except ValidationError as error:
            for item in error.errors():
                path = ".".join([name, *map(str, item["loc"])])
                problems.append(Problem(item["msg"], Place(str(file)), path))
    if problems:
        raise UserError(problems)
    return found


def _read(file: Path) -> Mapping[str, Description]:
    return _parsed(file, file.stat().st_mtime)


def place_of(name: str, description: Description) -> Path:
    """The folder of an environment, whether it has been built or not."""
    return folder() / f"{name}-{description.key}"


def python_of(path: Path) -> Path:
    """The interpreter of a built environment."""
    return path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def resolve(name: str) -> Environment | None:
    """The environment of that name, or None where it does not exist on this machine (`why_not` says why)."""
    if not name:
        return CURRENT
    description = descriptions().get(name)
    if description is None:
        return None
    path = place_of(name, description)
    return Environment(name, str(python_of(path))) if (path / COMPLETE).is_file() else None


def why_not(name: str) -> str:
    """Why an environment cannot be used, and how to mend it."""
    known = descriptions()
    if name not in known:
        return f"no environment {name!r}{did_you_mean(name, known)} is described"
    return f"environment {name!r} has not been created: harness env create {name}"


def installed(name: str) -> dict[str, Any]:
    """What a build recorded: interpreter, packages, when. Empty where it has not been built."""
    description = descriptions().get(name)
    if description is None:
        return {}
    try:
        record: dict[str, Any] = json.loads((place_of(name, description) / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record


def offers(name: str, need: str) -> bool:
    """Whether an environment has what an implementation needs: a package, or one with a bound such as `tensorflow<2`."""
    package, bound = split_need(need)
    present = has(package) if not name else version_of(name, package) is not None
    return present and (not bound or within(name, need))


def within(name: str, need: str) -> bool:
    """Whether the version of a needed package lies within the need's bound; true where it is not there at all.

    An API that another version has is no part of this one: a whole backend leaves it out, where a missing package is told.
    """
    package, bound = split_need(need)
    version = version_of(name, package)
    return not bound or version is None or SpecifierSet(bound).contains(version, prereleases=True)


def version_of(name: str, package: str) -> str | None:
    """The version of a package in an environment, without importing it; None where it, or the environment, is not there."""
    if name:
        description = descriptions().get(name)
        return None if description is None else description.version(package)
    return _installed(package)


@functools.cache
def _installed(package: str) -> str | None:
    """The version of a package in the current environment; None where it is not there."""
    for distribution in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def split_need(need: str) -> tuple[str, str]:
    """A need as its package and its bound: `tensorflow<2` is ("tensorflow", "<2")."""
    match = re.match(r"([A-Za-z0-9_.-]*[A-Za-z0-9_])\s*(.*)", need)
    assert match is not None
    return match.group(1), match.group(2)
