"""What a case says about an array, turned into an ArraySpec: its shape is known, its values are not made yet.

Of a file only the header is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from harness.cases.headers import FileRefused, Shape, header_shape
from harness.cases.problems import Complaints, show, validate
from harness.cases.problems import Path as Where
from harness.cases.schema import FILLS, FileEntry, FillEntry, ValuesEntry
from harness.errors import Place, did_you_mean
from harness.records import ArraySpec

#: Elements of one array: 2**30 float64 are 8 GiB.
MAX_ELEMENTS = 1 << 30
#: Elements of a case's inputs, weights, outputs and draws together.
MAX_TOGETHER = 2 * MAX_ELEMENTS
#: Every framework's arrays can have as many axes, NumPy 1.x' at most 32.
MAX_RANK = 16
#: Beyond it a float64 holds no odd number.
MAX_INTEGER = 1 << 53


class ArrayReader:
    """Resolves what a case says about its arrays.

    folder  of the case, posix; files are seen from there.
    place   tells where in the case a path stands.
    """

    def __init__(self, folder: str, place: Callable[[Where], Place], complaints: Complaints) -> None:
        self.folder = folder
        self.place = place
        self.complaints = complaints
        self._rule: tuple[Any, FillEntry | None, Place] | None = None

    def spec(
        self, raw: Any, where: Where, name: str, *, shape: Shape | None = None, stream: str = ""
    ) -> ArraySpec | None:
        """Resolve one array, or complain and return None.

        raw     a number or nested lists; or a mapping with `values`, `file` or `fill`.
        name    of the input, weight or output; the default key within an `.npz`.
        shape   what the array must have, where that is known; a fill then needs no shape of its own.
        stream  sub-stream of a fill's seed (see harness.cases.filling).
        """
        before = len(self.complaints)
        if not isinstance(raw, Mapping):
            found = self._values(raw, None, where, where)
        elif "file" in raw:
            found = self._file(raw, where, name)
        elif "values" in raw:
            values = validate(ValuesEntry, raw, where, self.complaints)
            found = None if values is None else self._values(values.values, values.shape, (*where, "values"), where)
        elif "fill" in raw or "shape" in raw:
            found = self._fill(raw, where, shape, stream)
        else:
            near = next((did_you_mean(str(key), ("fill", "file", "values")) for key in raw), "")
            self.complaints.add(where, f"needs one of fill, file or values{near}")
            found = None
        if found is None or len(self.complaints) > before:
            return None
        if shape is not None and found.shape != shape:
            message = f"{name} must have shape {list(shape)}, but this has {list(found.shape)}"
            self.complaints.add(where, message)
            return None
        if len(found.shape) > MAX_RANK:
            self.complaints.add(where, f"has {len(found.shape)} axes; at most {MAX_RANK} are possible")
            return None
        if math.prod(found.shape) > MAX_ELEMENTS:
            subject = "" if where[-1:] == (name,) else f"{name} "
            message = f"{subject}would have {math.prod(found.shape):,} elements; at most {MAX_ELEMENTS:,} are possible"
            self.complaints.add(where, message)
            return None
        return found

    def _fill(self, raw: Mapping[str, Any], where: Where, shape: Shape | None, stream: str) -> ArraySpec | None:
        if self._rule is None or self._rule[0] is not raw:  # one rule may make many weights
            self._rule = (raw, self._fill_entry(raw, where), self.place(where))
        _, entry, place = self._rule
        if entry is None:
            return None
        own = tuple(entry.shape) if entry.shape is not None else shape
        if own is None:
            self.complaints.add((*where, "shape"), "is required")
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
            place=place,
        )

    def _fill_entry(self, raw: Mapping[str, Any], where: Where) -> FillEntry | None:
        before = len(self.complaints)
        entry = validate(FillEntry, raw, where, self.complaints)
        if entry is None:
            return None
        takes = FILLS[entry.fill]
        for key in raw:
            if key not in takes and key not in ("fill", "shape"):
                self.complaints.add((*where, key), f"{entry.fill} takes no {key}", key=True)
        if entry.low > entry.high:
            end = "low" if "low" in raw else "high"
            self.complaints.add((*where, end), f"low is {entry.low:g}, above high, which is {entry.high:g}")
        elif math.isinf(entry.high - entry.low):
            self.complaints.add(where, f"from {entry.low:g} to {entry.high:g} is further than a float64 can say")
        if entry.fill == "integers" and not (entry.low.is_integer() and entry.high.is_integer()):
            self.complaints.add(
                where, f"integers go from one whole number to another, not {entry.low:g} to {entry.high:g}"
            )
        elif entry.fill == "integers":
            for end in ("low", "high"):
                if abs(getattr(entry, end)) > MAX_INTEGER:
                    message = f"is beyond ±2**53 = ±{MAX_INTEGER:,}, where a float64 no longer holds every integer"
                    self.complaints.add((*where, end), message)
        return entry if len(self.complaints) == before else None

    def _values(self, values: Any, shape: list[int] | None, at: Where, where: Where) -> ArraySpec | None:
        """An array written out; `at` is where the values stand, `where` the whole entry."""
        found = _literal_shape(values, at, self.complaints)
        if found is None:
            return None
        if not all(found):
            self.complaints.add(at, "holds no values")
            return None
        if shape is not None and math.prod(shape) != math.prod(found):
            self.complaints.add((*where, "shape"), f"{math.prod(found)} values do not fill the shape {shape}")
            return None
        return ArraySpec(shape=found if shape is None else tuple(shape), values=values, place=self.place(where))

    def _file(self, raw: Mapping[str, Any], where: Where, name: str) -> ArraySpec | None:
        entry = validate(FileEntry, raw, where, self.complaints)
        if entry is None:
            return None
        file = resolve_file(self.folder, entry.file)
        key = entry.key or (name if file.endswith(".npz") else "")
        try:
            shape = header_shape(file, key)
        except FileRefused as error:
            self.complaints.add((*where, "file"), str(error))
            return None
        if entry.shape is not None and tuple(entry.shape) != shape:
            self.complaints.add((*where, "shape"), f"the file has shape {list(shape)}, not {entry.shape}")
            return None
        if not all(shape):
            self.complaints.add((*where, "file"), f"{file} holds no values: its shape is {list(shape)}")
            return None
        return ArraySpec(shape=shape, file=file, key=key, place=self.place(where))


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


def resolve_file(folder: str, file: str) -> str:
    """A file named in a case, seen from the working directory."""
    return str(PurePosixPath(folder) / file)
