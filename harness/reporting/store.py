"""A stored run, read: one folder that every view is made from.

    run.json       what ran, where, when, and how it ended; sizes and digests of the other files; written last
    cases.json     the cases as they were: id, about, YAML source, which masks belong to them, and measured profiles
    results.jsonl  one row a line (see rows.py)
    results.csv    the same for spreadsheets
    masks.npz      the masks, for pictures
    charts.jsonl   figures to draw, one (case, backend) a line; older runs have none
    arrays.npz     the arrays of what differs in values (see kept.py); older runs have none

A text file may stand compressed, under its name and `.gz`, as it does in a run that is kept in a repository (packing.py).
A folder without a run.json that fits its other files was interrupted or changed, and is refused rather than half-read.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import Problem, UserError
from harness.records import Kept, Row, Verdict
from harness.reporting import files
from harness.reporting.exits import Exit
from harness.reporting.rows import load_row

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "parity-harness run"
#: 2: a row's `seconds` are its own; those of the whole comparison are `comparison_seconds`.
VERSION = 2
RUN, CASES, ROWS, CSV, MASKS = "run.json", "cases.json", "results.jsonl", "results.csv", "masks.npz"
CHARTS = "charts.jsonl"
ARRAYS = "arrays.npz"
DATA = (CASES, ROWS, CSV, MASKS, CHARTS, ARRAYS)
#: Files that an older run may lack; where run.json names one it must be there.
LATER = (CHARTS, ARRAYS)
#: What run.json says of each framework that ran.
FRAMEWORK = ("environment", "package", "version")


@dataclass(frozen=True)
class StoredRun:
    """A run on disk. `meta` is run.json; `cases` and `sources` are cases.json; rows and masks are read as they are
    needed.
    """

    folder: Path
    meta: dict[str, Any]
    cases: list[dict[str, Any]]
    sources: dict[str, str]

    @property
    def exit_code(self) -> Exit:
        """How the run ended."""
        return Exit(self.meta["exit_code"])

    @property
    def counts(self) -> dict[Verdict, int]:
        """Rows by verdict, worst first."""
        return {Verdict(name): count for name, count in self.meta["counts"].items()}

    def rows(self) -> Iterator[Row]:
        """The rows, in the order of the cases. Raises UserError where a line is not a row."""
        path = self.folder / ROWS
        with files.open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield load_row(line)
                except (ValueError, TypeError, KeyError) as error:
                    raise UserError(Problem(f"{path}:{number}: not a row of a stored run ({error!r})")) from error

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame (see `harness.reporting.frame`)."""
        from harness.reporting.frame import frame

        return frame(self.rows())

    def masks(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Every stored mask with its entry of cases.json; one array is in memory at a time."""
        return ((entry, mask) for _, entry, mask in self.masks_by_case())

    def masks_by_case(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], np.ndarray]]:
        """The same with the case that each belongs to."""
        with np.load(self.folder / MASKS, allow_pickle=False) as stored:
            for case in self.cases:
                for entry in case["masks"]:
                    yield case, entry, stored[entry["entry"]]

    def kept(self, case: str, backend: str) -> Kept | None:
        """The arrays of a comparison whose values differ, by the case's id and the backend's label; None: none were stored.

        Raises UserError where they cannot be read.
        """
        from harness.reporting.kept import restore

        described = next((one.get("kept", ()) for one in self.cases if one["id"] == case), ())
        entry = next((one for one in described if one["backend"] == backend), None)
        if entry is None or ARRAYS not in self.meta["files"]:
            return None
        try:
            return restore(self.folder / ARRAYS, entry)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(Problem(f"{self.folder / ARRAYS}: not arrays of a stored run ({error!r})")) from error

    def charts(self) -> Iterator[dict[str, Any]]:
        """What there is to draw of each (case, backend): `case`, `backend`, `order`, `charts` (harness.comparison.charts).

        Raises UserError where a line is not that.
        """
        if CHARTS not in self.meta["files"]:
            return
        path = self.folder / CHARTS
        with files.open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = json.loads(line)
                    _ = found["case"], found["backend"], found["order"], found["charts"].items()
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise UserError(Problem(f"{path}:{number}: not charts of a stored run ({error!r})")) from error
                yield found


def read(folder: str | Path) -> StoredRun:
    """Open a stored run, having checked that it is whole. Raises UserError, saying how to mend it, where it is not."""
    folder = Path(folder)
    meta = _load(folder, RUN)
    if meta.get("format") != FORMAT:
        raise _bad(folder, f"{RUN} is not of a stored run: its format is {meta.get('format')!r}, not {FORMAT!r}")
    version = meta.get("version")
    if not isinstance(version, int) or version < 1:
        raise _bad(folder, f"{RUN} has no valid format version: {version!r}")
    if version > VERSION:
        raise _bad(folder, f"written by a newer harness (format {version}; this one reads up to {VERSION}): upgrade it")
    for key, kind in (("files", dict), ("counts", dict), ("machine", dict), ("exit_code", int), ("rows", int)):
        if not isinstance(meta.get(key), kind):
            raise _bad(folder, f"{RUN} has no valid {key!r}")
    for one in meta.get("frameworks", []):
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in FRAMEWORK):
            raise _bad(folder, f"{RUN} has no valid 'frameworks'")
    _check_files(folder, meta["files"])
    cases = _load(folder, CASES)
    if not isinstance(cases.get("cases"), list) or not isinstance(cases.get("sources"), dict):
        raise _bad(folder, f"{CASES} holds no cases")
    try:
        _spread_profiles(cases)
        run = StoredRun(folder, meta, cases["cases"], cases["sources"])
        _ = run.exit_code, run.counts
    except ValueError as error:
        raise _bad(folder, f"{RUN} is not valid: {error}") from error
    except (LookupError, TypeError) as error:
        raise _bad(folder, f"{CASES} has no valid profiles: {error!r}") from error
    return run


def _spread_profiles(cases: dict[str, Any]) -> None:
    """Give each case the entries of its profiles, which stand once for all cases; in older runs each has its own."""
    for case in cases["cases"]:
        for one in case.get("profiles", ()):
            if "profile" in one:
                one["entries"] = cases["profiles"][one["profile"]]


def _check_files(folder: Path, described: dict[str, Any]) -> None:
    for name in DATA:
        path = folder / name
        entry = described.get(name)
        if name in LATER and name not in described:
            continue
        if not isinstance(entry, dict) or "sha256" not in entry:
            raise _bad(folder, f"{RUN} does not describe {name}")
        path = files.present(path)
        if not path.is_file():
            raise _bad(folder, f"{name} is missing: run the cases again")
        if path.stat().st_size != entry.get("bytes") or files.digest(path) != entry["sha256"]:
            raise _bad(folder, f"{name} is not the file that the run wrote: run the cases again")
    if not zipfile.is_zipfile(folder / MASKS):
        raise _bad(folder, f"{MASKS} is not an archive of arrays: run the cases again")


def _load(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        with files.open_text(path) as text:
            value = json.load(text)
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = (
            "the run was interrupted, run it again"
            if files.present(folder / ROWS).exists()
            else "`harness run` writes one"
        )
        raise _bad(folder, f"no {name}: {hint}") from error
    except OSError as error:
        raise _bad(folder, f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:
        raise _bad(folder, f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _bad(folder, f"{name} is not a JSON object")
    return value


def _bad(folder: Path, message: str) -> UserError:
    return UserError(Problem(f"{folder}: not a stored run: {message}"))
