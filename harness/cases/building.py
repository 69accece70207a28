"""From a case's tree of values to Variants: what the parts mean together, asked of the layer kind."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from harness.cases.arrays import array_spec, place_of
from harness.cases.backends import backend_refs, check_recorded, expectations
from harness.cases.document import Document
from harness.cases.matrix import Combination, Template, combinations, value_text
from harness.cases.problems import Complaints, Path, dotted, show, validate, validate_plain
from harness.cases.schema import CaseFile, FillEntry
from harness.errors import Place, Problem, did_you_mean
from harness.layers.base import DropoutSpec, LayerKind, Refused, kinds
from harness.records import ArraySpec, BackendRef, Expectation, Site, Variant

#: Distinct problems of one file to report before the rest is only counted.
MAX_PROBLEMS = 100
DEFAULT_WEIGHTS = {"fill": "uniform"}
T = TypeVar("T")
Shapes = dict[str, tuple[int, ...]]


class Builder:
    """Makes the variants of one document. What no matrix value changes is worked out once and shared."""

    def __init__(self, document: Document, folder: str) -> None:
        self.document = document
        self.folder = folder
        self.problems: dict[Problem, None] = {}
        self._memo: dict[str, tuple[Any, Any, Complaints, Any]] = {}

    def variants(self) -> Iterator[Variant]:
        """Yield the good variants; what is wrong with the others gathers in `problems`."""
        tree = self.document.value
        if not isinstance(tree, dict):
            self.problems[Problem(f"a case is a mapping, not {show(tree)}", self.document.place())] = None
            return
        complaints = Complaints()
        all_combinations = (
            combinations(tree["matrix"], complaints) if tree.get("matrix") is not None else [Combination()]
        )
        first = all_combinations[0] if all_combinations else Combination()
        self.template = Template(tree, first.values, complaints if all_combinations else Complaints())
        self._report(complaints, Combination())
        self.matrix_values: dict[str, Any] = dict(first.values)
        if complaints:
            # The rest of the file is still looked at, once, so that all problems show together.
            self._build(self.template.tree, Combination(), partial=True)
            return
        for combination in all_combinations:
            variant = self._build(self.template.fill(combination), combination)
            if variant is not None:
                yield variant

    # -- one variant ---------------------------------------------------------------------------------------------------

    def _build(self, tree: dict[str, Any], combination: Combination, *, partial: bool = False) -> Variant | None:
        complaints = Complaints()
        case = validate(CaseFile, tree, (), complaints)
        wrong = {path[0] for path, _, _ in complaints.found if path}
        found = {key: value for key, value in tree.items() if key not in wrong}
        kind = self._kind(found, complaints)
        layer = kind.name if kind is not None else None
        environment = found.get("environment") or ""
        refs = self._once(
            "backends",
            (found.get("backends"), layer, environment),
            complaints,
            lambda notes: backend_refs(found.get("backends") or [], layer, self.folder, environment, notes),
        )
        refs_good = "backends" in found and len(refs) == len(found["backends"])
        expect = self._once(
            "expect",
            (found.get("expect"), refs, layer),
            complaints,
            lambda notes: expectations(
                found.get("expect") or [], refs if refs_good else None, layer, self.matrix_values, notes
            ),
        )
        core = self._core(kind, found, tree, refs, complaints) if kind is not None else None
        if complaints:
            if partial:  # placeholders are not filled in, so only what holds whatever they stand for counts
                complaints.found = [item for item in complaints.found if not self._templated(item[0])]
            self._report(complaints, combination)
            return None
        if partial or case is None or core is None:
            return None
        config, sites, inputs, weights = core
        return Variant(
            id=self.document.path + combination.suffix,
            path=self.document.path,
            about=case.about,
            layer=case.layer,
            config=config,
            sites=sites,
            inputs=inputs,
            weights=weights,
            seeds=tuple(case.seeds),
            mode=case.mode,
            draws=case.draws,
            dtype=case.dtype,
            gradients=case.gradients,
            backends=self._placed_refs(refs),
            expect=self._placed_expectations(expect),
            variant=combination.values,
            tolerance=case.tolerance,
            checks=tuple(case.checks),
            timeout=case.timeout,
            tags=tuple(case.tags),
            place=self.document.place(),
            source=self.document.text,
        )

    def _kind(self, found: Mapping[str, Any], complaints: Complaints) -> LayerKind | None:
        name = found.get("layer")
        if name is None:
            return None
        kind = kinds().get(name)
        if kind is None:
            known = sorted(kinds())
            complaints.add(
                ("layer",), f"unknown layer {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}"
            )
        return kind

    def _core(
        self, kind: LayerKind, found: Mapping[str, Any], tree: Mapping[str, Any], refs: Any, complaints: Complaints
    ) -> tuple[Any, tuple[Site, ...], Mapping[str, ArraySpec], Mapping[str, ArraySpec]] | None:
        """Config, sites, inputs and weights. Remembered: in a matrix they often stay the same."""
        parts = tuple(tree.get(key) for key in ("config", "dropout", "inputs", "weights"))
        good = tuple(key in found or key not in tree for key in ("config", "dropout", "inputs", "weights"))
        return self._once(
            "core", (kind, parts, good, refs), complaints, lambda notes: self._resolve(kind, found, tree, refs, notes)
        )

    def _resolve(
        self,
        kind: LayerKind,
        found: Mapping[str, Any],
        tree: Mapping[str, Any],
        refs: tuple[BackendRef, ...],
        complaints: Complaints,
    ) -> tuple[Any, tuple[Site, ...], Mapping[str, ArraySpec], Mapping[str, ArraySpec]] | None:
        before = len(complaints)
        config = None
        if "config" in found or "config" not in tree:
            config = _config(kind, found.get("config", {}), complaints)
        dropout = self._dropout(kind, found, tree, complaints)
        inputs = self._inputs(kind, config, found, tree, complaints)
        if config is None or inputs is None:
            return None
        shapes: Shapes = {name: spec.shape for name, spec in inputs.items()}
        if not _asked(complaints, lambda: kind.check_inputs(config, shapes)):
            return None
        sites: list[tuple[Site, ...]] = []
        if dropout is not None:
            _asked(complaints, lambda: sites.append(kind.sites(config, dropout, shapes)))
        wanted: list[Shapes] = []
        _asked(complaints, lambda: wanted.append(kind.weight_shapes(config, shapes)))
        weights = self._weights(kind, wanted[0], found, tree, complaints) if wanted else None
        if any(ref.recorded for ref in refs):
            check_recorded(refs, found["backends"], kind.output_shapes(config, shapes), complaints)
        if len(complaints) > before or weights is None or not sites:
            return None
        return config, sites[0], inputs, weights

    def _dropout(
        self, kind: LayerKind, found: Mapping[str, Any], tree: Mapping[str, Any], complaints: Complaints
    ) -> list[DropoutSpec] | None:
        if "dropout" in tree and "dropout" not in found:
            return None
        before = len(complaints)
        specs: list[DropoutSpec] = []
        first: dict[str, int] = {}
        for index, raw in enumerate(found.get("dropout", [])):
            where: Path = ("dropout", index)
            spec = validate_plain(DropoutSpec, raw, where, complaints)
            if spec is None:
                continue
            if not 0.0 <= spec.rate <= 1.0:  # false for NaN too
                complaints.add((*where, "rate"), f"a rate is a probability, from 0 to 1, not {show(spec.rate)}")
            if spec.at not in kind.site_names:
                near = did_you_mean(spec.at, kind.site_names)
                known = f"{kind.name} has: {', '.join(kind.site_names)}" if kind.site_names else f"{kind.name} has none"
                complaints.add((*where, "at"), f"unknown dropout site {spec.at!r}{near}; {known}")
            elif spec.at in first:
                complaints.add((*where, "at"), f"{spec.at} is listed twice (first as entry {first[spec.at] + 1})")
            first.setdefault(spec.at, index)
            specs.append(spec)
        return specs if len(complaints) == before else None

    def _inputs(
        self, kind: LayerKind, config: Any, found: Mapping[str, Any], tree: Mapping[str, Any], complaints: Complaints
    ) -> dict[str, ArraySpec] | None:
        if "inputs" in tree and "inputs" not in found:
            return None
        before = len(complaints)
        specs: dict[str, ArraySpec] = {}
        for name, raw in found.get("inputs", {}).items():
            spec = array_spec(raw, ("inputs", name), name, self.folder, complaints)
            if spec is not None:
                specs[name] = place_of(spec, self.document.place(("inputs", name)))
        if config is None:
            return None
        required, optional = kind.input_names(config)
        for name in found.get("inputs", {}):
            if name not in required and name not in optional:
                near = did_you_mean(name, (*required, *optional))
                known = ", ".join((*required, *optional))
                complaints.add(("inputs", name), f"{kind.name} has no input {name!r}{near}; it has: {known}", key=True)
        for name in required:
            if name not in found.get("inputs", {}):
                complaints.add(("inputs", name), f"{kind.name} needs this input")
        return specs if len(complaints) == before else None

    def _weights(
        self,
        kind: LayerKind,
        wanted: Shapes,
        found: Mapping[str, Any],
        tree: Mapping[str, Any],
        complaints: Complaints,
    ) -> dict[str, ArraySpec] | None:
        raw = found.get("weights")
        if not wanted:
            if raw:
                complaints.add(("weights",), f"{kind.name} has no weights", key=True)
            return {}
        if raw is None:
            raw = DEFAULT_WEIGHTS
        if not isinstance(raw, Mapping):
            complaints.add(
                ("weights",), f"must be one rule such as {{fill: uniform}}, or arrays by name, not {show(raw)}"
            )
            return None
        before = len(complaints)
        specs: dict[str, ArraySpec] = {}
        one_rule = raw.keys() & {"fill", "file"} and not raw.keys() & wanted.keys()
        if one_rule:
            specs = self._one_rule(raw, wanted, complaints)
        else:
            for name in raw:
                if name not in wanted:
                    near = did_you_mean(name, (*wanted, *FillEntry.model_fields))
                    known = ", ".join(wanted)
                    complaints.add(
                        ("weights", name), f"{kind.name} has no weight {name!r}{near}; it has: {known}", key=True
                    )
            for name, shape in wanted.items():
                if name not in raw:
                    complaints.add(("weights", name), "is required")
                    continue
                spec = array_spec(raw[name], ("weights", name), name, self.folder, complaints, shape=shape)
                if spec is not None:
                    specs[name] = place_of(spec, self.document.place(("weights", name)))
        return specs if len(complaints) == before else None

    def _one_rule(self, raw: Mapping[str, Any], wanted: Shapes, complaints: Complaints) -> dict[str, ArraySpec]:
        """One rule for all weights: each has its own stream of the seed, or its own array of the file."""
        specs: dict[str, ArraySpec] = {}
        place = self.document.place(("weights",))
        for key in ("shape", "key"):
            if key in raw:
                complaints.add(
                    ("weights", key), "one rule for all weights takes no such key; write the weights by name", key=True
                )
                return specs
        for name, shape in wanted.items():
            notes = Complaints()
            spec = array_spec(raw, ("weights",), name, self.folder, notes, shape=shape, stream=name)
            complaints.found.extend(item for item in notes.found if item not in complaints.found)
            if spec is not None:
                specs[name] = place_of(spec, place)
        return specs

    # -- places and problems -------------------------------------------------------------------------------------------

    def _placed_refs(self, refs: tuple[BackendRef, ...]) -> tuple[BackendRef, ...]:
        return self._once(
            "placed backends",
            (refs,),
            Complaints(),
            lambda _: tuple(
                dataclasses.replace(ref, place=self.document.place(("backends", index)))
                for index, ref in enumerate(refs)
            ),
        )

    def _placed_expectations(self, expect: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
        return self._once(
            "placed expect",
            (expect,),
            Complaints(),
            lambda _: tuple(
                dataclasses.replace(item, place=self.document.place(("expect", index)))
                for index, item in enumerate(expect)
            ),
        )

    def _once(self, what: str, parts: tuple[Any, ...], complaints: Complaints, make: Callable[[Complaints], T]) -> T:
        """`make(notes)`, remembered while `parts` stay the same objects; its complaints are repeated each time."""
        key = tuple(_identities(parts))
        known = self._memo.get(what)
        if known is None or known[0] != key:
            notes = Complaints()
            value = make(notes)
            known = (key, value, notes, parts)  # keeping the parts keeps their identities
            self._memo[what] = known
        complaints.found.extend(known[2].found)
        result: T = known[1]
        return result

    def _templated(self, path: Path) -> bool:
        node: Any = self.template.tree
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return isinstance(node, str) and "{" in node

    def _report(self, complaints: Complaints, combination: Combination) -> None:
        for path, message, key in complaints.found:
            if len(self.problems) > MAX_PROBLEMS:
                return
            if len(self.problems) == MAX_PROBLEMS:
                problem = Problem(
                    f"has more than {MAX_PROBLEMS} problems; the rest is not shown", Place(self.document.path)
                )
            else:
                problem = self._problem(path, message, key, combination)
            self.problems[problem] = None

    def _problem(self, path: Path, message: str, key: bool, combination: Combination) -> Problem:
        made = self.template.origin(path, combination) if combination.values and not key else None
        if made is None:
            return Problem(message, self.document.place(path, key=key), dotted(path))
        name, where = made
        return Problem(
            f"{message} ({name}={value_text(combination.values[name])})", self.document.place(where), dotted(path)
        )


def _identities(parts: tuple[Any, ...]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, str | bool) or part is None:
            yield part
        elif isinstance(part, tuple):
            yield (len(part), id(part)) if part and dataclasses.is_dataclass(part[0]) else tuple(_identities(part))
        else:
            yield id(part)


def _asked(complaints: Complaints, ask: Callable[[], Any]) -> bool:
    """Ask the layer kind; a refusal becomes a complaint."""
    try:
        ask()
    except Refused as error:
        complaints.add(error.path, error.message)
        return False
    return True


def _config(kind: LayerKind, raw: Mapping[str, Any], complaints: Complaints) -> Any:
    """The kind's settings; equal ones are one object."""
    text = json.dumps(raw)
    try:
        return _parsed_config(kind.Config, text)
    except ValueError:
        return validate_plain(kind.Config, raw, ("config",), complaints)


@functools.lru_cache(maxsize=4096)
def _parsed_config(model: Any, text: str) -> Any:
    return model.model_validate_json(text, strict=True)
