"""The JSON Schema of a case file, for editors: completion and checking while one writes.

It says less than `harness validate`: shapes, and what a matrix makes, are beyond a schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.cases.schema import (
    BackendEntry,
    CaseFile,
    ExpectEntry,
    FileEntry,
    FillEntry,
    MatrixEntry,
    RecordedEntry,
    TargetEntry,
    ValuesEntry,
)
from harness.frameworks.contract.adapter import implementations
from harness.frameworks.contract.framework import backends
from harness.layers.base import DropoutSpec, LayerKind, kinds

#: The exported schema that editors and the documentation point to.
SCHEMA_FILE = Path(__file__).with_name("case.schema.json")

Json = dict[str, Any]
_PARTS = (
    ExpectEntry,
    FillEntry,
    FileEntry,
    ValuesEntry,
    BackendEntry,
    TargetEntry,
    RecordedEntry,
    MatrixEntry,
    DropoutSpec,
)


def json_schema() -> Json:
    """The schema of a case file with every layer kind's settings and implementations (draft 2020-12)."""
    definitions: Json = {}
    for model in _PARTS:
        _define(model, model.__name__, definitions)
    for name, kind in sorted(kinds().items()):
        _define(kind.Config, f"config.{name}", definitions)
        definitions[f"config.{name}"].pop("required", None)  # a matrix may set it
    definitions["Array"] = {
        "description": "A number, nested lists of numbers, a NumPy file or a fill.",
        "anyOf": [{"type": ["number", "array"]}, *map(_ref, ("FillEntry", "FileEntry", "ValuesEntry"))],
    }
    definitions["RecordedEntry"]["properties"]["recorded"]["additionalProperties"] = _ref("Array")
    definitions["MatrixEntry"]["additionalProperties"] = {"type": "array", "minItems": 1}
    definitions["BackendEntry"] = _backend_entry(definitions["BackendEntry"])
    schema: Json = CaseFile.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    properties = schema["properties"]
    properties["layer"]["enum"] = sorted(kinds())
    properties["dropout"]["items"] = _ref("DropoutSpec")
    properties["inputs"]["additionalProperties"] = _ref("Array")
    arrays: Json = {"type": "object", "additionalProperties": _ref("Array")}
    properties["weights"]["anyOf"] = [_ref("FillEntry"), _ref("FileEntry"), arrays]
    properties["backends"]["items"] = {
        "anyOf": [{"enum": list(backends())}, *map(_ref, ("BackendEntry", "TargetEntry", "RecordedEntry"))]
    }
    properties["expect"]["items"] = _ref("ExpectEntry")
    matrix = {**_ref("MatrixEntry"), "description": properties["matrix"]["description"]}
    for node in (schema, *definitions.values()):
        _allow_placeholders(node)
    properties["matrix"] = matrix
    definitions["placeholder"] = {
        "type": "string",
        "pattern": r"^\{[A-Za-z_][A-Za-z0-9_.]*\}$",
        "description": "A value of the matrix, by its key.",
    }
    schema["$defs"] = dict(sorted(definitions.items()))
    schema["allOf"] = [_for_layer(kind) for _, kind in sorted(kinds().items())]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "parity-harness case"}


def schema_text() -> str:
    """The schema as the checked-in file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _define(model: type[BaseModel], name: str, definitions: Json) -> None:
    schema = model.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    definitions[name] = schema


def _backend_entry(settings: Json) -> Json:
    """An entry names exactly one backend, beside the settings that all of them take."""
    named = {
        backend: {"type": ["string", "null"], "description": "Import name of the layer."} for backend in backends()
    }
    return {
        **settings,
        "properties": {**named, **settings["properties"]},
        "oneOf": [{"required": [backend]} for backend in backends()],
    }


def _for_layer(kind: LayerKind) -> Json:
    """What a case of one layer kind may say in `config`, `dropout` and `backends`."""
    entry: Json = {"type": "object", "properties": {}}
    for backend in backends():
        names = sorted(name for where, layer, name in implementations() if (where, layer) == (backend, kind.name))
        entry["properties"][backend] = {"anyOf": [{"enum": [*names, None]}, _ref("placeholder")]}
    then: Json = {
        "config": {"anyOf": [_ref(f"config.{kind.name}"), _ref("placeholder")]},
        "backends": {"items": {"if": {"type": "object"}, "then": entry}},
    }
    if kind.site_names:
        at = {"properties": {"at": {"anyOf": [{"enum": list(kind.site_names)}, _ref("placeholder")]}}}
        then["dropout"] = {"items": at}
    else:
        then["dropout"] = {"anyOf": [{"type": "array", "maxItems": 0}, _ref("placeholder")]}
    return {"if": {"properties": {"layer": {"const": kind.name}}, "required": ["layer"]}, "then": {"properties": then}}


def _allow_placeholders(node: Json) -> None:
    """Let a placeholder stand for any value of an object's properties that is not free text already."""
    properties = node.get("properties", {})
    for name, value in properties.items():
        properties[name] = _or_placeholder(value)


def _or_placeholder(value: Json) -> Json:
    value = _inside(value)
    pattern = value.get("pattern", r"\S")
    if value.get("type") == "string" and pattern == r"\S" and not value.keys() & {"enum", "format", "const"}:
        return value
    outer: Json = {key: value[key] for key in ("default", "description", "title") if key in value}
    inner = {key: item for key, item in value.items() if key not in outer}
    return {**outer, "anyOf": [inner, _ref("placeholder")]}


def _inside(value: Json) -> Json:
    """The same for the entries of lists, also where a list is one of several choices."""
    if isinstance(value.get("items"), dict):
        value = {**value, "items": _or_placeholder(value["items"])}
    if "anyOf" in value:
        value = {**value, "anyOf": [_inside(choice) for choice in value["anyOf"]]}
    return value
