"""The README's own example: what `harness init` writes, the mistake that is made in it, and what is said of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """The README's only block of a kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_case_is_the_one_that_init_writes(tmp_path: Path) -> None:
    assert harness(tmp_path, "init", "my_port.py").returncode == 0
    written = (tmp_path / "my_port.yaml").read_text(encoding="utf-8")
    assert [line for line in written.splitlines() if not line.startswith("#")] == block("yaml").splitlines()


def test_what_is_said_of_the_mistake(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert harness(tmp_path, "init", "my_port.py").returncode == 0
    port = tmp_path / "my_port.py"
    text = port.read_text(encoding="utf-8")
    wrong = re.search(r"`(i, f, o, g) = …`", TEXT)
    assert wrong is not None
    assert text.count("i, f, g, o = ") == 1
    port.write_text(text.replace("i, f, g, o = ", f"{wrong[1]} = "), encoding="utf-8")
    done = harness(tmp_path, "run", "my_port.yaml")
    assert done.returncode == 1, done.stderr
    shown = done.stdout.splitlines()
    for line in block("text").splitlines():
        assert any(other.startswith(line.removesuffix("…")) for other in shown), line


def test_lines_are_short() -> None:
    assert [line for line in TEXT.splitlines() if len(line) > 120] == []
