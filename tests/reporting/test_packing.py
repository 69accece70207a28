"""A packed run: read like any other, small, the same bytes again, and refused where it is not whole."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.commands.report import exported
from harness.errors import UserError
from harness.reporting import html, machine
from harness.reporting.packing import pack
from harness.reporting.rows import dump_row
from harness.reporting.store import RUN, read
from tests.reporting import fakes


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


def test_the_script_ships_it(stored: Path, tmp_path: Path) -> None:
    file = Path(__file__).parents[2] / "scripts" / "ship_report.py"
    spec = importlib.util.spec_from_file_location("ship_report", file)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.ship(stored, tmp_path / "shipped")
    run = read(tmp_path / "shipped")
    assert run.meta["command"] == ["harness", "run", "cases"]
    assert (tmp_path / "shipped" / "report.html").read_text(encoding="utf-8") == html.render(run)
    assert str(tmp_path) not in json.dumps(run.meta)


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
    folder = Path(__file__).parents[2] / "reports" / "shipped"
    run = read(folder)
    assert sum(1 for _ in run.rows()) == run.meta["rows"]
    assert run.exit_code == 0
    assert not run.meta["interrupted"]
    assert run.meta["command"] == ["harness", "run", "cases"]
    assert sum(1 for _ in run.masks()) > 0
    assert (folder / "report.html").is_file()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 << 20
