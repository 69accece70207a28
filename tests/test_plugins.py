"""Packages that bring a framework, a layer kind or a check of their own; and broken ones, which cost one line."""

from __future__ import annotations

import csv
import importlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from harness.frameworks.contract.adapter import Adapter, implementation
from harness.registry import Registry, required

PACKAGE = Path(__file__).parent / "plugin_package"
CASE = """about: A kind, a framework and a check that other people ship.
layer: halving
inputs: {x: {shape: [3, 4], fill: normal, seed: 1}}
backends:
  - toyframework: toyframework.Halve
  - toyframework: toyframework.Wrong
"""


def distribution(folder: Path, name: str, points: str) -> None:
    """What an installer leaves beside a package, as far as entry points need it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")


def installed(source: Path, package: str, name: str, folder: Path) -> Path:
    """A folder of sys.path with a package in it and the entry points of its pyproject.toml."""
    shutil.copytree(source / package, folder / package)
    text = (source / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'^\[project\.entry-points\."(.+?)"\]\n((?:\w+ = .*\n)+)', text, re.MULTILINE)
    distribution(folder, name, "".join(f"[{group}]\n{lines}".replace('"', "") for group, lines in found))
    return folder


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder of sys.path with the package in it."""
    folder = installed(PACKAGE, "parity_toys", "parity-toys", tmp_path / "site")
    points = (folder / "parity_toys-1.0.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert re.findall(r"\[(.+)\]", points) == ["harness.frameworks", "harness.layers", "harness.checks"]
    (tmp_path / "case.yaml").write_text(CASE, encoding="utf-8")
    return folder


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def rows(folder: Path) -> dict[tuple[str, str], str]:
    with (folder.parent / "out" / "results.csv").open(encoding="utf-8", newline="") as table:
        return {(row["implementation"], row["check"]): row["verdict"] for row in csv.DictReader(table)}


def test_a_package_brings_a_framework_a_kind_and_a_check(toys: Path) -> None:
    done = harness(toys, "run", "case.yaml", "--out", "out", "-q")
    assert done.returncode == 1, done.stdout + done.stderr
    found = rows(toys)
    assert {check: verdict for (name, check), verdict in found.items() if name.endswith("Halve")} == dict.fromkeys(
        ("value.y", "gradient.x", "repeat.forward", "repeat.gradient", "toy.sign"), "pass"
    )
    assert found["toyframework.Wrong", "toy.sign"] == "fail"
    assert "warning" not in done.stderr
    listed = harness(toys, "layers", "halving")
    assert "toyframework.Halve" in listed.stdout


BROKEN = {
    "cannot be imported": (
        {"broken.py": "import nothing_of_that_name\n"},
        "[harness.layers]\nbroken = broken\n",
        "entry point broken = broken in harness.layers: ModuleNotFoundError: No module named 'nothing_of_that_name'",
    ),
    "raises": (
        {"broken.py": "raise RuntimeError('two\\nlines')\n"},
        "[harness.checks]\nbroken = broken\n",
        "entry point broken = broken in harness.checks: RuntimeError: two lines",
    ),
    "a name that is taken": (
        {"broken.py": "from harness.layers.base import register\nfrom parity_toys.halving import Halving\n\n\n"
         "class Other(Halving):\n    pass\n\n\nregister(Other())\n"},
        "[harness.layers]\nzz = broken\n",
        "the layer kind 'halving' is registered twice: broken.Other and parity_toys.halving.Halving",
    ),
    "no record": (
        {"broken/__init__.py": ""},
        "[harness.frameworks]\nbroken = broken\n",
        "declares no FRAMEWORK, a harness.frameworks.contract.framework.Framework",
    ),
    "a framework that is there": (
        {"broken/__init__.py": "from harness.frameworks.torch import FRAMEWORK\n"},
        "[harness.frameworks]\nbroken = broken\n",
        "there is a framework 'torch' already",
    ),
    "a missing method": (
        {
            "broken/__init__.py": "from harness.frameworks.contract.framework import Framework\n"
            "FRAMEWORK = Framework('broken', ('broken',), ('broken',))\n",
            "broken/layers.py": "from harness.frameworks.contract.adapter import Adapter, implementation\n\n\n"
            "@implementation('broken.Layer', ['broken'], 'lstm')\nclass Layer(Adapter):\n"
            "    def slots(self, job):\n        return []\n",
        },
        "[harness.frameworks]\nbroken = broken\n",
        "broken.Layer: class Layer of broken.layers has no method tap, call",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_costs_one_line_and_all_others_go_on(name: str, toys: Path) -> None:
    files, points, words = BROKEN[name]
    for path, text in files.items():
        (toys / path).parent.mkdir(exist_ok=True)
        (toys / path).write_text(text, encoding="utf-8")
    distribution(toys, "broken-one", points)
    done = harness(toys, "run", "case.yaml", "--out", "out", "-q", "--backend", "toyframework.Halve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1, done.stderr
    assert warnings[0].startswith("warning: package broken-one: ")
    assert words in warnings[0]


@pytest.mark.slow
def test_the_package_as_pip_installs_it(tmp_path: Path) -> None:
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    shutil.copytree(PACKAGE, tmp_path / "source")
    subprocess.run([*command, str(target), str(tmp_path / "source")], check=True, timeout=300)
    (tmp_path / "case.yaml").write_text(CASE, encoding="utf-8")
    done = harness(target, "run", "case.yaml", "--out", "out", "-q", "--backend", "toyframework.Halve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(target)["toyframework.Halve", "toy.sign"] == "pass"


def test_what_two_classes_register_names_both() -> None:
    registry: Registry[int] = Registry("the thing", "harness.layers")
    registry.add("a", 1, Path)
    registry.add("a", 2, Path)
    with pytest.raises(ValueError, match=r"the thing 'a' is registered twice: builtins\.int and pathlib\.Path"):
        registry.add("a", 3, int)


def test_a_thread_that_asks_meanwhile_gets_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers' threads compare side by side: with a half of the checks, a comparison would owe a half of its rows."""
    package = tmp_path / "slowly"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import threading\nfrom harness.registry import Registry\n"
        "THINGS = Registry('the thing', 'slowly')\nhalf, on = threading.Event(), threading.Event()\n"
    )
    # A module may ask itself, while it is imported.
    (package / "first.py").write_text(
        "from slowly import THINGS\nTHINGS.add(1, 'first', object)\nASKED = list(THINGS.all())\n"
    )
    (package / "second.py").write_text(
        "from slowly import THINGS, half, on\nhalf.set()\non.wait(10)\nTHINGS.add(2, 'second', object)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    slowly = importlib.import_module("slowly")
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(lambda: list(slowly.THINGS.all()))
        assert slowly.half.wait(10)
        meanwhile = pool.submit(lambda: list(slowly.THINGS.all()))
        wait([meanwhile], timeout=0.2)
        slowly.on.set()
        assert whole.result(10) == meanwhile.result(10) == [1, 2]
    assert importlib.import_module("slowly.first").ASKED == [1]


def test_an_adapter_without_its_methods_is_refused_when_it_registers() -> None:
    class Half(Adapter):
        def slots(self, job: object) -> list[object]:
            return []

    with pytest.raises(ValueError, match=r"toys\.Half: class .*Half of .* has no method tap, call"):
        implementation("toys.Half", ["numpy"], "lstm")(Half)
    required(Half, Adapter, ("slots",), "toys.Half")
