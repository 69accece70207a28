"""A layer kind in plain values: settings, inputs, weights, sites and outputs, with their shapes in letters.

Nothing is written down twice: the shapes are what the kind itself answers for sizes that are each a prime of its own, and what a
setting changes is found by setting it. So the page of the documentation that is made from this cannot grow old.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.layers._refusing import DropoutSpec, Refused

if TYPE_CHECKING:
    from harness.layers.base import LayerKind

#: Letters of sizes: batch, steps, features, units …; primes, so that 4H is told from anything else.
SIZES = {"B": 11, "T": 13, "D": 17, "H": 19, "E": 23, "V": 29, "P": 31, "S": 37}
WORDS = {
    "B": "batch",
    "T": "time steps",
    "S": "time steps of the encoder",
    "D": "features",
    "E": "features of the embedding, or of the decoder's input",
    "H": "units",
    "V": "vocabulary",
    "P": "projection",
}
#: Settings that are sizes, with their letters.
LETTERS = {"units": "H", "features": "E", "vocabulary": "V", "projection": "P"}

_LETTER = {size: letter for letter, size in SIZES.items()}
#: Example values of what a kind cannot do without, where it is no size.
_NEEDED = {"rate": 0.5, "stddev": 0.5}


def described(kind: LayerKind) -> dict[str, Any]:
    """Everything that a case may say to a layer kind, as JSON's types."""
    schema = kind.Config.model_json_schema()
    needed = {name: _example(name, field) for name, field in schema["properties"].items() if name in _required(schema)}
    base = _answers(kind, needed)
    settings = []
    for name, field in schema["properties"].items():
        required = name in _required(schema)
        settings.append(
            {
                "name": name,
                "type": _type(field),
                "required": required,
                "default": None if required else field.get("default"),
                "description": field.get("description", ""),
                "changes": None if required else _changes(kind, needed, name, field, base),
            }
        )
    return {"name": kind.name, "about": about(kind), "settings": settings, **base}


def weights(kind: LayerKind) -> tuple[str, ...]:
    """Names of the weights of the plainest layer of a kind; () where it refuses the usual sizes."""
    schema = kind.Config.model_json_schema()
    needed = {name: _example(name, field) for name, field in schema["properties"].items() if name in _required(schema)}
    try:
        return tuple(_answers(kind, needed)["weights"])
    except Refused:
        return ()


def about(kind: LayerKind) -> str:
    """The first lines of the kind's module and of its class."""
    module = inspect.getdoc(inspect.getmodule(type(kind))) or ""
    return "\n\n".join(
        " ".join(text.split("\n\n")[0].split()) for text in (module, inspect.getdoc(type(kind)) or "") if text
    )


