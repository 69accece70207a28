"""The `backends` and `expect` lists of a case, resolved against the implementations that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any

from harness.adapters.base import Implementation, implementations
from harness.cases.arrays import array_spec, resolve_file
from harness.cases.problems import Complaints, Path, show, validate
from harness.cases.schema import BackendEntry, ExpectEntry, RecordedEntry, TargetEntry
from harness.errors import did_you_mean
from harness.records import BACKENDS, ArraySpec, BackendRef, Expectation

#: The environment name that means the interpreter at hand.
CURRENT = "current"


def known_implementations(backend: str, layer: str) -> dict[str, Implementation]:
    """The implementations of a layer kind on a backend, by import name."""
    return {name: item for (where, kind, name), item in implementations().items() if (where, kind) == (backend, layer)}


def backend_refs(
    raw: Sequence[Any], layer: str | None, folder: str, environment: str, complaints: Complaints
) -> tuple[BackendRef, ...]:
    """Resolve the list. `layer` is None where the case's layer is unknown; implementations are then not looked up.

    `environment` is the case's default. Recorded outputs get shapes only here; `check_recorded` compares them with the kind's.
    """
    refs: list[BackendRef] = []
    first: dict[str, int] = {}
    for index, entry in enumerate(raw):
        where: Path = ("backends", index)
        ref = _resolve(entry, where, layer, folder, environment, complaints)
        if ref is None:
            continue
        for label in _labels(ref, layer):
            if label in first:
                complaints.add(where, f"{label} is listed twice (first as entry {first[label] + 1})")
                break
            first[label] = index
        refs.append(ref)
    return tuple(refs)


def _resolve(
    entry: Any, where: Path, layer: str | None, folder: str, environment: str, complaints: Complaints
) -> BackendRef | None:
    if isinstance(entry, str):
        return _implementation(entry, None, {}, where, layer, environment, complaints)
    if not isinstance(entry, Mapping):
        complaints.add(where, f"must be a backend, such as numpy or {{torch: torch.nn.LSTM}}, not {show(entry)}")
        return None
    if "recorded" in entry:
        return _recorded(entry, where, folder, complaints)
    if "target" in entry or "framework" in entry:
        return _target(entry, where, folder, environment, complaints)
    named = [key for key in entry if key not in BackendEntry.model_fields]
    if len(named) != 1:
        known = [key for key in named if key in BACKENDS]
        if len(known) == 1:
            for key in named:
                if key not in known:
                    near = did_you_mean(key, BackendEntry.model_fields)
                    complaints.add((*where, key), f"unknown key{near}", key=True)
        elif known:
            complaints.add(where, f"names {len(known)} backends; give each an entry of its own")
        else:
            complaints.add(where, f"must name a backend: {', '.join(BACKENDS)}; or give a target or recorded outputs")
        return None
    backend = named[0]
    rest = {key: value for key, value in entry.items() if key != backend}
    return _implementation(backend, entry[backend], rest, where, layer, environment, complaints, mapping=True)


def _implementation(
    backend: str,
    name: Any,
    rest: Mapping[str, Any],
    where: Path,
    layer: str | None,
    environment: str,
    complaints: Complaints,
    *,
    mapping: bool = False,
) -> BackendRef | None:
    at = (*where, backend) if mapping else where
    if backend not in BACKENDS:
        near = did_you_mean(backend, BACKENDS)
        complaints.add(at, f"unknown backend {backend!r}{near}; there are: {', '.join(BACKENDS)}", key=mapping)
        return None
    if name is not None and not isinstance(name, str):
        complaints.add(at, f"must be an import name, such as torch.nn.LSTM, not {show(name)}")
        return None
    before = len(complaints)
    extra = validate(BackendEntry, dict(rest), where, complaints)
    if extra is None:
        return None
    if name is None:
        if extra.options:
            complaints.add((*where, "options"), "options belong to one implementation; name it", key=True)
        if extra.name:
            complaints.add((*where, "name"), "a whole backend has many rows; name one implementation", key=True)
    elif layer is not None:
        known = known_implementations(backend, layer)
        if name not in known:
            complaints.add(at, _no_implementation(backend, name, layer, known))
        else:
            options = known[name].adapter.options
            for option in extra.options:
                if option not in options:
                    held = ", ".join(sorted(options)) or "none"
                    near = did_you_mean(option, options)
                    complaints.add((*where, "options", option), f"unknown option{near}; {name} has: {held}", key=True)
    if len(complaints) > before:
        return None
    return BackendRef(
        backend=backend,
        implementation=name,
        name=extra.name or "",
        options=extra.options,
        environment=_environment(extra.environment, environment),
        whole=name is None,
    )


def _no_implementation(backend: str, name: str, layer: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if not names:
        return f"{backend} has no implementation of {layer}"
    for other, kind, own in implementations():
        if own == name and kind == layer:
            return f"{name} is an implementation of {other}, not of {backend}"
    kinds = sorted({kind for (where, kind, own) in implementations() if (where, own) == (backend, name)})
    if kinds:
        return f"{name} implements {', '.join(kinds)}, not {layer}; for {layer} there are: {', '.join(names)}"
    return f"unknown implementation {name!r}{did_you_mean(name, names)}; {backend} has for {layer}: {', '.join(names)}"


def _environment(own: str | None, default: str) -> str:
    name = default if own is None else own
    return "" if name == CURRENT else name


def _target(
    entry: Mapping[str, Any], where: Path, folder: str, environment: str, complaints: Complaints
) -> BackendRef | None:
    found = validate(TargetEntry, dict(entry), where, complaints)
    if found is None:
        return None
    file, _, function = found.target.rpartition(":")
    file = resolve_file(folder, file)
    if not FilePath(file).is_file():
        complaints.add((*where, "target"), f"there is no file {file}")
        return None
    return BackendRef(
        backend=found.framework,
        name=found.name,
        options=found.options,
        environment=_environment(found.environment, environment),
        target=f"{file}:{function}",
    )


def _recorded(entry: Mapping[str, Any], where: Path, folder: str, complaints: Complaints) -> BackendRef | None:
    before = len(complaints)
    found = validate(RecordedEntry, dict(entry), where, complaints)
    arrays: dict[str, ArraySpec] = {}
    raw = entry["recorded"]
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            spec = array_spec(value, (*where, "recorded", name), name, folder, complaints)
            if spec is not None:
                arrays[name] = spec
    if found is None or len(complaints) > before:
        return None
    return BackendRef(backend="recorded", name=found.name, recorded=arrays, digits=found.digits, source=found.source)


def check_recorded(
    refs: Iterable[BackendRef],
    raw: Sequence[Any],
    outputs: Mapping[str, tuple[int, ...]],
    complaints: Complaints,
) -> None:
    """Complain about recorded outputs that the layer does not have, or has in another shape."""
    names = {
        entry["name"]: index for index, entry in enumerate(raw) if isinstance(entry, Mapping) and "recorded" in entry
    }
    for ref in refs:
        for name, spec in (ref.recorded or {}).items():
            where: Path = ("backends", names[ref.name], "recorded", name)
            if name not in outputs:
                near = did_you_mean(name, outputs)
                complaints.add(where, f"the layer has no output {name!r}{near}; it has: {', '.join(outputs)}", key=True)
            elif spec.shape != outputs[name]:
                complaints.add(where, f"has shape {list(spec.shape)}, the layer's {name} has {list(outputs[name])}")


def _labels(ref: BackendRef, layer: str | None) -> list[str]:
    """The labels that rows of this entry may have."""
    if not ref.whole or layer is None:
        return [ref.label]
    names = known_implementations(ref.backend, layer)
    return [ref.label, *(dataclasses.replace(ref, implementation=name).label for name in names)]


def expectations(
    raw: Sequence[Any],
    refs: Sequence[BackendRef] | None,
    layer: str | None,
    matrix: Mapping[str, Any],
    complaints: Complaints,
) -> tuple[Expectation, ...]:
    """Resolve the `expect` list. `refs` is None where the backends themselves are wrong.

    matrix  the values of every matrix key.
    """
    found: list[Expectation] = []
    labels = None if refs is None else [label for ref in refs for label in _labels(ref, layer)]
    for index, item in enumerate(raw):
        where: Path = ("expect", index)
        entry = validate(ExpectEntry, item, where, complaints)
        if entry is None:
            continue
        pattern = entry.backend
        if labels is not None and not any(label == pattern or fnmatchcase(label, pattern) for label in labels):
            near = did_you_mean(pattern, labels)
            complaints.add((*where, "backend"), f"{pattern!r} is no backend of this case{near}")
        for key in entry.variant:
            if key not in matrix:
                near = did_you_mean(key, matrix)
                complaints.add((*where, "variant", key), f"is no key of the matrix{near}", key=True)
        found.append(Expectation(pattern, entry.check, entry.reason, entry.until, entry.variant))
    return tuple(found)
