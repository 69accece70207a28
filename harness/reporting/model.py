"""What the HTML page is drawn from: a stored run packed into one small JSON document.

Texts that repeat (implementations, checks, causes) stand once and are referred to by number; figures have four
significant digits; a row ends at its last value that is not a default. The page's script (static/*.js) unpacks it;
`FIELDS` is their contract, and `drawing` has that of the charts.
"""

from __future__ import annotations

import math
import shlex
import unicodedata
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from harness.frameworks.contract.framework import backends
from harness.power import NOTICED, Power
from harness.records import Row, Verdict
from harness.reporting.described import axes_of
from harness.reporting.drawing import charts_by_case, powers_of
from harness.reporting.pictures import gates_first, picture
from harness.reporting.store import StoredRun
from harness.reporting.summary import label, plain_label
from harness.reporting.verdicts import MEANINGS, ORDER, SIGNS, severity, words

Thing = TypeVar("Thing", bound=Hashable)

#: What many rows have in common, and what a row has of its own; texts by number, 0 being the empty one.
KIND = ("check", "verdict", "seed", "unit", "cause", "diagnosis", "proof", "fix")
#: `place` only where it is not that of its cell.
FIELDS = ("kind", "measured", "limit", "where", "note", "place")


class Numbers(Generic[Thing]):
    """Numbers for things, in the order in which they were first seen."""

    def __init__(self, *first: Thing) -> None:
        self.known = {thing: number for number, thing in enumerate(first)}

    def __call__(self, thing: Thing) -> int:
        return self.known.setdefault(thing, len(self.known))


def pack(run: StoredRun) -> dict[str, Any]:
    """The page's data. Reads the rows once and each mask once."""
    texts, checks, implementations = Numbers(""), Numbers[str](), Numbers[str]()
    kinds = Numbers[tuple[int, ...]]()
    described: dict[str, dict[str, str]] = {}
    cells: dict[str, dict[int, tuple[int, list[list[Any]]]]] = {}
    seconds: dict[tuple[str, int], float] = {}
    differing: dict[tuple[str, str], set[str]] = {}
    for row in run.rows():
        if row.verdict is not Verdict.PASS:
            differing.setdefault((row.case, plain_label(row)), set()).add(row.check)
        name = visible(label(row))
        number = implementations(name)
        described.setdefault(
            name,
            {
                "name": name,
                "label": visible(plain_label(row)),
                "backend": visible(row.backend),
                "short": name.removeprefix(f"{visible(row.backend)}: ").replace(f" @{visible(row.environment)}", ""),
                "version": visible(row.version),
                "environment": visible(row.environment),
                "device": visible(row.device),
            },
        )
        cell = cells.setdefault(row.case, {}).setdefault(number, (texts(visible(row.place)), []))
        cell[1].append(_row(row, cell[0], texts, checks, kinds))
        seconds[row.case, number] = max(seconds.get((row.case, number), 0.0), row.comparison_seconds)
    paths, profiles = Numbers[str](), Numbers[tuple[tuple[int, int], ...]]()
    cases = [
        _case(case, paths, texts, profiles)
        | {
            "cells": [
                [number, round(seconds[case["id"], number], 3), place, rows]
                for number, (place, rows) in cells.get(case["id"], {}).items()
            ]
        }
        for case in run.cases
    ]
    pictures = _add_masks(run, cases)
    _add_charts(run, cases, differing)
    faults, rows = _add_powers(run, cases)
    return {
        "meta": _meta(run),
        "verdicts": [[str(v), words(v), SIGNS[v], MEANINGS[v]] for v in ORDER],
        "implementations": [described[name] for name in implementations.known],
        "order": sorted(range(len(implementations.known)), key=lambda n: _column(list(described.values())[n])),
        "checks": list(checks.known),
        "kinds": list(kinds.known),
        "profiles": list(profiles.known),
        "texts": list(texts.known),
        "sources": [visible(run.sources.get(path, ""), lines=True) for path in paths.known],
        "cases": cases,
        "pictures": pictures,
        "faults": faults,
        "powerRows": rows,
    }


def _row(row: Row, place: int, texts: Numbers[str], checks: Numbers[str], kinds: Numbers[tuple[int, ...]]) -> list[Any]:
    common = (row.seed, row.unit, row.cause, row.diagnosis, row.proof, row.fix)
    kind = kinds((checks(visible(row.check)), severity(row.verdict), *(texts(visible(text)) for text in common)))
    where, note = (texts(visible(text)) for text in (row.where, row.note))
    packed: list[Any] = [kind, figure(row.measured), figure(row.limit, 3), where, note]
    own = texts(visible(row.place))
    if own != place:
        return [*packed, own]
    # A figure may be a true 0; a text's number 0 is the empty text.
    while len(packed) > 3 and packed[-1] == 0:
        packed.pop()
    while len(packed) in (2, 3) and packed[-1] is None:
        packed.pop()
    return packed


