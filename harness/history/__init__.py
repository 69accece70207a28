"""The history: every stored run's verdicts and figures in one SQLite database, to see how a figure went over versions.

The database lies beside the reports (`reports/history.sqlite`). It is in WAL mode, so that runs that end at the same time wait
for each other and readers never wait; a run is added in one transaction, whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.reporting.files import digest, make_folder
from harness.reporting.store import RUN, StoredRun
from harness.reporting.summary import plain_label
from harness.reporting.verdicts import reason

NAME = "history.sqlite"
VERSION = 1
#: "pHst": says in the file's header whose database it is (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION = 0x70487374
#: Seconds to wait for another writer; adding a run of ten thousand rows takes well under one.
PATIENCE = 60.0

_SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    command TEXT NOT NULL,
    harness TEXT NOT NULL,
    python TEXT NOT NULL,
    cpu TEXT NOT NULL,
    shard TEXT NOT NULL,
    interrupted INTEGER NOT NULL,
    exit_code INTEGER NOT NULL,
    counts TEXT NOT NULL
);
CREATE TABLE frameworks (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    environment TEXT NOT NULL,
    package TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (run, environment, package, version)
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    "case" TEXT NOT NULL,
    implementation TEXT NOT NULL,
    "check" TEXT NOT NULL,
    UNIQUE ("case", implementation, "check")
);
CREATE TABLE figures (
    series INTEGER NOT NULL REFERENCES series (id),
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    version TEXT NOT NULL,
    device TEXT NOT NULL,
    seed TEXT NOT NULL,
    verdict TEXT NOT NULL,
    measured REAL,
    "limit" REAL,
    unit TEXT NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (series, run)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Past:
    """One run as the history has it. `counts` are rows by verdict; `frameworks` maps package (`@environment`) to version."""

    id: int
    started: str
    seconds: float
    exit_code: int
    interrupted: bool
    shard: str
    harness: str
    counts: dict[str, int]
    frameworks: dict[str, str]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one check of one (case, implementation) gave in one run."""

    case: str
    implementation: str
    check: str
    run: int
    started: str
    version: str
    device: str
    verdict: str
    measured: float | None
    limit: float | None
    unit: str
    cause: str


def beside(folder: str | Path, given: str | Path | None = None) -> Path | None:
    """The database that a run stored in `folder` goes to, or None.

    It is the one that is given, which is made where it does not exist; or `history.sqlite` in the nearest folder named
    `reports` above the run's, where one lies there.
    """
    if given is not None:
        return Path(given)
    for parent in Path(folder).absolute().parents:
        if parent.name == "reports":
            return parent / NAME if (parent / NAME).is_file() else None
    return None


