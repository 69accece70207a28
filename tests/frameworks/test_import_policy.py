"""What a worker imports: Python 3.6 syntax, NumPy alone, no framework until an adapter is used.

Run on the oldest interpreter found (PATH, pyenv, or HARNESS_TEST_PYTHONS, a list of interpreters); where one of them has
NumPy, every module is imported there too.
"""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (3, 6)
FRAMEWORKS = ("tensorflow", "tf_keras", "keras", "torch", "jax", "jaxlib", "flax", "equinox")

#: Imports every module given on the command line while nothing but the standard library, NumPy and harness can be found.
IMPORT_ALONE = """
import importlib, sys
frameworks = sys.argv[1].split(",")
class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in frameworks or top in ("pydantic", "scipy", "pandas", "ruamel", "click", "rich", "ml_dtypes"):
            raise ImportError("%s is not there for a worker" % name)
        return None
sys.meta_path.insert(0, Wall())
for name in sys.argv[2:]:
    importlib.import_module(name)
loaded = [name for name in frameworks if name in sys.modules]
sys.exit("imported: " + ", ".join(loaded) if loaded else 0)
"""

#: A module that is not there is told when something of it is used, not before; and looking a name over is no use.
LAZY = """
import sys
from harness.frameworks.contract.lazy import Lazy
absent, there = Lazy("no_such_framework"), Lazy("colorsys")
assert not hasattr(there, "__wrapped__") and "colorsys" not in sys.modules
assert there.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0) and "colorsys" in sys.modules
assert not hasattr(there, "rgb_to_nothing")
try:
    absent.anything
except ImportError as error:
    sys.exit(0 if "no_such_framework" in str(error) else "unnamed")
sys.exit("nothing was raised")
"""

COMPILE = "import sys\nfor path in sys.argv[1:]:\n    compile(open(path, encoding='utf-8').read(), path, 'exec')\n"


def worker_files() -> list[Path]:
    """Every file of the package that a worker may import."""
    package = ROOT / "harness"
    found = [
        package / name for name in ("__init__.py", "tape.py", "noises.py", "registry.py", "traces.py", "version.py")
    ]
    for folder in ("worker", "frameworks"):
        found += sorted((package / folder).rglob("*.py"))
    return found


def module_name(path: Path) -> str:
    """The import name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@functools.cache
def interpreters() -> tuple[tuple[tuple[int, int], str, bool], ...]:
    """(version, path, has NumPy) of the interpreters found from 3.6 on, the oldest first."""
    paths = [path for path in os.environ.get("HARNESS_TEST_PYTHONS", "").split(os.pathsep) if path]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(OLDEST[1], sys.version_info[1] + 1):
        paths += [str(path) for path in pyenv.glob(f"3.{minor}.*/bin/python3.{minor}")]
        on_path = shutil.which(f"python3.{minor}")
        paths += [on_path] if on_path else []
    found = []
    question = "import sys\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n"
    question += "print(sys.version_info[0], sys.version_info[1], numpy is not None)"
    for path in [*dict.fromkeys(paths), sys.executable]:
        asked = subprocess.run([path, "-c", question], capture_output=True, text=True, check=False, cwd=ROOT)
        # A pyenv shim whose version is not active fails here.
        if asked.returncode == 0:
            major, minor_version, numpy = asked.stdout.split()
            found.append(((int(major), int(minor_version)), path, numpy == "True"))
    return tuple(sorted(entry for entry in found if entry[0] >= OLDEST))


def run(path: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [path, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def import_alone(path: str, modules: list[str]) -> subprocess.CompletedProcess[str]:
    return run(path, IMPORT_ALONE, ",".join(FRAMEWORKS), *modules)


def modules() -> list[str]:
    """Modules to import. The worker's entry point is a script; importing it starts nothing."""
    return [module_name(path) for path in worker_files()]


def test_syntax_by_the_grammar_of_python_36() -> None:
    for path in worker_files():
        source = path.read_text(encoding="utf-8")
        ast.parse(source, str(path), feature_version=OLDEST)
        assert "from __future__ import annotations" not in source, path
        assert not re.search(r"^\s*(from|import) dataclasses", source, re.MULTILINE), path


GENERICS = ("list", "dict", "tuple", "set", "frozenset", "type")


def newer_generics(source: str) -> list[str]:
    """`list[int]` and the like, which Python before 3.9 cannot evaluate, and annotations are evaluated."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Subscript))
    return [ast.unparse(node) for node in nodes if isinstance(node.value, ast.Name) and node.value.id in GENERICS]


def test_annotations_are_those_of_python_36() -> None:
    found = {path.name: newer_generics(path.read_text(encoding="utf-8")) for path in worker_files()}
    assert {name: generics for name, generics in found.items() if generics} == {}
    assert newer_generics("x: list[int] = []\ndef f(a: dict[str, int]) -> None: pass") == [
        "list[int]",
        "dict[str, int]",
    ]


def test_syntax_on_the_oldest_interpreter() -> None:
    version, path, _ = interpreters()[0]
    done = run(path, COMPILE, *map(str, worker_files()))
    assert done.returncode == 0, f"Python {version}: {done.stderr}"


def test_imports_on_the_oldest_interpreter_with_numpy() -> None:
    version, path, _ = next(entry for entry in interpreters() if entry[2])
    done = import_alone(path, modules())
    assert done.returncode == 0, f"Python {version}: {done.stderr}"


def test_imports_here() -> None:
    """With everything installed, NumPy alone is enough, and no framework gets imported."""
    done = import_alone(sys.executable, modules())
    assert done.returncode == 0, done.stderr
    listing = "import sys, harness.frameworks.contract.adapter as b; assert b.implementations(); "
    listing += f"sys.exit(', '.join(set(sys.modules) & set({FRAMEWORKS!r})) or 0)"
    done = run(sys.executable, listing)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_an_adapter_that_imports_its_framework_is_caught(tmp_path: Path, framework: str) -> None:
    (tmp_path / "faulty_adapter.py").write_text(f"import {framework}\n", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + IMPORT_ALONE
    done = run(sys.executable, code, ",".join(FRAMEWORKS), "faulty_adapter")
    assert done.returncode != 0
    assert f"{framework} is not there for a worker" in done.stderr


@pytest.mark.parametrize("line", ["if (n := 3): pass", "def f(a, /): pass", "x = f'{1=}'"])
def test_newer_syntax_is_caught(tmp_path: Path, line: str) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(line + "\n", encoding="utf-8")
    version, python, _ = interpreters()[0]
    if version < (3, 8):
        assert run(python, COMPILE, str(path)).returncode != 0
    elif "=}" not in line:  # the grammar check does not look into f-strings
        with pytest.raises(SyntaxError):
            ast.parse(line, feature_version=OLDEST)


def test_a_framework_is_imported_when_it_is_used() -> None:
    found = run(sys.executable, LAZY)
    assert found.returncode == 0, found.stderr
