"""What a library that runs on several backends runs on: what the file itself sets, else what the environment says."""

from __future__ import annotations

import ast
import os
import sys

from harness.frameworks.contract.framework import Framework, backends, frameworks

#: Calls that set a variable of the environment.
SETTING = ("setdefault", "putenv")


def libraries() -> list[Framework]:
    """The libraries that a variable of the environment gives their backend."""
    return [record for record in frameworks().values() if record.chosen_by]


def of_file(tree: ast.Module, imports: set[str]) -> str:
    """The backend that a program's file chooses for such a library, or that the environment does; "" where it imports none."""
    for record in libraries():
        if record.packages[0] in imports:
            said = set_in(tree, record.chosen_by)
            if said in record.backends:
                return said
    return ""


def of_environment(package: str) -> str:
    """The backend of a library's package where nothing but the environment says it; "" for another package."""
    for record in libraries():
        if record.packages[0] == package:
            said = os.environ.get(record.chosen_by, record.backends[0])
            return said if said in record.backends else record.backends[0]
    return ""


def of_process(package: str) -> str:
    """The backend that a library has taken in this process; "" where it has none, or is not imported."""
    if package not in [record.packages[0] for record in libraries()]:
        return ""
    asked = getattr(getattr(sys.modules.get(package), "backend", None), "backend", None)
    found = str(asked()) if callable(asked) else ""
    return found if found in backends() else ""


def set_in(tree: ast.Module, variable: str) -> str:
    """What a file sets a variable of the environment to, by `os.environ[…] = …`, `setdefault`, `putenv`; "": nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            keys = [target.slice for target in node.targets if isinstance(target, ast.Subscript)]
            if any(isinstance(key, ast.Constant) and key.value == variable for key in keys):
                return str(node.value.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SETTING:
            values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(values) == 2 and values[0] == variable:
                return str(values[1])
    return ""
