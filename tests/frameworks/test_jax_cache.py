"""Where compiled JAX programs are kept: the folder that the environment names, or nowhere, and never in place of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.frameworks.jax import cache as jax_cache

RUN = """
import sys, jax
if len(sys.argv) > 1:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
from harness.frameworks.jax.cache import use_compilation_cache
use_compilation_cache()
use_compilation_cache()
jax.jit(lambda x: x * 3)(4.0)
print(jax.config.jax_compilation_cache_dir)
"""


def run(folder: str, *arguments: str) -> str:
    pytest.importorskip("jax")
    environment = {**os.environ, jax_cache.VARIABLE: folder}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_smallest_program_is_kept_in_the_named_folder(tmp_path: Path) -> None:
    assert run(str(tmp_path / "kept")) == str(tmp_path / "kept")
    assert any((tmp_path / "kept").iterdir())


def test_an_empty_name_keeps_nothing() -> None:
    assert run("") == "None"


def test_a_cache_of_the_user_s_own_stays(tmp_path: Path) -> None:
    assert run(str(tmp_path / "ours"), str(tmp_path / "theirs")) == str(tmp_path / "theirs")
    assert not (tmp_path / "ours").exists()


def test_the_default_is_in_the_user_s_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(jax_cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jax_cache.folder() == str(tmp_path / "parity-harness" / "jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert jax_cache.folder() == str(tmp_path / "home" / ".cache" / "parity-harness" / "jax")
