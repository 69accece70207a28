"""What pyproject.toml, MANIFEST.in and constraints.txt say fits what there is. Nothing is built."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness import __version__

ROOT = Path(__file__).parent.parent
#: Of use in the repository alone.
NOT_SHIPPED = {".gitignore"}


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def tracked() -> list[str]:
    """The files of the repository; in a source distribution, those of the package."""
    if not (ROOT / ".git").exists():
        return [str(path.relative_to(ROOT)) for path in (ROOT / "harness").rglob("*") if path.is_file()]
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def requirements() -> dict[str, list[Requirement]]:
    """The requirements of the project ("") and of its extras."""
    described = project()["project"]
    listed = {"": described["dependencies"], **described["optional-dependencies"]}
    return {extra: [Requirement(line) for line in lines] for extra, lines in listed.items()}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_file_of_the_package_is_shipped_with_it() -> None:
    patterns = project()["tool"]["setuptools"]["package-data"]["harness"]
    data = [
        name.removeprefix("harness/") for name in tracked() if name.startswith("harness/") and not name.endswith(".py")
    ]
    data = [name for name in data if "__pycache__" not in name]
    assert len(patterns) == len(set(patterns))
    assert [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in data)] == []


def test_a_source_distribution_has_its_tests_and_its_documentation() -> None:
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()]
    taken = {word for verb, *words in filter(None, lines) if verb in ("graft", "include") for word in words}
    by_setuptools = {"harness", "parity_pytest.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"}
    top = {name.split("/")[0] for name in tracked()}
    assert top - {word.split("/")[0] for word in taken} - by_setuptools - NOT_SHIPPED == set()
    assert [word for word in taken if not (ROOT / word).exists()] == []


def test_the_entry_points_lead_somewhere() -> None:
    from importlib import import_module

    described = project()["project"]
    targets = [
        *described["scripts"].values(),
        *(t for group in described["entry-points"].values() for t in group.values()),
    ]
    for target in targets:
        module, _, attribute = target.partition(":")
        assert not attribute or callable(getattr(import_module(module), attribute))


def test_all_is_all() -> None:
    (everything,) = requirements()["all"]
    own = {"test", "browser", "lint", "all"}
    assert everything.name == project()["project"]["name"]
    assert everything.extras == set(requirements()) - {""} - own


def test_every_requirement_is_pinned_within_its_range() -> None:
    wanted = [one for lines in requirements().values() for one in lines if one.name != "parity-harness"]
    unpinned = [one.name for one in wanted if canonicalize_name(one.name) not in pins()]
    outside = [
        str(one)
        for one in wanted
        if one.name not in unpinned and pins()[canonicalize_name(one.name)] not in one.specifier
    ]
    assert (unpinned, outside) == ([], [])


def test_the_scripts_install_extras_that_there_are() -> None:
    for name in ("run.sh", "test.sh"):
        (extras,) = re.findall(r"^extras=(\S+)$", (ROOT / "scripts" / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(extras.split(",")) <= set(requirements())
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert set(re.findall(r"^    \w+: (\w+)$", tox, re.MULTILINE)) <= set(requirements())


def test_the_metadata_is_whole() -> None:
    described = project()["project"]
    assert described["authors"]
    assert described["requires-python"] == ">=3.11"
    versions = re.findall(r"Python :: (3\.\d+)$", "\n".join(described["classifiers"]), re.MULTILINE)
    assert versions == sorted(set(versions), key=lambda version: int(version.partition(".")[2]))
    assert versions[0] == "3.11"
    assert len(described["classifiers"]) == len(set(described["classifiers"]))
    assert (ROOT / described["readme"]).is_file()
    assert all((ROOT / name).is_file() for name in described["license-files"])


def test_the_changelog_has_this_version() -> None:
    """A version is released under its heading; the next one's notes collect above it."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, re.MULTILINE)
    assert headings[0][0] == "Unreleased"
    assert __version__ in text


@pytest.mark.parametrize("name", ["harness", "tests", "cases"])
def test_nothing_of_the_package_is_left_out_of_the_repository(name: str) -> None:
    """A file that was made and never added would be missing from every clone: .gitignore must not hide sources."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    done = subprocess.run(
        ["git", "ls-files", "-oi", "--exclude-standard", name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    hidden = [line for line in done.stdout.splitlines() if not re.search(r"__pycache__/|\.py[cod]$|_cache/", line)]
    assert hidden == []
