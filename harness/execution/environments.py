"""Environments: an interpreter and what is installed in it.

The unnamed environment is the one the host runs in. Workers of every environment get the same variables, which make a
framework quiet and repeatable but do not change what it computes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass

#: Keras 3 chooses its backend once a process, by this variable's value for a worker's backend.
KERAS_BACKENDS = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax", "numpy": "numpy"}


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that workers can be started in."""

    name: str
    python: str

    def variables(self, backend: str) -> dict[str, str]:
        """The environment variables of a worker of `backend`."""
        variables = dict(os.environ)
        # A worker of another interpreter must not see this one's packages.
        for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
            if self.name:
                variables.pop(name, None)
        variables["KERAS_BACKEND"] = KERAS_BACKENDS[backend]
        variables["PYTHONUNBUFFERED"] = "1"
        variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        variables.setdefault("PYTHONHASHSEED", "0")
        return variables


CURRENT = Environment("", sys.executable)


def has(package: str) -> bool:
    """Whether a package can be imported in the current environment; it is found, not imported."""
    return importlib.util.find_spec(package) is not None


def resolve(name: str) -> Environment | None:
    """The environment of that name, or None where it does not exist on this machine."""
    return None if name else CURRENT
