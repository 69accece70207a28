"""What a case says about an array, turned into an ArraySpec: its shape is known, its values are not made yet.

Of a file only the header is read.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from harness.cases.problems import Complaints, show, validate
from harness.cases.problems import Path as Where
from harness.cases.schema import FILLS, FileEntry, FillEntry, ValuesEntry
from harness.errors import Place, did_you_mean
from harness.records import ArraySpec

#: Elements of one array: 2**30 float64 are 8 GiB.
MAX_ELEMENTS = 1 << 30
MAX_RANK = 16

Shape = tuple[int, ...]


class FileRefused(ValueError):
    """A file that holds no array of numbers."""


def array_spec(
    raw: Any,
    where: Where,
    name: str,
    folder: str,
    complaints: Complaints,
    *,
    shape: Shape | None = None,
    stream: str = "",
) -> ArraySpec | None:
    """Resolve one array of a case, or complain and return None.

    raw     a number or nested lists; or a mapping with `values`, `file` or `fill`.
    name    of the input, weight or output; the default key within an `.npz`.
    folder  of the case, posix; files are seen from there.
    shape   what the array must have, where that is known; a fill then needs no shape of its own.
    stream  sub-stream of a fill's seed (see harness.cases.filling).
    """
    before = len(complaints)
    if not isinstance(raw, Mapping):
        raw_values, where_values = raw, where
        found = _values_spec(raw_values, None, where_values, complaints)
    elif "file" in raw:
        found = _file_spec(raw, where, name, folder, complaints)
    elif "values" in raw:
        values = validate(ValuesEntry, raw, where, complaints)
        given = None if values is None or values.shape is None else tuple(values.shape)
        found = None if values is None else _values_spec(values.values, given, (*where, "values"), complaints)
    elif "fill" in raw or "shape" in raw:
        found = _fill_spec(raw, where, complaints, shape, stream)
    else:
        near = next((did_you_mean(str(key), ("fill", "file", "values")) for key in raw), "")
        complaints.add(where, f"needs one of fill, file or values{near}")
        found = None
    if found is None or len(complaints) > before:
        return None
    if shape is not None and found.shape != shape:
        complaints.add(where, f"{name} must have shape {list(shape)}, but has {list(found.shape)}")
        return None
    if math.prod(found.shape) > MAX_ELEMENTS:
        count = f"{math.prod(found.shape):,}"
        complaints.add(where, f"would have {count} elements; at most {MAX_ELEMENTS:,} are possible")
        return None
    return found


def _fill_spec(
    raw: Mapping[str, Any], where: Where, complaints: Complaints, shape: Shape | None, stream: str
) -> ArraySpec | None:
    entry = validate(FillEntry, raw, where, complaints)
    if entry is None:
        return None
    takes = ("fill", "shape", *FILLS[entry.fill])
    for key in raw:
        if key not in takes:
            complaints.add((*where, key), f"{entry.fill} takes no {key}", key=True)
    if entry.low > entry.high:
        complaints.add(
            (*where, "low" if "low" in raw else "high"), f"low is {entry.low}, above high, which is {entry.high}"
        )
    own = tuple(entry.shape) if entry.shape is not None else shape
    if own is None:
        complaints.add((*where, "shape"), "is required")
        return None
    if len(own) > MAX_RANK:
        complaints.add((*where, "shape"), f"has {len(own)} axes; at most {MAX_RANK} are possible")
        return None
    return ArraySpec(
        shape=own,
        fill=entry.fill,
        seed=entry.seed,
        stream=stream,
        low=entry.low,
        high=entry.high,
        mean=entry.mean,
        stddev=entry.stddev,
        value=entry.value,
    )


def _values_spec(values: Any, shape: Shape | None, where: Where, complaints: Complaints) -> ArraySpec | None:
    found = _literal_shape(values, where, complaints)
    if found is None:
        return None
    if not all(found):
        complaints.add(where, "holds no values")
        return None
    if shape is not None and math.prod(shape) != math.prod(found):
        count = math.prod(found)
        complaints.add((*where[:-1], "shape"), f"{count} values do not fill the shape {list(shape)}")
        return None
    return ArraySpec(shape=found if shape is None else shape, values=values)


def _literal_shape(values: Any, where: Where, complaints: Complaints) -> Shape | None:
    """The shape of nested lists of numbers; complains about the first row that does not fit."""
    if not isinstance(values, list):
        if isinstance(values, bool) or not isinstance(values, int | float):
            complaints.add(where, f"must be a number or lists of numbers, not {show(values)}")
            return None
        if isinstance(values, int) and abs(values) > 2**1023:
            complaints.add(where, "is too large for a float64")
            return None
        return ()
    first: Shape | None = None
    for index, item in enumerate(values):
        shape = _literal_shape(item, (*where, index), complaints)
        if shape is None:
            return None
        if first is None:
            first = shape
        elif shape != first:
            complaints.add((*where, index), f"has shape {list(shape)}, the entries before it {list(first)}")
            return None
    return (len(values), *(first or ()))


def _file_spec(
    raw: Mapping[str, Any], where: Where, name: str, folder: str, complaints: Complaints
) -> ArraySpec | None:
    entry = validate(FileEntry, raw, where, complaints)
    if entry is None:
        return None
    file = resolve_file(folder, entry.file)
    key = entry.key or (name if file.endswith(".npz") else "")
    try:
        shape = header_shape(file, key)
    except FileRefused as error:
        complaints.add((*where, "file"), str(error))
        return None
    if entry.shape is not None and tuple(entry.shape) != shape:
        complaints.add((*where, "shape"), f"the file has shape {list(shape)}, not {entry.shape}")
        return None
    if not all(shape):
        complaints.add((*where, "file"), f"{file} holds no values: its shape is {list(shape)}")
        return None
    return ArraySpec(shape=shape, file=file, key=key)


def resolve_file(folder: str, file: str) -> str:
    """A file named in a case, seen from the working directory."""
    return str(PurePosixPath(folder) / file)


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
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if isinstance(error, FileRefused):
            raise
        raise FileRefused(f"{file} is no readable NumPy file: {error}") from None
    if rest != size:
        raise FileRefused(f"{file} is damaged: {rest} bytes of data where its header announces {size}")
    return shape


def _member_shape(path: Path, file: str, key: str) -> Shape:
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


def place_of(spec: ArraySpec, place: Place) -> ArraySpec:
    """The same spec with its place in the case."""
    return ArraySpec(**{name: getattr(spec, name) for name in _FIELDS if name != "place"}, place=place)


_FIELDS: Sequence[str] = tuple(ArraySpec.__dataclass_fields__)