@contextlib.contextmanager
def opened(file: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection to a history whose schema is this version's.

    Raises UserError where there is none (unless `create`), for a file that is something else, and for one that a newer
    harness wrote.
    """
    if not file.exists() and not create:
        raise UserError(f"{file}: no history there; `harness run --history {file}` starts one")
    make_folder(file.parent)
    connection = None
    try:
        connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        _prepare(connection, file)
        yield connection
    except sqlite3.Error as error:
        raise UserError(f"{file}: cannot be used as a history: {error}") from error
    finally:
        if connection is not None:
            connection.close()


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    if not _number(connection, "user_version"):
        # Who comes first makes the tables; the others wait here and find them.
        with _transaction(connection):
            if not _number(connection, "user_version"):
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise UserError(f"{file}: is a database, but not a history of parity-harness")
                for statement in _SCHEMA.split(";")[:-1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
    if _number(connection, "application_id") != APPLICATION:
        raise UserError(f"{file}: is a database, but not a history of parity-harness")
    version = _number(connection, "user_version")
    if version > VERSION:
        raise UserError(
            f"{file}: written by a newer harness (schema {version}; this one knows up to {VERSION}): upgrade it"
        )
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode, which lasts. The switch does not wait for other connections by itself.

    On a file system without shared memory SQLite stays in its older mode, in which readers wait too; that is no error.
    """
    end = time.monotonic() + PATIENCE
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at the start, so that two writers cannot block each other half-way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def prepare(folder: str | Path, given: str | Path | None = None) -> Path | None:
    """As `beside`, having made sure that the database can be used: told before a run, not after it. Raises UserError."""
    file = beside(folder, given)
    if file is not None:
        with opened(file, create=True):
            pass
    return file


def remember(run: StoredRun, file: Path) -> bool:
    """Add a stored run; returns False where it is in the history already. Makes the database where there is none."""
    with opened(file, create=True) as connection, _transaction(connection):
        return _add(connection, run)


def _add(connection: sqlite3.Connection, run: StoredRun) -> bool:
    meta, machine = run.meta, run.meta["machine"]
    columns = (
        digest(run.folder / RUN),
        str(meta.get("started", "")),
        float(meta.get("seconds", 0.0)),
        json.dumps(meta.get("command", [])),
        *(str(machine.get(key, "")) for key in ("harness", "python", "cpu")),
        str(meta.get("shard") or ""),
        int(bool(meta.get("interrupted"))),
        int(run.exit_code),
        json.dumps({str(verdict): count for verdict, count in run.counts.items()}),
    )
    marks = ", ".join("?" * len(columns))
    added = connection.execute(
        "INSERT OR IGNORE INTO runs (digest, started, seconds, command, harness, python, cpu, shard, interrupted,"
        f" exit_code, counts) VALUES ({marks})",
        columns,
    )
    if not added.rowcount:
        return False
    number = added.lastrowid
    connection.executemany(
        "INSERT OR IGNORE INTO frameworks VALUES (?, ?, ?, ?)",
        [(number, one["environment"], one["package"], one["version"]) for one in meta.get("frameworks", [])],
    )
    for row in run.rows():
        key = (_text(row.case), _text(plain_label(row)), _text(row.check))
        connection.execute('INSERT OR IGNORE INTO series ("case", implementation, "check") VALUES (?, ?, ?)', key)
        connection.execute(
            "INSERT OR REPLACE INTO figures SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM series"
            ' WHERE "case" = ? AND implementation = ? AND "check" = ?',
            (
                number,
                *map(_text, (row.version, row.device, row.seed, str(row.verdict))),
                _stored(row.measured),
                _stored(row.limit),
                *map(_text, (row.unit, reason(row, whole=False))),
                *key,
            ),
        )
    return True


def _text(text: str) -> str:
    """Text that UTF-8 can hold: a file's name may have bytes that were no text, which Python keeps as lone surrogates."""
    return text.encode(errors="backslashreplace").decode()


def _stored(figure: float | None) -> float | str | None:
    """SQLite turns NaN into NULL, which means that a check has no figure; so NaN is stored as text."""
    return "nan" if figure is not None and figure != figure else figure


def runs(file: Path, limit: int = 0) -> list[Past]:
    """The runs, the oldest first; with a limit, the last so many."""
    with opened(file) as connection:
        versions: dict[int, dict[str, str]] = {}
        for run, environment, package, version in connection.execute("SELECT * FROM frameworks ORDER BY package"):
            versions.setdefault(run, {})[f"{package}@{environment}" if environment else package] = version
        found = connection.execute(
            "SELECT id, started, seconds, exit_code, interrupted, shard, harness, counts FROM runs"
            " ORDER BY id DESC LIMIT ?",
            (limit or -1,),
        ).fetchall()
    return [
        Past(one, started, seconds, code, bool(stopped), shard, harness, json.loads(counts), versions.get(one, {}))
        for one, started, seconds, code, stopped, shard, harness, counts in reversed(found)
    ]


def figures(
    file: Path, case: str = "*", *, implementation: str = "*", check: str = "*", limit: int = 0
) -> Iterator[list[Figure]]:
    """The figures of each (case, implementation, check), the oldest first; with a limit, of the last so many runs.

    case            an id, a file or folder (all cases of it), or a pattern with `*` and `?`.
    implementation  a label, a backend, or a pattern.
    check           a check or a pattern.
    """
    with opened(file) as connection:
        first = connection.execute(
            "SELECT min(id) FROM (SELECT id FROM runs ORDER BY id DESC LIMIT ?)", (limit or -1,)
        ).fetchone()[0]
        wanted = [_globbed(case), f"{_globbed(case)}::*", f"{_globbed(case.rstrip('/'))}/*"]
        series = connection.execute(
            'SELECT id, "case", implementation, "check" FROM series WHERE ("case" GLOB ? OR "case" GLOB ? OR "case" GLOB ?)'
            ' AND (implementation GLOB ? OR implementation GLOB ?) AND "check" GLOB ? ORDER BY "case", id',
            (*wanted, _globbed(implementation), f"{_globbed(implementation)}: *", _globbed(check)),
        ).fetchall()
        for number, *names in series:
            found: list[Any] = connection.execute(
                'SELECT run, started, version, device, verdict, measured, "limit", unit, cause FROM figures'
                " JOIN runs ON runs.id = run WHERE series = ? AND run >= ? ORDER BY run",
                (number, first),
            ).fetchall()
            if found:
                yield [
                    Figure(
                        *names, *one[:5], *(None if figure is None else float(figure) for figure in one[5:7]), *one[7:]
                    )
                    for one in found
                ]


def _globbed(pattern: str) -> str:
    """A pattern in which brackets, which every id of a variant has, stand for themselves."""
    return pattern.replace("[", "[[]")
