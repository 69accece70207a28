"""The initial weights of Keras 3 layers that a user's port builds: what an initializer draws is no dropout.

On TensorFlow the tap itself knows (a variable's initial value is made by a function); on torch and JAX Keras draws into a plain
array first, so its variables say when they begin.

Import policy: Keras is not imported here; a port that uses it has.
"""

import contextlib
import sys
from typing import Any, Callable, ContextManager, Iterator


@contextlib.contextmanager
def initial_values(quiet: Callable[[], ContextManager[Any]]) -> Iterator[None]:
    """While inside, Keras's variables get their initial values inside of `quiet()`. Without Keras nothing happens."""
    if not hasattr(sys.modules.get("keras"), "backend"):
        yield
        return
    variable: Any = sys.modules["keras.src.backend"].Variable
    plain = variable._initialize_with_initializer

    def initialize(self: Any, *args: Any, **kwargs: Any) -> Any:
        with quiet():
            return plain(self, *args, **kwargs)

    inherited = "_initialize_with_initializer" not in vars(variable)
    variable._initialize_with_initializer = initialize
    try:
        yield
    finally:
        if inherited:
            del variable._initialize_with_initializer
        else:
            variable._initialize_with_initializer = plain
