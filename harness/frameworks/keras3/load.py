"""Loading Keras 3 on the backend of this worker: one process has one Keras backend.

Import policy: Keras and the frameworks are imported inside functions only.
"""

import importlib
import os
import sys
from typing import Any

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.tensorflow.arrays import lean_imports
from harness.frameworks.tensorflow.arrays import load as load_tensorflow

#: The worker's backend by name is Keras's backend by name.
BACKENDS = ("tensorflow", "torch", "jax")


def load(backend: str) -> Any:
    """Import keras on `backend` and return it. Raises Unsupported where this process has Keras on another backend."""
    if "keras" not in sys.modules or not hasattr(sys.modules["keras"], "backend"):
        os.environ.setdefault("KERAS_BACKEND", backend)
        if backend == "tensorflow":
            load_tensorflow("keras")
        elif backend == "torch":
            from harness.frameworks.torch.arrays import torch_module

            torch_module()
            with lean_imports():
                importlib.import_module("keras")
        else:
            importlib.import_module("keras")
    keras = sys.modules["keras"]
    loaded = keras.backend.backend()
    if loaded != backend:
        raise Unsupported(
            "this process runs Keras on %s, the job wants %s: set KERAS_BACKEND=%s" % (loaded, backend, backend)
        )
    return keras
