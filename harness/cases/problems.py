"""Turning what pydantic and the layer kinds refuse into problems with a place, in words of a case file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import did_you_mean

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_LONGEST = 700
#: What frameworks and other tools call our keys; kept where the key exists.
_ELSEWHERE = {
    "p": "rate",
    "prob": "rate",
    "probability": "rate",
    "hidden_size": "units",
    "num_units": "units",
    "num_layers": "layers",
    "noise_shape": "shared",
    "broadcast_dims": "shared",
    "size": "shape",
    "std": "stddev",
    "sigma": "stddev",
    "name": "about",
    "description": "about",
    "kind": "layer",
    "atol": "tolerance",
    "rtol": "tolerance",
    "site": "at",
}
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of at most 64 bits",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
}


class Complaints:
    """Collects (path, message) pairs of one variant; `key` marks that the place is the key's, not the value's."""

    def __init__(self) -> None:
        self.found: list[tuple[Path, str, bool]] = []

    def add(self, path: Iterable[str | int], message: str, *, key: bool = False) -> None:
        """Note one problem at `path`; a message that quotes a very long text is cut."""
        message = message if len(message) <= _LONGEST else message[: _LONGEST - 3] + "..."
        self.found.append((tuple(path), message, key))

    def __len__(self) -> int:
        return len(self.found)


def validate(model: type[Model], data: Any, path: Path, complaints: Complaints) -> Model | None:
    """Validate Python values; on failure complain about everything wrong and return None."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        explain(error, model, data, path, complaints)
    return None


def validate_plain(model: type[Model], data: Any, path: Path, complaints: Complaints) -> Model | None:
    """Validate strictly, but as JSON: a list may stand for a tuple, while "10" is still no number.

    For models that are not written for strict Python values (settings of layer kinds).
    """
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        explain(error, model, data, path, complaints)
    return None


def explain(error: ValidationError, model: type[BaseModel], data: Any, path: Path, complaints: Complaints) -> None:
    """Add one complaint for each place that pydantic refused."""
    wanted: dict[Path, list[str]] = {}
    for detail in error.errors(include_url=False):
        inner, rest = _real(detail["loc"], data)
        where = path + inner
        kind = detail["type"]
        value = _at(data, inner)
        if kind == "extra_forbidden":
            word = str(rest[0] if rest else inner[-1])
            complaints.add(where, _unknown(word, _fields(model, inner[:-1])), key=True)
        elif kind == "missing":
            complaints.add(where + rest[-1:], "is required")
        elif kind in _TYPES:
            wanted.setdefault(where, []).append(_TYPES[kind])
        elif kind == "literal_error":
            wanted.setdefault(where, []).append(str(detail["ctx"]["expected"]))
        else:
            complaints.add(where, _message(detail, value, inner))
    for where, options in wanted.items():
        value = _at(data, where[len(path) :])
        words = [word for option in options for word in _quoted(option)]
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        complaints.add(where, f"must be {_either(options)}, not {show(value)}{near}")


def _either(options: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(options))


def _quoted(option: str) -> list[str]:
    return option.split("'")[1::2]


def _real(loc: tuple[int | str, ...], data: Any) -> tuple[Path, Path]:
    """Split a location into what exists in the data and the rest (a missing key, or a union's tag)."""
    for depth, step in enumerate(loc):
        inside = step in data if isinstance(data, Mapping) else isinstance(data, list) and step in range(len(data))
        if not inside:
            return tuple(loc[:depth]), tuple(loc[depth:])
        data = data[step]
    return tuple(loc), ()


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that `model` knows at `path`; nested models are followed."""
    for step in path:
        field = model.model_fields.get(step) if isinstance(step, str) else None
        annotation = field.annotation if field is not None else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown(word: str, known: Sequence[str]) -> str:
    if "keep" in word and "rate" in known:
        return f"unknown key; a rate is 1 - {word[:60]}"
    other = _ELSEWHERE.get(word, "")
    near = did_you_mean(other if other in known else word[:100], known)
    if near or not known:
        return f"unknown key{near}"
    return f"unknown key; known are: {', '.join(known)}"


def _message(detail: Any, value: Any, path: Path) -> str:
    kind, ctx, shown = detail["type"], detail.get("ctx", {}), show(value)
    if (
        path
        and str(path[-1]).endswith("rate")
        and kind in ("less_than_equal", "greater_than_equal", "finite_number", "less_than", "greater_than")
    ):
        high = "up to but not including 1" if kind == "less_than" else "to 1"
        return f"a rate is a probability, from 0 {high}, not {shown}"
    bounds = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("more than", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("less than", "lt"),
        "multiple_of": ("a multiple of", "multiple_of"),
    }
    if kind in bounds:
        words, key = bounds[kind]
        return f"must be {words} {_number(ctx[key])}, not {shown}"
    if kind == "finite_number":
        return f"must be a finite number, not {shown}"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty" if ctx.get("min_length") == 1 else f"needs at least {ctx['min_length']} entries"
    if kind == "too_long":
        return f"has more than {ctx['max_length']:,} entries"
    if kind == "string_pattern_mismatch":
        return "must not be blank" if ctx.get("pattern") == r"\S" else f"does not look right: {shown}"
    if kind in ("value_error", "assertion_error"):
        return f"{ctx['error']}, not {shown}" if str(ctx["error"]).startswith("must be") else str(ctx["error"])
    text = str(detail["msg"])
    return f"{text[:1].lower()}{text[1:]}, not {shown}"


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def show(value: Any) -> str:
    """A value as the author of a YAML file would recognise it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        text = repr(value)
        return f"the text {text if len(text) <= 60 else text[:57] + '...'}"
    return str(value)[:60]


def dotted(path: Iterable[str | int]) -> str:
    """`dropout.0.rate`: the same way to name a place that a matrix key takes."""
    words = [str(step) for step in path]
    return ".".join(word if len(word) <= 60 else word[:57] + "..." for word in words)
