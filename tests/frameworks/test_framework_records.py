"""Every framework is one folder with one record; the host asks the records and names no framework itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.frameworks.contract import framework as records
from harness.frameworks.contract.adapter import implementations
from harness.frameworks.contract.framework import Framework, backends, frameworks, owner, ported, variables

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "harness"
FOLDERS = sorted(path.name for path in (PACKAGE / "frameworks").iterdir() if (path / "__init__.py").is_file())

#: Files that mean the package NumPy itself.
NUMPY = {
    "harness/commands/doctor.py",
    "harness/comparison/kernel_engine.py",
    "harness/environments/interpreters.py",
    "harness/reporting/machine.py",
    "harness/worker/serve.py",
}


def words() -> set[str]:
    """Names of frameworks, backends and their packages."""
    return {
        word
        for record in frameworks().values()
        for word in (record.name, record.api, *record.backends, *record.packages)
        if word
    }


def named(source: str) -> set[str]:
    """The frameworks that a file names as whole texts."""
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in words()
    }


def host_files() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("harness/frameworks/", "harness/streams/rules/")):
            yield name, path.read_text(encoding="utf-8")


def test_every_folder_has_its_record() -> None:
    assert sorted(frameworks()) == [name for name in FOLDERS if name != "contract"]
    for record in frameworks().values():
        assert record.backends and set(record.backends) <= set(backends())
        assert record.packages


def test_the_words_of_the_case_file() -> None:
    assert backends() == ("numpy", "tensorflow", "torch", "jax", "onnxruntime")
    assert set(ported()) == {"numpy", "tensorflow", "torch", "jax"}
    assert owner("recorded") is None


def test_implementations_run_on_what_their_framework_declares() -> None:
    for backend, _, name in implementations():
        adapter = implementations()[backend, _, name].adapter
        folder = adapter.__module__.split(".")[2]
        assert backend in frameworks()[folder].backends, (name, folder)


def test_no_host_file_names_a_framework() -> None:
    found = {name: named(source) - ({"numpy"} if name in NUMPY else set()) for name, source in host_files()}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("line", ['if backend == "torch": pass', 'ORDER = ("numpy", "jax")', 'x = {"tf_keras": 1}'])
def test_a_name_in_a_host_file_is_found(line: str) -> None:
    assert named(line)


# --- imports -------------------------------------------------------------------------------------------------------------


def imported(source: str) -> set[str]:
    """The modules of harness.frameworks that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness.frameworks."):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("harness.frameworks.")}
    return found


def undeclared(record: Framework, source: str) -> set[str]:
    """Frameworks that a file of a framework imports from without its record's saying so."""
    return {name.split(".")[2] for name in imported(source)} - {record.name, "contract", *record.uses}


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "contract"])
def test_a_framework_imports_what_it_declares(name: str) -> None:
    record = frameworks()[name]
    sources = [path.read_text(encoding="utf-8") for path in (PACKAGE / "frameworks" / name).glob("*.py")]
    assert [undeclared(record, source) for source in sources if undeclared(record, source)] == []
    used = {module.split(".")[2] for source in sources for module in imported(source)}
    assert set(record.uses) <= used, "declared and not used"


def test_the_contract_imports_no_framework() -> None:
    for path in (PACKAGE / "frameworks" / "contract").glob("*.py"):
        assert {name.split(".")[2] for name in imported(path.read_text(encoding="utf-8"))} <= {"contract"}, path


def test_an_undeclared_import_is_found() -> None:
    record = Framework("torch", ("torch",), ("torch",))
    assert undeclared(record, "def f():\n    from harness.frameworks.jax.tap import JaxTap") == {"jax"}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle of arrows, or []."""
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(arrows.get(name, ())):
            if found := walk(other, (*path, name)):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := walk(name, ()))), [])


def test_files_import_each_other_in_no_circle() -> None:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (PACKAGE / "frameworks").rglob("*.py")
    }
    arrows = {
        name: {other for other in imported(path.read_text(encoding="utf-8")) if other in files and other != name}
        for name, path in files.items()
    }
    assert circle(arrows) == []


def test_packages_import_each_other_in_no_circle() -> None:
    assert circle({name: set(record.uses) for name, record in frameworks().items()}) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


# --- what the records are asked ------------------------------------------------------------------------------------------


def test_a_folder_without_its_record_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_RECORDS", {})
    torch = __import__("harness.frameworks.torch", fromlist=["FRAMEWORK"])
    monkeypatch.setattr(torch, "FRAMEWORK", torch.FRAMEWORK._replace(name="other"))
    with pytest.raises(ValueError, match=re.escape("harness.frameworks.torch declares the framework 'other'")):
        frameworks()


def test_the_variables_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert variables("tensorflow") == {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    assert variables("numpy") == {}
