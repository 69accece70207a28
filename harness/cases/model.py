"""The model of a case: settings, dropout sites, inputs and weights, checked against each other by the layer kind."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from harness.cases.arrays import MAX_ELEMENTS, MAX_TOGETHER, ArrayReader
from harness.cases.backends import check_recorded
from harness.cases.problems import Complaints, Path, show, validate_plain
from harness.cases.schema import FillEntry
from harness.errors import Place, did_you_mean
from harness.layers.base import DropoutSpec, LayerKind, Refused
from harness.records import ArraySpec, BackendRef, Site

#: The rule for weights of a case that says nothing of them.
DEFAULT_WEIGHTS = {"fill": "uniform"}

Shapes = dict[str, tuple[int, ...]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """What a case computes, before any array is made."""

    config: Any
    sites: tuple[Site, ...]
    inputs: Mapping[str, ArraySpec]
    weights: Mapping[str, ArraySpec]
    outputs: Mapping[str, tuple[int, ...]]


class ModelReader:
    """Reads the parts of a case that its layer kind knows about."""

    def __init__(self, kind: LayerKind, folder: str, place: Callable[[Path], Place], complaints: Complaints) -> None:
        self.kind = kind
        self.complaints = complaints
        self.arrays = ArrayReader(folder, place, complaints)

    def read(self, tree: Mapping[str, Any], found: Mapping[str, Any], refs: tuple[BackendRef, ...]) -> Model | None:
        """Read what can be read, complaining about the rest.

        tree   the whole case; `found` the parts of it whose type is right. A part in `tree` alone has been complained about.
        refs   the backends: recorded outputs must be among the layer's.
        """
        before = len(self.complaints)
        missing = {part for part in tree if part not in found}
        config = None if "config" in missing else self._config(found.get("config", {}))
        dropout = None if "dropout" in missing else self._dropout(found.get("dropout", ()))
        inputs = None if "inputs" in missing else self._inputs(found.get("inputs", {}), config)
        if config is None or inputs is None:
            return None
        shapes = tuple((name, spec.shape) for name, spec in inputs.items())
        try:
            answers = _answers(self.kind, json.dumps(found.get("config", {})), tuple(dropout or ()), shapes)
        except Refused:
            wanted = self._refusals(config, dropout or (), dict(shapes))
            if wanted is not None:
                self._weights(found.get("weights"), wanted)
            return None
        weights = self._weights(found.get("weights"), answers.weights)
        if len(self.complaints) == before:
            self._check_size(dict(shapes), answers)
        if any(ref.recorded for ref in refs):
            check_recorded(refs, found["backends"], answers.outputs, self.complaints)
        if len(self.complaints) > before or weights is None:
            return None
        return Model(config, answers.sites, inputs, weights, answers.outputs)

    def _check_size(self, inputs: Shapes, answers: Answers) -> None:
        """Refuse what no host could hold together, though each array alone might be possible."""
        held = [("inputs", inputs), ("weights", answers.weights), ("outputs", answers.outputs)]
        held.append(("draws", {site.at: site.shape for site in answers.sites}))
        sizes = {what: sum(math.prod(shape) for shape in shapes.values()) for what, shapes in held}
        if sum(sizes.values()) > MAX_TOGETHER:
            told = ", ".join(f"{size:,} in {what}" for what, size in sizes.items() if size)
            message = f"would have {sum(sizes.values()):,} elements ({told}); at most {MAX_TOGETHER:,} are possible"
            self.complaints.add(("config",) if sizes["inputs"] <= MAX_ELEMENTS else ("inputs",), message)

    def _refusals(self, config: Any, dropout: Sequence[DropoutSpec], shapes: Shapes) -> Shapes | None:
        """Complain about everything that the kind refuses; return the weights' shapes where they have any.

        Where the kind refuses the inputs, all else would only echo that.
        """
        kind = self.kind
        before = len(self.complaints)
        self._ask(lambda: kind.check_inputs(config, shapes))
        if len(self.complaints) > before:
            return None
        self._ask(lambda: kind.sites(config, dropout, shapes))
        self._ask(lambda: kind.output_shapes(config, shapes))
        return self._ask(lambda: kind.weight_shapes(config, shapes))

    def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except Refused as error:
            self.complaints.add(error.path, error.message)
            return None

    def _config(self, raw: Mapping[str, Any]) -> Any:
        """The kind's settings; equal ones are one object."""
        try:
            return _parsed(self.kind.Config, json.dumps(raw))
        except ValueError:
            return validate_plain(self.kind.Config, raw, ("config",), self.complaints)

    def _dropout(self, raw: Any) -> list[DropoutSpec] | None:
        before = len(self.complaints)
        complain = self.complaints.add
        specs: list[DropoutSpec] = []
        first: dict[str, int] = {}
        names = self.kind.site_names
        for index, entry in enumerate(raw):
            where: Path = ("dropout", index)
            try:
                spec = _parsed_dropout(json.dumps(entry))
            except ValueError:
                validate_plain(DropoutSpec, entry, where, self.complaints)
                continue
            if not 0.0 <= spec.rate <= 1.0:  # false for NaN too
                complain((*where, "rate"), f"a rate is a probability, from 0 to 1, not {show(spec.rate)}")
            if spec.at not in names:
                known = f"{self.kind.name} has: {', '.join(names)}" if names else f"{self.kind.name} has none"
                message = f"unknown dropout site {spec.at!r}{did_you_mean(spec.at, names)}; {known}"
                complain((*where, "at"), message)
            elif spec.at in first:
                complain((*where, "at"), f"{spec.at} is listed twice (first as entry {first[spec.at] + 1})")
            first.setdefault(spec.at, index)
            specs.append(spec)
        return specs if len(self.complaints) == before else None

    def _inputs(self, raw: Mapping[str, Any], config: Any) -> dict[str, ArraySpec] | None:
        before = len(self.complaints)
        specs: dict[str, ArraySpec] = {}
        for name, entry in raw.items():
            spec = self.arrays.spec(entry, ("inputs", name), name)
            if spec is not None:
                specs[name] = spec
        if config is None:
            return None
        required, optional = self.kind.input_names(config)
        known = (*required, *optional)
        for name in raw:
            if name not in known:
                message = (
                    f"{self.kind.name} has no input {name!r}{did_you_mean(name, known)}; it has: {', '.join(known)}"
                )
                self.complaints.add(("inputs", name), message, key=True)
        for name in required:
            if name not in raw:
                self.complaints.add(("inputs", name), f"is required: {self.kind.name} needs this input")
        return specs if len(self.complaints) == before else None

    def _weights(self, raw: Any, wanted: Shapes) -> dict[str, ArraySpec] | None:
        name = self.kind.name
        if not wanted:
            if raw:
                self.complaints.add(("weights",), f"{name} has no weights", key=True)
            return {}
        rule = DEFAULT_WEIGHTS if raw is None else raw
        if not isinstance(rule, Mapping):
            message = f"must be one rule such as {{fill: uniform}}, or arrays by name, not {show(raw)}"
            self.complaints.add(("weights",), message)
            return None
        before = len(self.complaints)
        one_rule = not rule.keys() & wanted.keys() and bool(rule.keys() & {"fill", "file"})
        specs = self._one_rule(rule, wanted) if one_rule else self._by_name(rule, wanted)
        return specs if len(self.complaints) == before else None

    def _one_rule(self, rule: Mapping[str, Any], wanted: Shapes) -> dict[str, ArraySpec]:
        """One rule for all weights: each has its own stream of the seed, or its own array of the file."""
        specs: dict[str, ArraySpec] = {}
        for key in ("shape", "key"):
            if key in rule:
                message = "a rule for all weights cannot have this; write the weights by name"
                self.complaints.add(("weights", key), message, key=True)
                return specs
        for name, shape in wanted.items():
            if math.prod(shape) > MAX_ELEMENTS:
                message = f"{name} {list(shape)} would have {math.prod(shape):,} elements"
                self.complaints.add(("config",), f"{message}; at most {MAX_ELEMENTS:,} are possible")
                return specs
            spec = self.arrays.spec(rule, ("weights",), name, shape=shape, stream=name)
            if spec is not None:
                specs[name] = spec
        return specs

    def _by_name(self, raw: Mapping[str, Any], wanted: Shapes) -> dict[str, ArraySpec]:
        specs: dict[str, ArraySpec] = {}
        for name in raw:
            if name not in wanted:
                near = did_you_mean(name, (*wanted, *FillEntry.model_fields))
                message = f"{self.kind.name} has no weight {name!r}{near}; it has: {', '.join(wanted)}"
                self.complaints.add(("weights", name), message, key=True)
        for name, shape in wanted.items():
            if name not in raw:
                self.complaints.add(("weights", name), f"is required: {list(shape)}")
                continue
            spec = self.arrays.spec(raw[name], ("weights", name), name, shape=shape)
            if spec is not None:
                specs[name] = spec
        return specs


@functools.lru_cache(maxsize=4096)
def _parsed(model: Any, text: str) -> Any:
    return model.model_validate_json(text, strict=True)


@functools.lru_cache(maxsize=4096)
def _parsed_dropout(text: str) -> DropoutSpec:
    return DropoutSpec.model_validate_json(text, strict=True)


class Answers(NamedTuple):
    """What a layer kind says of a configuration."""

    sites: tuple[Site, ...]
    weights: Shapes
    outputs: Shapes


@functools.lru_cache(maxsize=4096)
def _answers(
    kind: LayerKind, text: str, dropout: tuple[DropoutSpec, ...], shapes: tuple[tuple[str, tuple[int, ...]], ...]
) -> Answers:
    """Ask the kind; its methods are pure, and many cases share a configuration. Raises Refused.

    text  the settings as JSON: a model of them need not be hashable.
    """
    config = _parsed(kind.Config, text)
    inputs = dict(shapes)
    kind.check_inputs(config, inputs)
    return Answers(
        kind.sites(config, dropout, inputs), kind.weight_shapes(config, inputs), kind.output_shapes(config, inputs)
    )
