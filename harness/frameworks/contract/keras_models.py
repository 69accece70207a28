"""A Keras model that is observed, whichever Keras it is of and whatever it runs on: its variables, its seeds, how it is called.

Keras is never imported here: who has a model has imported it.
"""

import contextlib
import importlib
import inspect
import os
import sys
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from harness.frameworks.contract.programs import ProgramError

#: The part of a path by which a seed generator's state is known.
SEEDS = "seed_generator"


def is_keras(thing: Any) -> bool:
    """Whether something is a layer or model of Keras 3, tf_keras or TensorFlow's own Keras."""
    if isinstance(thing, type):
        return False
    for cls in type(thing).__mro__:
        if cls.__module__.partition(".")[0] in ("keras", "tf_keras") or ".python.keras." in cls.__module__:
            return hasattr(thing, "call") and hasattr(thing, "weights")
    return False


def is_keras3(thing: Any) -> bool:
    """Whether it is a layer or model of Keras 3, which runs on several backends."""
    return is_keras(thing) and any(cls.__module__.startswith("keras.src.layers.") for cls in type(thing).__mro__)


@contextlib.contextmanager
def phase(thing: Any, training: bool) -> Iterator[None]:
    """Keras 2's learning phase, by which layers know the mode where a model's `call` takes no `training`; Keras 3 has none."""
    module = sys.modules.get("tf_keras")
    if not is_keras(thing) or is_keras3(thing) or module is None:
        yield
        return
    with importlib.import_module("tf_keras.src.backend").learning_phase_scope(int(training)):
        yield


def require(thing: Any, backend: str) -> None:
    """Raise ProgramError where a model of Keras 3 runs on another backend than its side's framework."""
    if not is_keras3(thing):
        return
    found = backend_of_process(backend)
    if found != backend:
        said = os.environ.get("KERAS_BACKEND", "")
        words = (found, backend, said, found)
        raise ProgramError(
            "is a Keras model on %s, and its side is for %s: KERAS_BACKEND is %r here; say %s:file.py:name" % words
        )


def backend_of_process(otherwise: str) -> str:
    """What Keras 3 runs on in this process."""
    module = sys.modules.get("keras")
    found = getattr(getattr(module, "backend", None), "backend", None)
    return str(found()) if callable(found) else otherwise


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).partition(":")[0]


def variables(thing: Any) -> Dict[str, Any]:
    """A model's variables by dotted path, without the states of its seed generators; a path that stands twice gets a number."""
    found: Dict[str, Any] = {}
    for variable in getattr(thing, "weights", None) or getattr(thing, "variables", None) or ():
        path = _path(variable).replace("/", ".")
        if SEEDS in path:
            continue
        name, number = path, 0
        while name in found:
            number += 1
            name = "%s_%d" % (path, number)
        found[name] = variable
    return found


def seeds(thing: Any) -> List[Any]:
    """The states of a model's seed generators."""
    return [variable for variable in getattr(thing, "variables", ()) if SEEDS in _path(variable)]


def seed(thing: Any, number: int) -> None:
    """Let every seed generator of a model begin from a number."""
    for position, variable in enumerate(seeds(thing)):
        kind = getattr(variable.dtype, "name", variable.dtype)
        variable.assign(np.array([number, position]).astype(str(kind)))


def arguments(thing: Any, inputs: Dict[str, Any], training: bool) -> Tuple[List[Any], Dict[str, Any]]:
    """A model is called with one tensor, with its parameters by name, or a functional one with a list by its inputs' names."""
    names = list(inspect.signature(thing.call).parameters)
    # Keras 3 takes the word always, and hands it to the layers inside.
    named = {"training": training} if "training" in names or is_keras3(thing) else {}
    if len(inputs) == 1:
        return list(inputs.values()), named
    if all(name in names for name in inputs):
        return [], dict(inputs, **named)
    expected = [getattr(item, "name", "") for item in getattr(thing, "inputs", None) or ()]
    if set(expected) == set(inputs):
        return [[inputs[name] for name in expected]], named
    return [list(inputs.values())], named


def build(thing: Any, inputs: Dict[str, Any]) -> None:
    """Call a model that has no variables yet: what their initial values draw is no dropout."""
    if not getattr(thing, "built", True):
        positional, named = arguments(thing, inputs, False)
        thing(*positional, **named)


def scope() -> str:
    """The path of the layer that runs, where Keras 3 says so."""
    module = sys.modules.get("keras.src.backend.common.name_scope")
    return "" if module is None else str(module.current_path() or "").replace("/", ".")
