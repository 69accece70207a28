"""Random streams: NumPy oracles that predict every framework's dropout masks from the seed, bit for bit.

`predict` returns the mask that an API draws, `predict_normal` its normals to a few ulps; `find` says which stream,
seed, call and rate give a mask. The bit generators (`philox`, `threefry`, `mt19937`, `mcg31`) are importable on Python
3.6 with NumPy alone, so this module loads the rest only when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.streams.mask import Mask as Mask
    from harness.streams.mask import Unpredictable as Unpredictable
    from harness.streams.normals import Noise as Noise
    from harness.streams.prediction import predict as predict
    from harness.streams.prediction import predict_normal as predict_normal
    from harness.streams.search import find as find

_HOMES = {
    "predict": "prediction",
    "predict_normal": "prediction",
    "Noise": "normals",
    "find": "search",
    "Mask": "mask",
    "Unpredictable": "mask",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (Python 3.7 and newer; older workers import the generators only)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(__name__ + "." + _HOMES[name]), name)
