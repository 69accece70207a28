"""Making a variant's arrays. Every backend gets these same bytes: made in float64, then rounded once to the dtype.

Random fills come from `numpy.random.Generator(numpy.random.PCG64(seed))`, so that anyone can make them again. Where one rule
makes several weights, each has its own stream, `PCG64([seed, *name.encode()])`: it does not change when another weight joins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.cases.headers import FileRefused, check_numbers
from harness.errors import Problem, UserError
from harness.layers.base import kinds
from harness.records import Arrays, ArraySpec, BackendRef, Variant

#: No format overflows below it; float16 holds numbers up to 65504.
SAFE = 65504.0
#: Arrays of more elements are not made while a case is read.
LOOKED_AT = 100_000


def materialise(variant: Variant) -> tuple[Arrays, Arrays]:
    """Return the variant's inputs and weights by name, in its dtype.

    Raises UserError where a file has changed since the case was loaded, or a value does not fit the dtype.
    """
    dtype = numpy_dtype(variant.dtype)
    integers = kinds()[variant.layer].integer_inputs(variant.config, variant.input_shapes())
    inputs = {
        name: _integers(make(spec), *integers[name], name, spec)
        if name in integers
        else _cast(make(spec), dtype, name, spec, variant)
        for name, spec in variant.inputs.items()
    }
    weights = {name: _cast(make(spec), dtype, name, spec, variant) for name, spec in variant.weights.items()}
    return inputs, weights


def recorded_arrays(backend: BackendRef) -> Arrays:
    """The recorded outputs of a backend by name, float64 as printed. Raises UserError."""
    return {name: make(spec) for name, spec in (backend.recorded or {}).items()}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a case's `dtype`; bfloat16 is that of ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        name = ml_dtypes.bfloat16
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype


def make(spec: ArraySpec) -> np.ndarray:
    """Make one array in float64, C order, shape `spec.shape`. Raises UserError, also where memory does not suffice."""
    try:
        if spec.file:
            return _from_file(spec)
        if spec.values is not None:
            return np.array(spec.values, dtype=np.float64).reshape(spec.shape)
        return _ordered(_fill(spec))
    except MemoryError:
        raise _too_large(spec) from None


def _too_large(spec: ArraySpec) -> UserError:
    size = math.prod(spec.shape)
    message = f"there is not enough memory for shape {list(spec.shape)}: {size:,} elements, {size * 8 / 2**30:.3g} GiB"
    return UserError(Problem(message, spec.place))


def _ordered(array: Any) -> np.ndarray:
    """The array in float64 and C order; np.ascontiguousarray would give one without axes an axis."""
    return np.asarray(array, dtype=np.float64, order="C")


def _fill(spec: ArraySpec) -> np.ndarray:
    count = math.prod(spec.shape)
    if spec.fill in ("zeros", "ones", "constant"):
        return np.full(spec.shape, {"zeros": 0.0, "ones": 1.0, "constant": spec.value}[spec.fill])
    if spec.fill == "arange":
        return np.arange(count, dtype=np.float64).reshape(spec.shape)
    if spec.fill == "linspace":
        return np.linspace(spec.low, spec.high, count).reshape(spec.shape)
    seed = [spec.seed, *spec.stream.encode()] if spec.stream else spec.seed
    generator = np.random.Generator(np.random.PCG64(seed))
    if spec.fill == "uniform":
        return spec.low + (spec.high - spec.low) * generator.random(spec.shape)
    if spec.fill == "normal":
        return spec.mean + spec.stddev * generator.standard_normal(spec.shape)
    if spec.fill == "integers":  # both ends included
        return generator.integers(int(spec.low), int(spec.high), spec.shape, endpoint=True).astype(np.float64)
    raise ValueError(f"no fill {spec.fill!r}")


def _from_file(spec: ArraySpec) -> np.ndarray:
    try:
        loaded = np.load(spec.file, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                loaded = loaded[spec.key]
        check_numbers(loaded.dtype, spec.file)
    except FileRefused as error:
        raise UserError(Problem(str(error), spec.place)) from None
    except MemoryError:
        raise
    except Exception as error:  # on damaged files NumPy, zipfile, zlib and struct each raise errors of their own
        raise UserError(Problem(f"{spec.file} is no readable NumPy file: {error}", spec.place)) from None
    if loaded.shape != spec.shape:
        message = f"{spec.file} has shape {list(loaded.shape)} now; when the case was loaded it had {list(spec.shape)}"
        raise UserError(Problem(message, spec.place))
    return _ordered(loaded)


def overflowing(spec: ArraySpec, dtype: str) -> float | None:
    """The first value of what is written out in the case that is too large for the dtype; of files and other fills None."""
    values = spec.value if spec.fill == "constant" else spec.values
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if float(np.max(np.abs(array), initial=0.0)) < SAFE:
        return None
    with np.errstate(over="ignore"):
        lost = array[np.isinf(array.astype(numpy_dtype(dtype))) & np.isfinite(array)]
    return float(lost[0]) if lost.size else None


def misfit(spec: ArraySpec, low: int, high: int, name: str) -> str:
    """What is wrong with an array of the case that should hold integers of [low, high]; of files and large arrays ""."""
    size = math.prod(spec.shape)
    if spec.file or size > LOOKED_AT or (spec.values is not None and np.size(spec.values) != size):
        return ""
    return _misfit(make(spec), low, high, name)


def _misfit(array: np.ndarray, low: int, high: int, name: str) -> str:
    wrong = ~((array == np.floor(array)) & (array >= low) & (array <= high))
    if not wrong.any():
        return ""
    return f"{name} holds {array[wrong].ravel()[0]:g}; its values are integers from {low} to {high}"


def _integers(array: np.ndarray, low: int, high: int, name: str, spec: ArraySpec) -> np.ndarray:
    """The array as int64. Raises UserError where a value is no integer of [low, high]."""
    message = _misfit(array, low, high, name)
    if message:
        raise UserError(Problem(message, spec.place))
    return array.astype(np.int64)


def _cast(array: np.ndarray, dtype: np.dtype[Any], name: str, spec: ArraySpec, variant: Variant) -> np.ndarray:
    if array.dtype == dtype:
        return array
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            cast = array.astype(dtype)
            lost = np.isinf(cast) & np.isfinite(array)
    except MemoryError:
        raise _too_large(spec) from None
    if lost.any():
        value = array[lost].ravel()[0]
        raise UserError(Problem(f"{name} holds {value:g}, which is too large for {variant.dtype}", spec.place))
    return cast
