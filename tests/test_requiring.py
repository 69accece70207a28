"""HARNESS_REQUIRE: a missing thing stops the run, and a test left out for want of a required one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requiring import absent, named

ROOT = Path(__file__).parent.parent
SKIPS = """import pytest
pytest.importorskip("no_such_package_here")

def test_nothing():
    pass
"""
INSIDE = """import pytest

def test_one():
    pytest.skip("no Chromium")

def test_another():
    pytest.skip("covered elsewhere")

@pytest.mark.skipif(True, reason="torch is not installed")
def test_marked():
    pass
"""


def call(folder: Path, require: str, **files: str) -> tuple[int, str]:
    """pytest with the suite's conftest.py on other test files: (exit code, output)."""
    (folder / "tests").mkdir()
    for name in ("conftest.py", "requiring.py"):
        (folder / "tests" / name).write_text((ROOT / "tests" / name).read_text(encoding="utf-8"), encoding="utf-8")
    for name, text in files.items():
        (folder / "tests" / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--continue-on-collection-errors",
            "tests",
        ],
        cwd=folder,
        env={**os.environ, "HARNESS_REQUIRE": require, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_missing_stops_the_run(tmp_path: Path) -> None:
    code, output = call(tmp_path, "numpy, no_such_package_here", test_fine="def test_fine():\n    pass\n")
    assert code == 4
    assert "HARNESS_REQUIRE names what is not here: no_such_package_here" in output


def test_a_test_that_is_left_out_for_want_of_a_required_thing_fails(tmp_path: Path) -> None:
    # Words that are here, so that the run starts.
    reasons = INSIDE.replace("Chromium", "NumPy").replace("torch", "scipy")
    whole = "import pytest\npytest.skip(\"could not import 'pandas'\", allow_module_level=True)\n"
    code, output = call(tmp_path, "numpy scipy pandas", test_inside=reasons, test_whole=whole)
    assert code == 1
    assert "1 failed, 1 skipped, 2 errors" in output  # a mark and a whole file count as errors
    assert "left out, although HARNESS_REQUIRE names numpy: Skipped: no NumPy" in output
    assert "HARNESS_REQUIRE names pandas" in output


def test_without_the_variable_nothing_changes(tmp_path: Path) -> None:
    code, output = call(tmp_path, "", test_inside=INSIDE, test_whole=SKIPS)
    assert code == 0
    assert "4 skipped" in output


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("could not import 'torch': No module named 'torch'", "torch"),
        ("Skipped: no Chromium", "chromium"),
        ("environment 'tf1.8' has not been created: harness env create tf1.8", "tf1.8"),
        ("environment tf1.80 is not built", ""),
        ("pytorch is another word", ""),
        ("covered by the gatewise cases", ""),
        ("started by the run on torch", ""),
    ],
)
def test_reasons(reason: str, word: str) -> None:
    assert named(reason, ["torch", "chromium", "tf1.8"]) == word


def test_presence() -> None:
    assert absent(["numpy", "no_such_package_here", "no.such.package"]) == ["no_such_package_here", "no.such.package"]


def test_an_environment_is_looked_for_where_it_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path))
    assert absent(["tf1.8"]) == ["tf1.8"]