def letters(size: int, shift: bool = False) -> str:
    """A size as a letter, a multiple of one, or (`shift`) one less than it; else the number."""
    for factor in (1, 2, 3, 4):
        if size % factor == 0 and size // factor in _LETTER:
            return ("" if factor == 1 else str(factor)) + _LETTER[size // factor]
    return f"{_LETTER[size + 1]} - 1" if shift and size + 1 in _LETTER else str(size)


def shape_text(shape: Sequence[int]) -> str:
    """A shape in letters: (B, T, 4H)."""
    return "(" + ", ".join(map(letters, shape)) + ("," if len(shape) == 1 else "") + ")"


def _answers(kind: LayerKind, settings: Mapping[str, Any], *, alike: bool = False) -> dict[str, Any]:
    """Inputs, weights, outputs and sites of a kind with these settings. Raises Refused where they mean nothing.

    alike: all inputs have D features.
    """
    config = kind.Config(**settings)
    required, optional = kind.input_names(config)
    words = {name: kind.input_letters.get(name, "BTD") for name in required}
    shapes = {
        name: tuple(SIZES[letter] for letter in (word.replace("E", "D") if alike else word))
        for name, word in words.items()
    }
    kind.check_inputs(config, shapes)
    any_shape = not kind.input_letters
    ranges = kind.integer_inputs(config, shapes)
    # A layer starts from what it returns: h0 has the shape of h.
    states = kind.output_shapes(_returning(kind, settings), shapes) if optional else {}
    shapes_of_all = shapes | {name: states[name.removesuffix("0")] for name in optional}
    inputs = []
    for name, shape in shapes_of_all.items():
        integers = [letters(end, shift=True) for end in ranges[name]] if name in ranges else None
        shown = "any shape" if any_shape else shape_text(shape)
        inputs.append({"name": name, "shape": shown, "required": name in required, "integers": integers})
    outputs = kind.output_shapes(config, shapes)
    return {
        "inputs": inputs,
        "weights": {name: shape_text(shape) for name, shape in kind.weight_shapes(config, shapes).items()},
        "outputs": {name: "x's shape" if any_shape else shape_text(shape) for name, shape in outputs.items()},
        "sites": _sites(kind, config, shapes),
    }


def _returning(kind: LayerKind, settings: Mapping[str, Any]) -> Any:
    """The settings with the states among the outputs."""
    return kind.Config(**{**settings, **{name: True for name in ("return_state",) if name in kind.Config.model_fields}})


def _sites(kind: LayerKind, config: Any, shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    """Every site that a case may name, with its axes and their sizes; a noise layer's own one where it has no others."""
    if not kind.site_names:
        found = {site.at: site for site in kind.sites(config, (), shapes)}
    else:
        found = {}
        for name in kind.site_names:
            for shared in ((), ("gates",)):  # some need one mask for all gates
                try:
                    found[name] = kind.sites(config, [DropoutSpec(at=name, rate=0.5, shared=shared)], shapes)[0]
                    break
                except Refused:
                    continue
    rank = "as x has them" if not kind.input_letters else ""
    return [
        {"at": name, "axes": {axis: rank or letters(size) for axis, size in zip(site.axes, site.full, strict=True)}}
        for name, site in found.items()
    ]


def _changes(
    kind: LayerKind, needed: Mapping[str, Any], name: str, field: Mapping[str, Any], base: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What setting one thing changes in the inputs, weights, outputs and sites, e.g. "weights projection (H, P)"."""
    value = _other(name, field)
    try:
        now = _answers(kind, {**needed, name: value})
    except Refused:
        try:
            now, base = (_answers(kind, settings, alike=True) for settings in ({**needed, name: value}, needed))
        except Refused:
            return None  # it means nothing alone
    found = []
    for title, before, after in (
        ("input", _named(base["inputs"], "name", "shape"), _named(now["inputs"], "name", "shape")),
        ("weight", base["weights"], now["weights"]),
        ("output", base["outputs"], now["outputs"]),
        ("site", _named(base["sites"], "at", "axes"), _named(now["sites"], "at", "axes")),
    ):
        gone = [key for key in before if key not in after]
        new = [f"{key} {_words(after[key])}" for key in after if after[key] != before.get(key)]
        if new:
            found.append(f"{title}{'s' if len(new) > 1 else ''} {', '.join(new)}")
        if gone:
            found.append(f"no {title} {', '.join(gone)}")
    return {"with": f"{name}: {_shown(value)}", "has": found} if found else None


def _named(entries: Sequence[Mapping[str, Any]], key: str, value: str) -> dict[str, Any]:
    return {entry[key]: entry[value] for entry in entries}


def _words(value: Any) -> str:
    """A shape, or a site's axes."""
    return f"({', '.join(f'{axis} {size}' for axis, size in value.items())})" if isinstance(value, dict) else str(value)


def _required(schema: Mapping[str, Any]) -> Sequence[str]:
    return list(schema.get("required", ()))


def _choices(field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas that a setting may fit, none apart."""
    return [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]


def _example(name: str, field: Mapping[str, Any]) -> Any:
    """A value for a setting that a kind cannot do without."""
    return SIZES[LETTERS[name]] if name in LETTERS else _NEEDED[name] if name in _NEEDED else _other(name, field)


def _other(name: str, field: Mapping[str, Any]) -> Any:
    """A value that is not the default, to see what it changes."""
    (first, *_) = _choices(field)
    if name in LETTERS:
        return SIZES[LETTERS[name]]
    if "enum" in first or "const" in first:
        return first.get("enum", [first.get("const")])[0]
    if first.get("type") == "boolean":
        return not field.get("default", False)
    if first.get("type") == "integer":
        return 2
    return 0.5 if first.get("type") == "number" else field.get("default")


def _shown(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return letters(value) if isinstance(value, int) else str(value)


def _type(field: Mapping[str, Any]) -> str:
    """The type of a setting in words, with its bounds."""
    words = []
    for one in _choices(field):
        if "enum" in one or "const" in one:
            words.append(" or ".join(f"`{value}`" for value in one.get("enum", [one.get("const")])))
        elif one.get("type") == "array":
            words.append("list of axes")
        elif one.get("type") == "boolean":
            words.append("true or false")
        else:
            bounds = [
                f"{sign} {re.sub(r'[.]0$', '', str(one[key]))}"
                for key, sign in (
                    ("minimum", "≥"),
                    ("exclusiveMinimum", ">"),
                    ("maximum", "≤"),
                    ("exclusiveMaximum", "<"),
                )
                if key in one
            ]
            words.append(" ".join([str(one.get("type", "value")), *([" and ".join(bounds)] if bounds else [])]))
    return " or ".join(words) + (" or none" if len(_choices(field)) < len(field.get("anyOf", [field])) else "")
