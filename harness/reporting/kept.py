"""`arrays.npz` of a stored run: the arrays of comparisons whose values differ, written and read (harness.comparison.kept).

Its index stands in cases.json, under each case's `kept`:

    backend, order   whose arrays they are
    given            SHA-256 of the inputs and weights
    left_out         why there are none, else ""
    passes           role, seed, mode, gradients; `outputs` and `gradient`: [name, entry, dtype]; `draws`: [key, entry, dtype,
                     kind, rule, params]

An entry is a member of arrays.npz; bfloat16 lies there as uint16.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.cases import numpy_dtype
from harness.records import Arrays, Kept, Pass, PassResult, Role
from harness.tape import Draw

#: A run keeps no more bytes of arrays than this.
MOST = 256 << 20


class KeptWriter:
    """Writes the archive and collects its index by case."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._left = MOST
        self.index: dict[int, list[dict[str, Any]]] = {}

    def close(self) -> None:
        """Finish the archive."""
        self._archive.close()

    def add(self, case: int, order: int, label: str, kept: Kept) -> None:
        """Store one comparison's arrays, or why there are none."""
        folder = f"{case}/{hashlib.sha256(label.encode(errors='backslashreplace')).hexdigest()[:8]}"
        before, files = self._left, dict(_files(folder, kept))
        self._left -= sum(array.nbytes for array in files.values())
        left_out = kept.left_out
        if self._left < 0:
            self._left, files, left_out = before, {}, f"the run has kept {MOST >> 20} MiB already"
        for name, array in files.items():
            self._save(name, array)
        passes = (
            [] if left_out else [_described(f"{folder}/{number}", *item) for number, item in enumerate(kept.passes)]
        )
        self._add(case, {"backend": label, "order": order, "given": kept.given, "left_out": left_out, "passes": passes})

    def adopt(self, folder: Path, archive: str, entries: list[dict[str, Any]], case: int) -> None:
        """Take over a case's arrays from another stored run."""
        for entry in entries:
            with np.load(folder / archive, allow_pickle=False) as stored:
                for name in _entries(entry):
                    self._save(f"{case}/{name.partition('/')[2]}", stored[name])
            self._add(case, _moved(entry, case))

    def _add(self, case: int, entry: dict[str, Any]) -> None:
        self.index.setdefault(case, []).append(entry)

    def _save(self, entry: str, array: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        # A fixed date keeps the archive the same for the same arrays.
        self._archive.writestr(zipfile.ZipInfo(f"{entry}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)

    def described(self, case: int) -> list[dict[str, Any]]:
        """A case's index, in the order of its backends."""
        return sorted(self.index.get(case, ()), key=lambda entry: (entry["order"], entry["backend"]))


def restore(path: Path | IO[bytes], entry: Mapping[str, Any]) -> Kept:
    """A comparison's arrays. Raises KeyError, ValueError or OSError where the archive is not what the index says."""
    if entry["left_out"]:
        return Kept(left_out=entry["left_out"])
    with np.load(path, allow_pickle=False) as stored:

        def array(name: str, dtype: str) -> np.ndarray:
            found: np.ndarray = stored[name]
            return found if str(found.dtype) == dtype else found.view(numpy_dtype(dtype))

        def arrays(listed: list[list[str]]) -> Arrays:
            return {name: array(where, dtype) for name, where, dtype in listed}

        passes = tuple(
            (
                Pass(Role(one["role"]), one["seed"], one["mode"], None, one["gradients"]),
                PassResult(
                    arrays(one["outputs"]),
                    arrays(one["gradient"]),
                    {
                        key: Draw(kind, array(where, dtype), rule, params, key)
                        for key, where, dtype, kind, rule, params in one["draws"]
                    },
                ),
            )
            for one in entry["passes"]
        )
    return Kept(passes, entry["given"])


def _parts(result: PassResult) -> Iterator[tuple[str, str, np.ndarray]]:
    """(part, name, array) of all that a pass gave."""
    for name, array in result.outputs.items():
        yield "outputs", name, array
    for name, array in result.gradients.items():
        yield "gradient", name, array
    for name, draw in result.draws.items():
        yield "draws", name, draw.values


def _files(folder: str, kept: Kept) -> Iterator[tuple[str, np.ndarray]]:
    """The archive's members: names and plain arrays."""
    for number, (_, result) in enumerate(kept.passes):
        for position, (part, _, array) in enumerate(_parts(result)):
            plain = array.dtype.kind in "fiub" and array.dtype.isbuiltin == 1
            yield f"{folder}/{number}/{part}/{position}", array if plain else array.view(f"u{array.dtype.itemsize}")


def _described(folder: str, one: Pass, result: PassResult) -> dict[str, Any]:
    found: dict[str, Any] = {"role": one.role, "seed": one.seed, "mode": one.mode, "gradients": one.gradients}
    found |= {"outputs": [], "gradient": [], "draws": []}
    for position, (part, name, array) in enumerate(_parts(result)):
        item: list[Any] = [name, f"{folder}/{part}/{position}", array.dtype.name]
        if part == "draws":
            draw = result.draws[name]
            item += [draw.kind, draw.rule, {key: float(value) for key, value in draw.params.items()}]
        found[part].append(item)
    return found


def _entries(entry: Mapping[str, Any]) -> Iterator[str]:
    for one in entry["passes"]:
        for part in ("outputs", "gradient", "draws"):
            yield from (item[1] for item in one[part])


def _moved(entry: Mapping[str, Any], case: int) -> dict[str, Any]:
    """The index of a case's arrays under another number of the case."""

    def moved(item: list[Any]) -> list[Any]:
        return [item[0], f"{case}/{item[1].partition('/')[2]}", *item[2:]]

    passes = [
        {**one, **{part: [moved(item) for item in one[part]] for part in ("outputs", "gradient", "draws")}}
        for one in entry["passes"]
    ]
    return {**entry, "passes": passes}
