"""The layer kinds as a page of documentation (Markdown); docs/layers.md is this."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from harness.commands.layer_limits import limits

_HEAD = """# Layer kinds

What a case may say of each layer kind, and which implementations have it. Made by `harness layers --markdown`; on the command
line `harness layers lstm` shows one kind, `--json` gives it to programs. How cases are written: [cases.md](cases.md).

{letters}.

Arrays are batch-major. Shapes are those of the smallest configuration; what a setting changes stands with it. An optional input
that is not given is zero. Integers travel as int64, whatever the case's dtype.

**Implementations**: *needs* are packages beside the backend's own; *environments* are the [named ones](adding.md#an-environment)
whose packages fit, beside the current interpreter where it has them. A *recipe* is the loop that people write where no
native layer exists. An implementation refuses what it has not (`unsupported`): sites, kinds of noise, settings (those
that every implementation of a kind understands are not listed), and what *only* leaves out: values of settings, scales,
the axes over which a mask is shared, dtypes, ranks, versions, a rate of 1. All of it is what the implementations
declare and are checked by. Its options
are given in the case: `{{torch: torch.nn.LSTM, options: {{batch_first: true}}}}`.
"""


def page(kinds: Sequence[dict[str, Any]]) -> str:
    """The page of these kinds, as `harness.commands.layers.one_kind` describes them."""
    from harness.layers._described import WORDS

    letters = textwrap.fill("Letters: " + ", ".join(f"{letter} {word}" for letter, word in WORDS.items()), 120)
    parts = [_HEAD.format(letters=letters), *(_kind(one) for one in kinds), _options(kinds)]
    return "\n".join(parts)


def _kind(found: dict[str, Any]) -> str:
    lines = [f"## {found['name']}", "", found["about"], ""]
    settings = [
        (
            f"`{one['name']}`",
            one["type"],
            f"`{default_text(one)}`" if not one["required"] else "required",
            one["description"] + _changes(one["changes"]),
        )
        for one in found["settings"]
    ]
    lines += _table(("setting", "type", "default", "meaning"), settings)
    lines += [f"- **{title}**: {shape_line(found, title, code='`')}" for title in ("inputs", "weights", "outputs")]
    lines += ["", *_table(("dropout site", "axes of a mask"), [(f"`{at}`", axes) for at, axes in sites_lines(found)])]
    rows = [
        (
            f"`{one['name']}`" + (" (recipe)" if one["recipe"] else ""),
            ", ".join(one["backends"]),
            ", ".join(f"`{need}`" for need in one["needs"]),
            ", ".join(one["environments"]),
            ", ".join(f"`{option['name']}: {default_text(option)}`" for option in one["options"]),
        )
        for one in found["implementations"]
    ]
    lines += _table(("implementation", "backends", "needs", "environments", "options and defaults"), rows)
    able = [
        (
            f"`{one['name']}` ({', '.join(one['backends'])})",
            _sites(found, one),
            ", ".join(one["noises"]),
            _code(one["settings"]),
            "; ".join(limits(one)),
        )
        for one in found["implementations"]
    ]
    if len({row[1:] for row in able}) > 1:
        lines += _table(("implementation", "dropout sites", "noise", "further settings", "only"), able)
    elif able:
        only = f" Of all: {able[0][4]}." if able[0][4] else ""
        lines += [f"Every implementation has the sites {able[0][1]} and the noise {able[0][2]}.{only}", ""]
    return "\n".join(lines)


def default_text(one: dict[str, Any]) -> str:
    """A default as YAML has it; "required" where there is none."""
    if one.get("required"):
        return "required"
    return "none" if one["default"] is None else json.dumps(one["default"])


def shape_line(found: dict[str, Any], title: str, code: str = "") -> str:
    """The inputs, weights or outputs of a kind with their shapes, on one line."""
    if title != "inputs":
        return ", ".join(f"{code}{name}{code} {shape}" for name, shape in found[title].items()) or "none"
    words = []
    for one in found["inputs"]:
        integers = f", integers from {one['integers'][0]} to {one['integers'][1]}" if one["integers"] else ""
        optional = "" if one["required"] else " (optional)"
        words.append(f"{code}{one['name']}{code} {one['shape']}{integers}{optional}")
    return ", ".join(words)


def sites_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Each site with the axes of its mask and their sizes."""
    if found["inputs"][0]["shape"] == "any shape":
        return [
            (one["at"], "those of x: batch, then time, or height and width, …, then features") for one in found["sites"]
        ]
    return [(one["at"], ", ".join(f"{axis} {size}" for axis, size in one["axes"].items())) for one in found["sites"]]


def _sites(found: dict[str, Any], one: dict[str, Any]) -> str:
    return "all" if len(one["sites"]) > 1 and one["sites"] == found["site_names"] else _code(one["sites"]) or "none"


def _options(kinds: Sequence[dict[str, Any]]) -> str:
    """What every option means."""
    meanings = {
        option["name"]: option["description"]
        for found in kinds
        for one in found["implementations"]
        for option in one["options"]
    }
    rows = [(f"`{name}`", text) for name, text in sorted(meanings.items())]
    return "\n".join(["## Options", "", *_table(("option", "meaning"), rows)]).rstrip("\n") + "\n"


def _changes(changes: dict[str, Any] | None) -> str:
    return f" With `{changes['with']}`: {'; '.join(changes['has'])}." if changes else ""


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table and an empty line; nothing for no rows."""
    if not rows:
        return []
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return [*(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines), ""]
