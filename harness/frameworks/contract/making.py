"""A program as its side names it: an object, or `file.py:name` of a model, of a class or function that makes one, of a function.

What a target makes is made once a process, from one seed, and kept.
"""

import contextlib
import random
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Tuple

import numpy as np

from harness.frameworks.contract.calling import needs_inputs
from harness.frameworks.contract.own_files import load_object
from harness.frameworks.contract.programs import ProgramError

#: The seed under which a target that makes a model makes it.
SEED = 0

_MODELS: Dict[str, Any] = {}


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    """No context."""
    yield


def thing_of(
    target: Any,
    inputs: Dict[str, Any],
    is_model: Callable[[Any], bool],
    quiet: Callable[[], ContextManager[Any]] = nothing,
) -> Tuple[Any, str]:
    """What is called (or a tuple that stands for it), and its name. `quiet` is around the making of a model."""
    thing = load_object(target) if isinstance(target, str) else target
    name = target if isinstance(target, str) else type(target).__name__
    makes = isinstance(target, str) and callable(thing) and not is_model(thing)
    if makes and (isinstance(thing, type) or not needs_inputs(thing, inputs)):
        if target not in _MODELS:
            with global_seeds(), quiet():
                _MODELS[target] = thing()
        thing = _MODELS[target]
    if not callable(thing) and not isinstance(thing, tuple):
        raise ProgramError("%s is %s, which cannot be called" % (name, type(thing).__name__))
    return thing, name


@contextlib.contextmanager
def global_seeds() -> Iterator[None]:
    """Python's and NumPy's generators begin from SEED, and are put back: Keras takes the seeds of its layers from there."""
    before = random.getstate(), np.random.get_state()
    random.seed(SEED)
    np.random.seed(SEED)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


class Generators:
    """What has been drawn, since this was made, from generators that no framework owns."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> Tuple[Any, Any, Any]:
        numpy: Any = np.random.get_state()
        return random.getstate(), numpy[1].tobytes(), numpy[2]

    def notes(self) -> List[str]:
        """A line for each."""
        now, found = self._now(), []
        if now[0] != self._before[0]:
            found.append("draws from Python's `random`, which cannot be replayed")
        if now[1:] != self._before[1:]:
            found.append("draws from NumPy's global generator, which cannot be replayed")
        return found
