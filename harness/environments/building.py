"""Building named environments with uv: a virtual environment of an interpreter on this machine, with exact packages.

A build happens in a temporary folder beside its place and is moved there when it is complete, so an interrupted one leaves no
half-made environment. uv takes packages from whatever index it is set up for; the description names none.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.environments import (
    COMPLETE,
    Description,
    descriptions,
    folder,
    place_of,
    python_of,
    why_not,
)
from harness.environments.interpreters import find_interpreters
from harness.errors import HarnessError, UserError, did_you_mean


class BuildError(HarnessError):
    """An environment could not be built: no interpreter, no uv, or a package that cannot be installed."""


def describe(name: str) -> Description:
    """The description of an environment. Raises UserError for an unknown name."""
    known = descriptions()
    if name not in known:
        listing = ", ".join(known)
        raise UserError(f"no environment {name!r} is described{did_you_mean(name, known)}; there are: {listing}")
    return known[name]


def uv() -> list[str]:
    """The command that runs uv: this environment's, or the one on PATH. Raises BuildError where there is none."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise BuildError("uv is not installed: pip install uv")
    return [found]


def interpreter(version: str) -> str:
    """An interpreter of that minor version on this machine. Raises BuildError where there is none."""
    for one in reversed(find_interpreters()):
        if not one["problem"] and one["version"].split(".")[:2] == version.split("."):
            return str(one["path"])
    raise BuildError(f"no Python {version} on this machine (looked on PATH and among pyenv's versions)")


def create(name: str, say: Callable[[str], None] = lambda _: None, *, anew: bool = False) -> Path:
    """Build an environment and return its folder; one that is there already is left alone, unless `anew`.

    Raises UserError for an unknown name, BuildError where it cannot be built.
    """
    description = describe(name)
    place = place_of(name, description)
    if (place / COMPLETE).is_file() and not anew:
        return place
    python = interpreter(description.python)
    folder().mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder()))
    try:
        say(f"{name}: Python {description.python} with {len(description.packages)} packages")
        _build(work, python, description)
        shutil.rmtree(place, ignore_errors=True)
        work.rename(place)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return place


def _build(work: Path, python: str, description: Description) -> None:
    """Make the environment in `work` and record what was installed there."""
    tool = uv()
    # Relocatable: it is moved into its place when it is complete.
    _call([*tool, "venv", "--quiet", "--allow-existing", "--relocatable", "--python", python, str(work)])
    target = ["--python", str(python_of(work))]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(description.packages) + "\n")
        listing.flush()
        # All packages are pinned, so nothing is resolved that the description does not name.
        _call([*tool, "pip", "install", "--quiet", "--no-deps", *target, "-r", listing.name])
    frozen = _call([*tool, "pip", "freeze", *target]).split("\n")
    version = _call([str(python_of(work)), "-c", "import platform; print(platform.python_version())"]).strip()
    record = {
        "python": version,
        "interpreter": python,
        "packages": [line for line in frozen if line],
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    (work / COMPLETE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _call(command: list[str]) -> str:
    variables = {
        key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key != "VIRTUAL_ENV"
    }
    done = subprocess.run(command, capture_output=True, text=True, env=variables, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise BuildError(f"{Path(command[0]).name} {command[1]} ended with exit status {done.returncode}:\n{words}")
    return done.stdout


def remove(name: str) -> bool:
    """Remove what was built of an environment, under older descriptions too; whether there was anything."""
    describe(name)
    found = False
    if folder().is_dir():
        for path in folder().iterdir():
            if path.name.rpartition("-")[0] == name and path.is_dir():
                shutil.rmtree(path)
                found = True
    return found


def problem(name: str) -> str:
    """Why an environment cannot be built or used on this machine; empty where it is there."""
    description = describe(name)
    if (place_of(name, description) / COMPLETE).is_file():
        return ""
    with contextlib.suppress(BuildError):
        interpreter(description.python)
        return why_not(name)
    return f"no Python {description.python} on this machine"
