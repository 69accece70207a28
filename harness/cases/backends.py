"""The `backends` and `expect` lists of a case, resolved against the implementations that there are."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any

from harness.cases.arrays import ArrayReader, resolve_file
from harness.cases.matrix import identity, value_text
from harness.cases.problems import Complaints, Path, show, validate
from harness.cases.schema import BackendEntry, ExpectEntry, RecordedEntry, TargetEntry
from harness.errors import Place, did_you_mean
from harness.frameworks.contract.adapter import Implementation, implementations
from harness.frameworks.contract.framework import backends, frameworks
from harness.frameworks.contract.options import wanted
from harness.records import ArraySpec, BackendRef, Expectation

#: The environment name that means the interpreter at hand.
CURRENT = "current"
_NO_SETTINGS = BackendEntry()
#: YAML 1.1's other truth values, which are words here.
_TRUTH = {"on": "true", "yes": "true", "off": "false", "no": "false"}


def known_implementations(backend: str, layer: str) -> Mapping[str, Implementation]:
    """The implementations of a layer kind on a backend, by import name."""
    return _by_kind(len(implementations())).get((backend, layer), {})


@functools.lru_cache(maxsize=1)
def _by_kind(_size: int) -> dict[tuple[str, str], dict[str, Implementation]]:
    """The registry by (backend, layer); made anew when it has grown."""
    found: dict[tuple[str, str], dict[str, Implementation]] = {}
    for (backend, layer, name), item in implementations().items():
        found.setdefault((backend, layer), {})[name] = item
    return found


class BackendList:
    """Resolves a case's `backends`.

    layer        None where the case's layer is unknown; implementations are then not looked up.
    folder       of the case; targets and recorded files are seen from there.
    environment  the case's default.
    place        tells where in the file a path stands.
    ported       whether the files of users' own code and the environments' descriptions must be there; a stored case is
                 read without them.
    """

    def __init__(
        self,
        layer: str | None,
        folder: str,
        environment: str,
        place: Callable[[Path], Place],
        complaints: Complaints,
        ported: bool = True,
    ) -> None:
        self.ported = ported
        self.layer = layer
        self.folder = folder
        self.environment = environment
        self.place = place
        self.complaints = complaints

    def resolve(self, raw: Sequence[Any]) -> tuple[BackendRef, ...]:
        """All entries that mean something; complaints tell of the others.

        Recorded outputs are only read here; `check_recorded` compares their shapes with the layer's.
        """
        self._described(self.environment, ("environment",))
        refs: list[BackendRef] = []
        first: dict[str, int] = {}
        for index, entry in enumerate(raw):
            where: Path = ("backends", index)
            ref = self._entry(entry, where)
            if ref is None:
                continue
            for label in _labels(ref, self.layer):
                if label in first:
                    self.complaints.add(where, f"{label} is listed twice (first as entry {first[label] + 1})")
                    break
                first[label] = index
            refs.append(ref)
        return tuple(refs)

    def _entry(self, entry: Any, where: Path) -> BackendRef | None:
        if isinstance(entry, str):
            return self._implementation(entry, None, {}, where, where)
        if not isinstance(entry, Mapping):
            message = f"must be a backend, such as numpy or {{torch: torch.nn.LSTM}}, not {show(entry)}"
            self.complaints.add(where, message)
            return None
        if "recorded" in entry:
            return self._recorded(entry, where)
        if "target" in entry or "framework" in entry:
            return self._target(entry, where)
        settings = BackendEntry.model_fields
        named = [key for key in entry if key not in settings]
        known = [key for key in named if key in backends()]
        if len(known) > 1:
            self.complaints.add(where, f"names {len(known)} backends; give each an entry of its own")
            return None
        if len(named) > 1 and known:
            for key in named:
                if key not in known:
                    message = f"unknown key{did_you_mean(key, settings)}; an entry takes: {', '.join(settings)}"
                    self.complaints.add((*where, key), message, key=True)
            return None
        if not named or len(named) > 1:
            message = f"must name a backend ({', '.join(backends())}), or have a target or recorded outputs"
            self.complaints.add(where, message)
            return None
        backend = named[0]
        rest = {key: value for key, value in entry.items() if key != backend}
        return self._implementation(backend, entry[backend], rest, where, (*where, backend))

    def _implementation(
        self, backend: str, name: Any, rest: Mapping[str, Any], where: Path, at: Path
    ) -> BackendRef | None:
        """One implementation, or where `name` is None a whole backend. `at` is where the backend is named."""
        complain = self.complaints.add
        if backend not in backends():
            near = did_you_mean(backend, backends())
            complain(at, f"unknown backend {backend!r}{near}; there are: {', '.join(backends())}", key=at != where)
            return None
        if name is not None and not isinstance(name, str):
            complain(at, f"must be an import name, such as torch.nn.LSTM, not {show(name)}")
            return None
        before = len(self.complaints)
        extra = validate(BackendEntry, rest, where, self.complaints) if rest else _NO_SETTINGS
        if extra is None:
            return None
        if name is None:
            if extra.options:
                complain((*where, "options"), "options belong to one implementation; name it", key=True)
            if extra.name:
                complain((*where, "name"), "a whole backend has many rows; name one implementation", key=True)
        elif self.layer is not None:
            known = known_implementations(backend, self.layer)
            if name in known:
                self._check_options(extra.options, known[name], where)
            else:
                complain(at, _no_implementation(backend, name, self.layer, known))
        environment = self._environment(extra.environment, where)
        if len(self.complaints) > before:
            return None
        return BackendRef(
            backend=backend,
            implementation=name,
            name=extra.name or "",
            options=extra.options,
            environment=environment,
            whole=name is None,
            place=self.place(where),
        )

    def _check_options(self, options: Mapping[str, Any], item: Implementation, where: Path) -> None:
        known = item.adapter.options
        for option, value in options.items():
            at = (*where, "options", option)
            if option not in known:
                held = ", ".join(sorted(known)) or "none"
                message = f"unknown option{did_you_mean(option, known)}; {item.name} has: {held}"
                self.complaints.add(at, message, key=True)
            else:
                self._check_option(option, value, known[option], item.adapter.choices.get(option), at)

    def _check_option(self, option: str, value: Any, default: Any, choices: tuple[Any, ...] | None, at: Path) -> None:
        takes = wanted(option, value, default, choices)
        if takes is not None:
            near = ""
            if isinstance(value, str):
                near = _TRUTH.get(value.lower(), "") if "true" in takes else ""
                near = f" (did you mean {near}?)" if near else did_you_mean(value, re.findall(r"\w+", takes))
            self.complaints.add(at, f"must be {takes}, not {show(value)}{near}")

    def _environment(self, own: str | None, where: Path) -> str:
        if own is not None:
            self._described(own, (*where, "environment"))
        name = self.environment if own is None else own
        return "" if name == CURRENT else name

    def _described(self, name: str, where: Path) -> None:
        """Complain about an environment that nothing describes. A stored case is read where others are described."""
        if name in ("", CURRENT) or not self.ported:
            return
        from harness.environments import descriptions

        known = (CURRENT, *descriptions())
        if name not in known:
            near = did_you_mean(name, known)
            self.complaints.add(where, f"no environment {name!r} is described{near}; there are: {', '.join(known)}")

    def _target(self, entry: Mapping[str, Any], where: Path) -> BackendRef | None:
        found = validate(TargetEntry, entry, where, self.complaints)
        if found is None:
            return None
        before = len(self.complaints)
        environment = self._environment(found.environment, where)
        if frameworks()[found.framework].jit and "jit" in found.options:
            self._check_option("jit", found.options["jit"], True, None, (*where, "options", "jit"))
        file, _, function = found.target.rpartition(":")
        file = resolve_file(self.folder, file)
        if self.ported and not FilePath(file).is_file():
            self.complaints.add((*where, "target"), f"there is no file {file}")
        if len(self.complaints) > before:
            return None
        return BackendRef(
            backend=found.framework,
            name=found.name,
            options=found.options,
            environment=environment,
            target=f"{file}:{function}",
            place=self.place(where),
        )

    def _recorded(self, entry: Mapping[str, Any], where: Path) -> BackendRef | None:
        before = len(self.complaints)
        found = validate(RecordedEntry, entry, where, self.complaints)
        arrays: dict[str, ArraySpec] = {}
        raw = entry["recorded"]
        reader = ArrayReader(self.folder, self.place, self.complaints)
        if isinstance(raw, Mapping):
            for name, value in raw.items():
                inner: Path = (*where, "recorded", name)
                spec = reader.spec(value, inner, name)
                if spec is not None:
                    arrays[name] = spec
        if found is None or len(self.complaints) > before:
            return None
        return BackendRef(
            backend="recorded",
            name=found.name,
            recorded=arrays,
            digits=found.digits,
            decimals=found.decimals,
            source=found.source,
            place=self.place(where),
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


def check_recorded(
    refs: Iterable[BackendRef],
    raw: Sequence[Any],
    outputs: Mapping[str, tuple[int, ...]],
    complaints: Complaints,
) -> None:
    """Complain about recorded outputs that the layer does not have. Another shape is a finding, the check value.shape."""
    names = {
        entry["name"]: index for index, entry in enumerate(raw) if isinstance(entry, Mapping) and "recorded" in entry
    }
    for ref in refs:
        for name in ref.recorded or ():
            where: Path = ("backends", names[ref.name], "recorded", name)
            if name not in outputs:
                near = did_you_mean(name, outputs)
                complaints.add(where, f"the layer has no output {name!r}{near}; it has: {', '.join(outputs)}", key=True)


def _labels(ref: BackendRef, layer: str | None) -> tuple[str, ...]:
    """The labels that rows of this entry may have."""
    if not ref.whole or layer is None:
        return (ref.label,)
    return _whole_labels(ref.backend, layer, ref.environment, len(implementations()))


@functools.lru_cache(maxsize=256)
def _whole_labels(backend: str, layer: str, environment: str, _size: int) -> tuple[str, ...]:
    names = (None, *known_implementations(backend, layer))
    return tuple(BackendRef(backend, name, environment=environment).label for name in names)


def expectations(
    raw: Sequence[Any],
    refs: Sequence[BackendRef] | None,
    layer: str | None,
    matrix: Mapping[str, Sequence[Any]],
    place: Callable[[Path], Place],
    complaints: Complaints,
) -> tuple[Expectation, ...]:
    """Resolve the `expect` list. `refs` is None where the backends themselves are wrong. `matrix` has the matrix's values."""
    found: list[Expectation] = []
    labels = None if refs is None else [label for ref in refs for label in _labels(ref, layer)]
    for index, item in enumerate(raw):
        where: Path = ("expect", index)
        entry = validate(ExpectEntry, item, where, complaints)
        pattern = item.get("backend", "*") if isinstance(item, Mapping) else "*"
        if not isinstance(pattern, str):
            continue
        if labels is not None and not any(label == pattern or fnmatchcase(label, pattern) for label in labels):
            near = did_you_mean(pattern, labels)
            complaints.add((*where, "backend"), f"{pattern!r} is no backend of this case{near}")
        if entry is None:
            continue
        for key, value in entry.variant.items():
            inner: Path = (*where, "variant", key)
            if key not in matrix:
                complaints.add(inner, f"is no key of the matrix{did_you_mean(key, matrix)}", key=True)
            elif identity(value) not in map(identity, matrix[key]):
                complaints.add(inner, f"the matrix has no {key}={value_text(value)}")
        found.append(
            Expectation(
                pattern,
                entry.check,
                entry.reason,
                entry.until,
                entry.variant,
                place(where),
                entry.sometimes,
                place((*where, "check")),
            )
        )
    return tuple(found)
