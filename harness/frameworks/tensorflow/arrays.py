"""Importing TensorFlow lean, and its tensors from and to NumPy.

Import policy: TensorFlow is imported inside functions only.
"""

import contextlib
import importlib
import os
import sys
from typing import Any, Dict, Iterator

import numpy as np

#: Packages that TensorFlow and tf_keras import when they are there and do without when they are not (jax through
#: tf.lite): together about a quarter of the import time and a fifth of the memory.
HEAVY = ("jax", "pandas")


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Hide the HEAVY packages while something else is imported; what is imported already, or later, is not touched."""
    hidden = [name for name in HEAVY if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, 0) is None:
                del sys.modules[name]


def load(*names: str) -> Any:
    """Import tensorflow, then the named modules, lean; return tensorflow. Its start-up log is left out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with lean_imports():
        tensorflow = importlib.import_module("tensorflow")
        for name in names:
            importlib.import_module(name)
    return tensorflow


def tensors(arrays: Dict[str, np.ndarray]) -> Dict[str, Any]:
    """Arrays as constant tensors of the same dtype."""
    import tensorflow as tf

    return {name: tf.constant(array, dtype=array.dtype.name) for name, array in arrays.items()}


def to_numpy(named: Dict[str, Any]) -> Dict[str, np.ndarray]:
    """Eager tensors as arrays of the same dtype."""
    return {name: np.asarray(tensor.numpy()) for name, tensor in named.items()}


def differentiate(forward: Any, inputs: Dict[str, Any], variables: Dict[str, Any], cotangents: Dict[str, Any]) -> Any:
    """Run `forward(inputs)`, a dict of outputs by name, and pull the cotangents back through it.

    Returns (outputs, gradients) by name; gradients with respect to every floating input and variable, zeros where
    unconnected, and none at all without cotangents. Works eagerly and inside a `tf.function`.
    """
    import tensorflow as tf

    if not cotangents:
        return forward(inputs), {}
    sources = {name: tensor for name, tensor in inputs.items() if tensor.dtype.is_floating}
    with tf.GradientTape() as tape:
        tape.watch(list(sources.values()))
        outputs = forward(inputs)
    names = list(cotangents)
    sources.update(variables)
    found = tape.gradient(
        [outputs[name] for name in names],
        list(sources.values()),
        output_gradients=[cotangents[name] for name in names],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return outputs, dict(zip(sources, found))
