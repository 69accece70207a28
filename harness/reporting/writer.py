"""A stored run, written: rows and masks stream to the disk as they come, and the folder is complete at once at the end.

Workers finish in any order; the files come out in the order of the cases, so two runs of the same cases differ only
where their results do. In memory there is one small record for each (case, backend), never a row or a mask.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
import itertools
import json
import time
import zipfile
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np

from harness.errors import by_surroundings
from harness.internal import failure, noted
from harness.records import Compared, Failure, Row, Variant, Verdict
from harness.reporting import files, machine
from harness.reporting.described import axes_of, describe, position
from harness.reporting.kept import KeptWriter
from harness.reporting.parts import part, parts_of, together
from harness.reporting.pictures import gates_first, pool
from harness.reporting.rows import COLUMNS, csv_line, csv_row, dump_row, load_row, to_json
from harness.reporting.store import (
    ARRAYS,
    CASES,
    CHARTS,
    CSV,
    DATA,
    FORMAT,
    FRAMEWORK,
    MASKS,
    ROWS,
    RUN,
    VERSION,
    StoredRun,
)
from harness.reporting.summary import label
from harness.reporting.verdicts import ORDER, exit_code, missing

#: Of masks of more elements, what a picture shows is stored, so that a report stays small.
LARGEST = 1 << 14
#: Of a traceback or a worker's last words, so many characters are kept, from the end.
DETAIL = 16000


class _Block(NamedTuple):
    """Where the rows, or the charts, of one (case, backend) lie in their unsorted file."""

    case: int
    backend: int
    label: str
    offset: int
    length: int


class Writer:
    """Writes one run into a folder. A context manager; without `finish` it leaves an earlier run there as it was."""

    def __init__(
        self,
        folder: str | Path,
        cases: Sequence[Mapping[str, Any]],
        sources: Mapping[str, str],
        command: Sequence[str] = (),
        shard: str = "",
    ) -> None:
        """Cases and sources are as in cases.json; `shard` says which part of the cases this is, as "2/3"."""
        self.folder = Path(folder)
        self.cases = list(cases)
        self.sources = dict(sources)
        self.command = list(command)
        self.shard = shard
        self.tally: Counter[tuple[Verdict, bool]] = Counter()
        self.internal = 0
        self._order = {case["id"]: index for index, case in enumerate(self.cases)}
        self._blocks: list[_Block] = []
        self._chart_blocks: list[_Block] = []
        self._masks: dict[int, list[dict[str, Any]]] = {}
        self._details: dict[int, list[dict[str, str]]] = {}
        self._profiles: dict[int, list[dict[str, Any]]] = {}
        self._versions: set[tuple[str, str, str]] = set()
        #: The parts that were run before; this process adds its own, unless all it does is to put them together.
        self.parts: list[dict[str, Any]] = []
        self.computes = True
        self._kept_cases: set[str] = set()
        self._kept_comparisons = 0
        self._started = datetime.datetime.now(datetime.UTC)
        self._clock = time.perf_counter()

    @classmethod
    def of(
        cls, folder: str | Path, variants: Sequence[Variant], command: Sequence[str] = (), shard: str = ""
    ) -> Writer:
        """A writer for variants that are about to run."""
        sources = {variant.path: variant.source for variant in variants}
        return cls(folder, [describe(variant) for variant in variants], sources, command, shard)

    @property
    def comparisons(self) -> int:
        """How many comparisons were added so far."""
        return len(self._blocks)

    def __enter__(self) -> Writer:
        """Open the temporary files."""
        self._partial = files.partial_folder(self.folder)
        self._rows: IO[bytes] = (self._partial / "unsorted").open("w+b")
        self._charts: IO[bytes] = (self._partial / "unsorted charts").open("w+b")
        self._archive = zipfile.ZipFile(self._partial / MASKS, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._kept = KeptWriter(self._partial / ARRAYS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is temporary."""
        with files.removed_after(self._partial):
            self._rows.close()
            self._charts.close()
            self._archive.close()
            self._kept.close()

    def add(self, event: Compared) -> None:
        """Store one comparison's rows and all that belongs to them. Raises KeyError for a case that is not of this run.

        What cannot be stored, by a mistake of ours, costs itself alone and is told in a row.
        """
        case = self._order[event.variant.id]
        label = event.backend.label
        order = position(self.cases[case], event.backend)
        failures: list[Failure] = []
        for phase, store in (
            ("its profile was stored", self._add_profile),
            ("its charts were stored", self._add_charts_of),
            ("its arrays were stored", self._add_kept),
            ("its masks were stored", self._add_masks),
        ):
            try:
                store(case, order, label, event)
            except Exception as error:
                failures.append(_storing(error, phase))
        try:
            lines = [dump_row(row) for row in event.rows]
        except Exception as error:
            failures.append(_storing(error, "its rows were stored"))
            event = dataclasses.replace(event, rows=())
        if failures:
            event = noted(event, failures)
            lines = [dump_row(row) for row in event.rows]
        start = self._rows.tell()
        for row, line in zip(event.rows, lines, strict=True):
            self._write(row, line)
        self._blocks.append(_Block(case, order, label, start, self._rows.tell() - start))
        for package, version in event.versions.items():
            self._versions.add((event.backend.environment, package, version))
        if event.detail:
            self._details.setdefault(case, []).append({"backend": label, "text": event.detail[-DETAIL:]})

    def _write(self, row: Row, line: str) -> None:
        """Write and count one row."""
        self._rows.write(line.encode(errors="backslashreplace") + b"\n")
        self.tally[row.verdict, missing(row)] += 1
        self.internal += row.internal

    def _add_profile(self, case: int, order: int, label: str, event: Compared) -> None:
        if event.profile:
            entries = {str(name): str(text) for name, text in event.profile.items()}
            self._profiles.setdefault(case, []).append({"backend": label, "order": order, "entries": entries})

    def _add_charts_of(self, case: int, order: int, label: str, event: Compared) -> None:
        if event.charts:
            self._add_charts(case, order, label, event.charts)

    def _add_kept(self, case: int, order: int, label: str, event: Compared) -> None:
        if event.kept is not None:
            self._kept.add(case, order, label, event.kept)

    def _add_masks(self, case: int, order: int, label: str, event: Compared) -> None:
        for number, (name, mask) in enumerate(event.masks.items()):
            entry = f"{case}/{hashlib.sha256(label.encode(errors='backslashreplace')).hexdigest()[:8]}/{number}"
            stored = self._store(entry, mask, axes_of(self.cases[case], name))
            self._masks.setdefault(case, []).append(
                {"backend": label, "order": order, "name": name, "entry": entry, **stored}
            )

    def resume(self, run: StoredRun, done: Container[str]) -> None:
        """Go on with an earlier run, of which the cases in `done` are kept. Where none is, this is a run of its own."""
        self._kept_cases = {case["id"] for case in run.cases if case["id"] in done}
        if self._kept_cases:
            self.adopt(run, self._kept_cases)
            self._kept_comparisons = self.comparisons
            self.parts = parts_of(run.meta)

    def adopt(self, run: StoredRun, wanted: Container[str]) -> None:
        """Take over the rows, masks and tracebacks of cases from another stored run; others may bring more of the same cases."""
        for number, (key, rows) in enumerate(itertools.groupby(run.rows(), key=lambda row: (row.case, label(row)))):
            if key[0] not in wanted:
                continue
            start = self._rows.tell()
            for row in rows:
                self._write(row, dump_row(row))
            self._blocks.append(_Block(self._order[key[0]], number, key[1], start, self._rows.tell() - start))
        for case in run.cases:
            if case["id"] in wanted:
                self._kept.adopt(run.folder, ARRAYS, case.get("kept", []), self._order[case["id"]])
                self._details.setdefault(self._order[case["id"]], []).extend(case["details"])
                self._profiles.setdefault(self._order[case["id"]], []).extend(case.get("profiles", []))
        for case, entry, mask in run.masks_by_case():
            if case["id"] in wanted:
                index = self._order[case["id"]]
                name = f"{index}/{entry['entry'].partition('/')[2]}"
                self._save(name, mask)
                self._masks.setdefault(index, []).append(entry | {"entry": name})
        for one in run.charts():
            if one["case"] in wanted:
                self._add_charts(self._order[one["case"]], one["order"], one["backend"], one["charts"])
        self._versions |= {(one["environment"], one["package"], one["version"]) for one in run.meta["frameworks"]}

    def _add_charts(self, case: int, order: int, label: str, charts: Mapping[str, Any]) -> None:
        line = {"case": self.cases[case]["id"], "backend": label, "order": order, "charts": to_json(dict(charts))}
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        start = self._charts.tell()
        self._charts.write(text.encode(errors="backslashreplace") + b"\n")
        self._chart_blocks.append(_Block(case, order, label, start, self._charts.tell() - start))

    def _store(self, entry: str, mask: np.ndarray, axes: Sequence[str]) -> dict[str, Any]:
        mask = np.asarray(mask)
        digest = hashlib.sha256(np.ascontiguousarray(mask).tobytes()).hexdigest()[:16]
        described: dict[str, Any] = {"shape": list(mask.shape), "dtype": str(mask.dtype), "sha256": digest}
        if mask.dtype == bool and mask.size:
            described["kept"] = float(mask.mean())
        if mask.size > LARGEST:
            mask = pool(gates_first(mask, axes))
            described["stored"] = list(mask.shape)
        self._save(entry, mask)
        return described

    def _save(self, entry: str, mask: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, mask, allow_pickle=False)
        # A fixed date keeps the archive the same for the same masks.
        self._archive.writestr(zipfile.ZipInfo(f"{entry}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)

    def finish(self, *, interrupted: bool = False) -> Path:
        """Order the rows, publish every file, run.json last, and return the folder."""
        self._archive.close()
        self._kept.close()
        self._blocks.sort(key=lambda block: block[:3])
        self._chart_blocks.sort(key=lambda block: block[:3])
        with (
            (self._partial / ROWS).open("wb") as lines,
            (self._partial / CSV).open("w", encoding="utf-8", errors="backslashreplace") as table,
        ):
            table.write(csv_line(COLUMNS))
            for block in self._blocks:
                self._rows.seek(block.offset)
                text = self._rows.read(block.length)
                lines.write(text)
                for line in text.decode().split("\n")[:-1]:
                    table.write(csv_row(load_row(line)))
        with (self._partial / CHARTS).open("wb") as charts:
            for block in self._chart_blocks:
                self._charts.seek(block.offset)
                charts.write(self._charts.read(block.length))
        (self._partial / CASES).write_text(_dump(self._described()), encoding="utf-8", errors="backslashreplace")
        meta = self._meta(interrupted)
        (self._partial / RUN).write_text(_dump(meta), encoding="utf-8", errors="backslashreplace")
        files.publish_set(self._partial, self.folder, DATA, RUN)
        return self.folder

    def _own_part(self) -> dict[str, Any]:
        seconds, made = time.perf_counter() - self._clock, self.comparisons - self._kept_comparisons
        return part(self.command, self._started, seconds, made, self.shard, machine.describe())

    def _described(self) -> dict[str, Any]:
        cases = []
        known: dict[tuple[tuple[str, str], ...], int] = {}
        for index, case in enumerate(self.cases):
            masks = sorted(self._masks.get(index, ()), key=_mask_key)
            details = sorted(self._details.get(index, ()), key=lambda detail: detail["backend"])
            profiles = [
                {
                    "backend": one["backend"],
                    "order": one["order"],
                    "profile": known.setdefault(_key(one["entries"]), len(known)),
                }
                for one in sorted(self._profiles.get(index, ()), key=lambda one: (one["order"], one["backend"]))
            ]
            kept = self._kept.described(index)
            cases.append({**case, "masks": masks, "profiles": profiles, "details": details, "kept": kept})
        # Implementations that do the same, and cases in which they do, share one profile.
        return {"cases": cases, "profiles": [dict(key) for key in known], "sources": self.sources}

    def _meta(self, interrupted: bool) -> dict[str, Any]:
        counts = {str(v): self.tally[v, True] + self.tally[v, False] for v in ORDER}
        return {
            "format": FORMAT,
            "version": VERSION,
            "command": self.command,
            **together([*self.parts, *([self._own_part()] if self.computes else [])]),
            "kept": {"cases": len(self._kept_cases), "comparisons": self._kept_comparisons},
            "frameworks": [dict(zip(FRAMEWORK, v, strict=True)) for v in sorted(self._versions)],
            "shard": self.shard,
            "cases": len(self.cases),
            "comparisons": self.comparisons,
            "rows": self.tally.total(),
            "counts": {name: count for name, count in counts.items() if count},
            "interrupted": interrupted,
            "exit_code": int(exit_code(self.tally, internal=self.internal, interrupted=interrupted)),
            "files": {
                name: {"bytes": (self._partial / name).stat().st_size, "sha256": files.digest(self._partial / name)}
                for name in DATA
            },
        }


def _storing(error: Exception, phase: str) -> Failure:
    """A failure to store a part of a comparison. Raises it again where the disk is what failed: then nothing can be stored."""
    if by_surroundings(error):
        raise error
    return failure(error, phase)


def _mask_key(entry: Mapping[str, Any]) -> tuple[int, str, str]:
    return entry["order"], entry["backend"], entry["name"]


def _key(entries: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(entries.items())


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
