"""A packed run: read like any other, small, the same bytes again, and refused where it is not whole."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from harness.commands.report import exported
from harness.errors import UserError
from harness.reporting import html, machine
from harness.reporting.packing import pack
from harness.reporting.parts import kept_cases, parts_of
from harness.reporting.rows import dump_row
from harness.reporting.store import RUN, StoredRun, read
from harness.reporting.writer import Writer
from tests.reporting import fakes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return fakes.store(tmp_path / "run", *fakes.small_run())


@pytest.fixture
def packed(stored: Path, tmp_path: Path) -> Path:
    return pack(read(stored), tmp_path / "packed")


def test_it_is_the_same_run(stored: Path, packed: Path) -> None:
    before, after = read(stored), read(packed)
    assert [dump_row(row) for row in after.rows()] == [dump_row(row) for row in before.rows()]
    assert (after.cases, after.sources, list(after.charts())) == (before.cases, before.sources, list(before.charts()))
    for (entry, mask), (other, same) in zip(before.masks(), after.masks(), strict=True):
        assert entry == other
        np.testing.assert_array_equal(mask, same)
    for kind in ("csv", "jsonl", "junit", "markdown"):
        assert exported(after, kind) == exported(before, kind)
    assert html.render(after) == html.render(before)


def test_what_is_packed_is_the_text_and_nothing_stands_twice(packed: Path) -> None:
    names = {path.name for path in packed.iterdir()}
    assert {"cases.json.gz", "results.jsonl.gz", "results.csv.gz", "charts.jsonl.gz", "masks.npz", RUN} <= names
    assert not names & {"cases.json", "results.jsonl", "results.csv", "charts.jsonl"}


def test_the_same_run_packs_to_the_same_bytes(stored: Path, packed: Path, tmp_path: Path) -> None:
    again = pack(read(packed), pack(read(stored), tmp_path / "other"))
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in packed.iterdir()
    }


def test_a_run_that_was_there_unpacked_is_replaced(stored: Path, tmp_path: Path) -> None:
    variants, events = fakes.green_run()
    old = fakes.store(tmp_path / "shipped", variants, events)
    pack(read(stored), old)
    assert read(old).meta["rows"] == read(stored).meta["rows"] != len([row for event in events for row in event.rows])


@pytest.mark.parametrize(
    "name", ["cases.json.gz", "results.jsonl.gz", "results.csv.gz", "charts.jsonl.gz", "masks.npz", RUN]
)
def test_a_missing_or_torn_file_is_refused(packed: Path, name: str) -> None:
    path = packed / name
    whole = path.read_bytes()
    for broken in (whole[:-9], whole[:-9] + bytes(9), b""):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="not a stored run"):
            read(packed)
    path.unlink()
    with pytest.raises(UserError, match=re.escape(name.removesuffix(".gz"))):
        read(packed)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    file = ROOT / "scripts" / "ship_report.py"
    spec = importlib.util.spec_from_file_location("ship_report", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_ships_it(script: ModuleType, tmp_path: Path) -> None:
    variants, events = fakes.green_run()
    place = str(tmp_path / "run")
    for option in (["--out", place], [f"--out={place}"]):
        with Writer.of(place, variants, ["harness", "run", *option, "cases", "--power"]) as writer:
            for event in events:
                writer.add(event)
            writer.finish()
        script.ship(Path(place), tmp_path / "shipped")
        run = read(tmp_path / "shipped")
        assert run.meta["command"] == ["harness", "run", "cases", "--power"]
        assert parts_of(run.meta)[0]["command"] == run.meta["command"]
    assert (tmp_path / "shipped" / "report.html").read_text(encoding="utf-8") == html.render(run)
    assert str(tmp_path) not in json.dumps(run.meta)


def test_a_run_in_parts_is_not_shipped(script: ModuleType, stored: Path, tmp_path: Path) -> None:
    variants, events = fakes.small_run()
    kept = variants[0].id
    with Writer.of(tmp_path / "resumed", variants) as writer:
        writer.resume(read(stored), {kept})
        for event in events:
            if event.variant.id != kept:
                writer.add(event)
        writer.finish()
    with pytest.raises(UserError, match="was resumed: run it in one go"):
        script.ship(tmp_path / "resumed", tmp_path / "shipped")
    fakes.store(tmp_path / "stopped", variants, events, interrupted=True)
    with pytest.raises(UserError, match="was interrupted"):
        script.ship(tmp_path / "stopped", tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_the_machine_is_told_without_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.platform", lambda: "Linux" + "-6.1.0-secret-build")
    monkeypatch.setattr("platform.release", lambda: "6.1.0-secret-build")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    assert machine.describe()["system"] == "Linux, glibc 2.36"
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("platform.mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    assert machine.describe()["system"] == "Darwin, 15.1"


def test_the_shipped_run_is_whole() -> None:
    """`python scripts/ship_report.py` makes it."""
    folder = ROOT / "reports" / "shipped"
    run = read(folder)
    assert sum(1 for _ in run.rows()) == run.meta["rows"]
    assert run.exit_code == 0
    assert not run.meta["interrupted"]
    assert run.meta["command"][:3] == ["harness", "run", "cases"]
    assert sum(1 for _ in run.masks()) > 0
    assert (folder / "report.html").is_file()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 << 20


def went_on(run: StoredRun) -> list[str]:
    """Why a run cannot have been made in one go: what it says of itself, and workers that were busy longer than it took.

    A worker computes one comparison after the other, and each environment of a backend has one, so none is busy for longer
    than the run, unless the run's time is that of a part of it.
    """
    said = [word for one in parts_of(run.meta) for word in one["command"] if word in ("--resume", "--last-failed")]
    said += ["kept"] if kept_cases(run.meta) else []
    busy: Counter[tuple[str, str]] = Counter()
    for _, rows in itertools.groupby(run.rows(), key=lambda row: (row.case, row.name)):
        first = next(rows)
        busy[first.backend, first.environment] += first.comparison_seconds
    return said + [" @".join(worker) for worker, seconds in busy.items() if seconds > float(run.meta["seconds"])]


def test_the_shipped_run_was_made_in_one_go() -> None:
    assert went_on(read(ROOT / "reports" / "shipped")) == []


def test_a_run_that_went_on_would_be_seen(stored: Path, tmp_path: Path) -> None:
    variants, _ = fakes.small_run()
    assert went_on(read(stored)) == ["numpy @", "tensorflow @", "torch @", "jax @"], "these took no time at all"
    ids = {variant.id for variant in variants}
    with Writer.of(tmp_path / "run", variants, ["harness", "run", "cases", "--resume"]) as writer:
        writer.resume(read(stored), ids)
        writer.finish()
    assert went_on(read(tmp_path / "run"))[:2] == ["--resume", "kept"]
