"""The shape of an array in a NumPy file, from its header alone; pickles are never read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from harness.errors import did_you_mean

Shape = tuple[int, ...]


class FileRefused(ValueError):
    """A file that holds no array of numbers."""


def header_shape(file: str, key: str) -> Shape:
    """The shape of the array in an `.npy` file, or of member `key` of an `.npz`. Reads headers alone, never a pickle."""
    path = Path(file)
    try:
        if not path.is_file():
            raise FileRefused(f"{file} is no file" if path.exists() else f"there is no file {file}")
        if file.endswith(".npz"):
            return _member_shape(path, file, key)
        if not file.endswith(".npy"):
            raise FileRefused(f"{file} is neither .npy nor .npz")
        if key:
            raise FileRefused(f"{file} holds one array, so no key is possible")
        with path.open("rb") as stream:
            shape, size = _header(stream, file)
            rest = path.stat().st_size - stream.tell()
    except FileRefused:
        raise
    except Exception as error:  # on damaged files NumPy, zipfile, zlib and struct each raise errors of their own
        raise FileRefused(f"{file} is no readable NumPy file: {error}") from None
    if rest != size:
        raise FileRefused(f"{file} is damaged: {rest} bytes of data where its header announces {size}")
    return shape


def _member_shape(path: Path, file: str, key: str) -> Shape:
    import zipfile  # seldom needed, and slow to import

    with zipfile.ZipFile(path) as archive:
        names = [item.removesuffix(".npy") for item in archive.namelist()]
        if key not in names:
            held = ", ".join(names) or "nothing"
            raise FileRefused(f"{file} has no array {key!r}{did_you_mean(key, names)}; it has: {held}")
        member = archive.getinfo(archive.namelist()[names.index(key)])
        with archive.open(member) as stream:
            shape, size = _header(stream, f"{file}, array {key!r},")
            rest = member.file_size - stream.tell()
    if rest != size:
        raise FileRefused(f"{file} is damaged: array {key!r} has {rest} bytes of data, its header announces {size}")
    return shape


def _header(stream: IO[bytes], file: str) -> tuple[Shape, int]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(stream)
    else:
        raise FileRefused(f"{file} has npy format {version}, which is for structured arrays")
    check_numbers(dtype, file)
    return tuple(int(size) for size in shape), math.prod(shape) * dtype.itemsize


def check_numbers(dtype: np.dtype[Any], file: str) -> None:
    """Raise FileRefused unless `dtype` is of real numbers or truth values."""
    if dtype.kind not in "fiub":
        raise FileRefused(f"{file} holds {dtype}, which are no real numbers")
