"""Case files: reading them with positions, checking them, expanding their matrix, making their arrays."""

from harness.cases.filling import materialise, numpy_dtype, recorded_arrays
from harness.cases.loading import iterate, load, load_one

__all__ = ["iterate", "load", "load_one", "materialise", "numpy_dtype", "recorded_arrays"]
