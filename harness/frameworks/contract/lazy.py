"""A module of a framework by its name, imported when something of it is first used.

Adapters are read by the host, and by workers that have another framework or Python 3.6 and NumPy alone.
"""

import importlib
from typing import Any


class Lazy:
    """Stands for the module in the code that uses it: `jnp: Any = Lazy("jax.numpy")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Whoever looks objects over (inspect, pytest) asks for such names; no user of the module does.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
