"""Find the Python interpreters of a machine: this one, those on PATH, and pyenv's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Runs in interpreters as old as Python 3.4. Version files are read instead of importing NumPy, which is slow.
_QUESTION = """
import json, os, re, sys
numpy = ""
for folder in sys.path:
    if os.path.isdir(os.path.join(folder, "numpy")):
        names = [re.match(r"numpy-([0-9][^-]*)\\.(dist|egg)-info$", name) for name in os.listdir(folder)]
        numpy = ([name.group(1) for name in names if name] or ["?"])[0]
        break
print(json.dumps([list(sys.version_info[:3]), numpy]))
"""
_NAME = re.compile(r"python3(\.\d+)?$")


def find_interpreters(timeout: float = 10.0) -> list[dict[str, Any]]:
    """Every distinct Python 3 with its version and NumPy, oldest first; one that does not answer has a `problem`."""
    paths = list(_candidates())
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = list(threads.map(lambda path: _ask(path, timeout), paths))
    return sorted(found, key=lambda one: ([int(part) for part in one["version"].split(".") if part], one["path"]))


def _candidates() -> list[str]:
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted((pyenv / "versions").glob("*/bin"))
    seen: dict[str, str] = {str(Path(sys.executable).resolve()): sys.executable}
    for folder in folders:
        if folder.name == "shims":
            continue
        try:
            names = sorted(path for path in folder.iterdir() if _NAME.match(path.name))
        except OSError:
            continue
        for path in names:
            if os.access(path, os.X_OK):
                seen.setdefault(str(path.resolve()), str(path))
    return list(seen.values())


def _ask(path: str, timeout: float) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "path": path,
        "version": "",
        "numpy": "",
        "current": path == sys.executable,
        "problem": "",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [path, "-c", _QUESTION],
            capture_output=True,
            timeout=timeout,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        version, numpy = json.loads(done.stdout)
        answer |= {"version": ".".join(map(str, version)), "numpy": numpy}
    except subprocess.TimeoutExpired:
        answer["problem"] = f"did not answer within {timeout:g} s"
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        answer["problem"] = f"cannot be run: {error}"
    return answer
