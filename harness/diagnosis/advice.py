"""What to do about a fault, in the words of the framework that the code at hand is written in.

A fault has a sentence for everyone. Frameworks have their own (`Framework.fixes`), of the version that was run. Which framework
code under test is written in is read off its own file: the modules that it names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.frameworks.contract.adapter import implementations
from harness.frameworks.contract.capabilities import within
from harness.frameworks.contract.framework import Framework, frameworks, owner
from harness.records import BackendRef


@dataclass(frozen=True)
class Advice:
    """The frameworks that are asked, the nearest first, and the versions that ran."""

    records: tuple[Framework, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def fix(self, fault: str, default: str, words: Mapping[str, str]) -> str:
        """What to do about a fault; `default` where no framework has words of its own."""
        for record in self.records:
            for fix in record.fixes:
                if fix.fits(fault, words, self.versions):
                    return fix.said(words)
        return default


def advice_for(backend: BackendRef, layer: str, versions: Mapping[str, str]) -> Advice:
    """The advice for one implementation, or for code under test."""
    own = written_in(backend, versions) if backend.target else registered_by(backend, layer)
    general = owner(backend.backend)
    records = [*own, *([general] if general is not None and general not in own else [])]
    return Advice(tuple(records), dict(versions))


def registered_by(backend: BackendRef, layer: str) -> list[Framework]:
    """The framework whose modules register an implementation; [] where there is none."""
    known = implementations().get((backend.backend, layer, backend.implementation or ""))
    if known is None:
        return []
    packages = {f"harness.frameworks.{name}": record for name, record in frameworks().items()}
    return [record for package, record in packages.items() if known.adapter.__module__.startswith(f"{package}.")]


def written_in(backend: BackendRef, versions: Mapping[str, str]) -> list[Framework]:
    """The frameworks beside the backend's own that a file of code under test names."""
    try:
        source = Path(backend.target.rpartition(":")[0]).read_text(encoding="utf-8")
        modules = used(ast.parse(source))
    except (OSError, ValueError, SyntaxError):
        return []
    return [
        record
        for record in frameworks().values()
        if backend.backend in record.backends and any(names(need, modules, versions) for need in record.written)
    ]


def names(need: str, modules: Iterable[str], versions: Mapping[str, str]) -> bool:
    """Whether one of these modules is what `need` says, `flax.nnx` or `keras>=3`, in the version that ran."""
    module = need.replace("<", ">").partition(">")[0]
    if not any(f"{used}.".startswith(f"{module}.") for used in modules):
        return False
    if module == need:
        return True
    # Old TensorFlow has a Keras without a version of its own.
    return within(versions[module], need) if module in versions else "<" in need


def used(tree: ast.AST) -> set[str]:
    """The modules that a file imports, and what it takes of them by name: `tf.keras` is keras."""
    renamed: dict[str, str] = {}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                renamed[alias.asname or top] = alias.name if alias.asname else top
                found.add(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                renamed[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                found.add(f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in renamed:
            found.add(f"{renamed[node.value.id]}.{node.attr}")
    # A library's module inside of another one's is that library: tensorflow.keras.
    return found | {name.partition(".")[2] for name in found}