def _case(
    case: dict[str, Any], paths: Numbers[str], texts: Numbers[str], profiles: Numbers[tuple[tuple[int, int], ...]]
) -> dict[str, Any]:
    sites = [
        {
            "at": visible(site["at"]),
            "text": visible(_site(site)),
            "axes": [visible(axis) for axis in site.get("axes", ())],
        }
        for site in case["sites"]
    ]
    return {
        "id": visible(case["id"]),
        "about": visible(case["about"]),
        "layer": visible(case["layer"]),
        "variant": visible(" ".join(f"{key}={value}" for key, value in case["variant"].items())),
        "facts": [
            ["mode", visible(case["mode"])],
            ["draws", visible(case["draws"])],
            ["dtype", visible(case["dtype"])],
            ["seeds", ", ".join(map(str, case["seeds"]))],
        ],
        "sites": sites,
        "expect": [
            [visible(e["backend"]), visible(e["check"]), visible(e["reason"]), e["until"] or ""] for e in case["expect"]
        ],
        "profiles": [
            [
                visible(one["backend"]),
                profiles(tuple((texts(visible(name)), texts(visible(text))) for name, text in one["entries"].items())),
            ]
            for one in case.get("profiles", ())
        ],
        "details": [[visible(d["backend"]), visible(d["text"], lines=True)] for d in case["details"]],
        "source": paths(case["path"]),
    }


def _site(site: dict[str, Any]) -> str:
    text = f"{site['noise']}, rate {site['rate']}"
    if site["shared"]:
        text += f", one mask shared over {' and '.join(site['shared'])}"
    return text if site["scale"] == "inverted" else f"{text}, scale {site['scale']}"


def _add_masks(run: StoredRun, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each packed case its masks; pictures that are the same in several places stand once."""
    by_id = {visible(case["id"]): packed for case, packed in zip(run.cases, cases, strict=True)}
    pictures: dict[str, tuple[int, dict[str, Any]]] = {}
    for case, entry, mask in run.masks_by_case():
        key = f"{entry['sha256']}{entry['shape']}{entry['dtype']}"
        if key not in pictures:
            if "stored" not in entry:
                mask = gates_first(mask, axes_of(case, entry["name"]))
            described = picture(mask, _panels(entry["shape"], axes_of(case, entry["name"])))
            if "stored" in entry and mask.shape[-2] > 1:
                described["pooled"] = True
            pictures[key] = (len(pictures), described)
        shape = "×".join(map(str, entry["shape"]))
        share = figure(entry.get("kept"))
        by_id[visible(case["id"])].setdefault("masks", []).append(
            [visible(entry["name"]), visible(entry["backend"]), pictures[key][0], shape, share]
        )
    return [described for _, described in pictures.values()]


def _panels(shape: Sequence[int], axes: Sequence[str]) -> int:
    """How many panels a mask of this shape has, its gates being panels."""
    if "gates" in axes and len(axes) == len(shape):
        at = list(axes).index("gates")
        shape = [shape[at], *shape[:at], *shape[at + 1 :]]
    return math.prod(shape[:-2])


def _add_charts(run: StoredRun, cases: list[dict[str, Any]], differing: dict[tuple[str, str], set[str]]) -> None:
    """Give each packed case its charts, by implementation."""
    by_id = {case["id"]: packed for case, packed in zip(run.cases, cases, strict=True)}
    for case, drawn in charts_by_case(run, differing):
        by_id[case]["charts"] = [[visible(name), _shown(figures)] for name, figures in drawn]


def _shown(value: Any) -> Any:
    """Plain values with every text, also the keys', made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return {visible(key): _shown(one) for key, one in value.items()} if isinstance(value, dict) else value


def _add_powers(run: StoredRun, cases: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Give each packed case what it notices: [fault, effect over limit, row], by number in what is returned."""
    faults, rows = Numbers[tuple[str, str]](), Numbers[str]()

    def packed(one: Power) -> list[Any]:
        ratio = one.ratio if math.isfinite(one.ratio) else None
        # Three digits, but never so that a fault changes sides.
        short = figure(ratio, 3) if ratio is None or not math.isclose(ratio, NOTICED, rel_tol=0.01) else ratio
        return [faults((visible(one.fault), visible(one.cause))), short, rows(visible(one.by))]

    found = powers_of(run)
    for case, target in zip(run.cases, cases, strict=True):
        if case["id"] in found:
            target["power"] = [packed(one) for one in found[case["id"]]]
    return list(faults.known), list(rows.known)


def _meta(run: StoredRun) -> dict[str, Any]:
    meta = run.meta
    return {
        "counts": [[severity(verdict), count] for verdict, count in run.counts.items()],
        "exit_code": meta["exit_code"],
        "interrupted": bool(meta.get("interrupted")),
        "command": visible(shlex.join(meta.get("command", []))),
        "noticed": NOTICED,
    }


def _column(described: dict[str, str]) -> tuple[int, str, str]:
    backend = described["backend"]
    # Recorded outputs first, the reference next.
    order = ("recorded", *backends())
    return (order.index(backend) if backend in order else len(order), described["environment"], described["name"])


def figure(value: float | None, digits: int = 4) -> float | str | None:
    """A figure as the page shows it: so many significant digits; NaN and infinities as words."""
    if value is None:
        return None
    if not math.isfinite(value):
        return repr(float(value))
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded


def visible(text: str, *, lines: bool = False) -> str:
    """Text with its invisible characters made visible: controls, and marks that change the direction of writing.

    `lines` keeps line breaks and tabs.
    """
    if text.isprintable():
        return text
    keep = "\n\t" if lines else ""
    return "".join(
        c if c in keep or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else f"⟨U+{ord(c):04X}⟩"
        for c in (text.replace("\r\n", "\n") if lines else text)
    )
