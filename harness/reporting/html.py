"""The HTML page of a stored run: one file that opens from disk and asks nothing of any network.

The page carries a content security policy that allows its own script and style, by their digests, and no request at all. Whatever
comes from a case is escaped: by Jinja2 in the markup, by JSON escapes in the embedded data, and the script sets text,
never markup. That data is deflated, which makes the page several times smaller; the script unpacks it with what browsers have.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import shlex
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

from harness.reporting.exits import Exit
from harness.reporting.files import write_whole
from harness.reporting.groups import Group, grouped
from harness.reporting.model import pack, visible
from harness.reporting.parts import took
from harness.reporting.store import StoredRun
from harness.reporting.summary import headline, plural, summarise, verdict_line
from harness.reporting.verdicts import ORDER, SIGNS, words

PAGE = "report.html"
SCRIPTS = (
    "dom.js",
    "data.js",
    "masks.js",
    "charts.js",
    "power.js",
    "overview.js",
    "programs.js",
    "case.js",
    "profiles.js",
    "main.js",
)
STYLES = ("colours.css", "page.css", "case.css", "charts.css", "programs.css")
#: Rows that the page shows without its script.
STATIC_GROUPS = 200


def write(run: StoredRun, path: Path | None = None) -> Path:
    """Write the page into the run's folder, or to `path`; returns where."""
    path = path or run.folder / PAGE
    write_whole(path, render(run))
    return path


def render(run: StoredRun) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text("templates", name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    script = '"use strict";\n(async () => {\n' + "\n".join(_text("static", name) for name in SCRIPTS) + "})();\n"
    style = "\n".join(_text("static", name) for name in STYLES)
    return environment.get_template("report.html.j2").render(
        script=_trusted(script, "script"),
        style=_trusted(style, "style"),
        policy=f"default-src 'none'; img-src data:; script-src {_source(script)}; style-src {_source(style)}",
        data=embedded(pack(run)),
        **_head(run),
    )


def _head(run: StoredRun) -> dict[str, Any]:
    """What the markup itself says, so that the verdict is there before, and without, the script."""
    summary = summarise(run)
    groups = grouped(summary.differences)
    meta = run.meta
    total = sum(run.counts.values()) or 1
    machine = meta["machine"]
    return {
        "verdict": verdict_line(run),
        "tone": {Exit.OK: "good", Exit.DIFFERENCE: "bad"}.get(run.exit_code, "warn"),
        "headline": headline(run),
        "unexplained": len(summary.differences),
        "differences": plural(len(summary.differences), "difference"),
        "known": plural(len(summary.known), "known difference") if summary.known else "",
        "counts": [
            {
                "name": str(v),
                "words": words(v),
                "sign": SIGNS[v],
                "count": run.counts[v],
                "share": run.counts[v] / total,
            }
            for v in ORDER
            if v in run.counts
        ],
        "groups": [_block(group) for group in groups[:STATIC_GROUPS]],
        "more": max(0, len(groups) - STATIC_GROUPS),
        "meta": meta,
        "machine": machine,
        "started": str(meta.get("started", "")).replace("T", " ").replace("+00:00", " UTC"),
        "environments": [
            (name, list(packages))
            for name, packages in itertools.groupby(
                sorted(meta.get("frameworks", []), key=_package), key=lambda one: one["environment"]
            )
        ],
        "libraries": machine.get("libraries", {}),
        "took": took(meta),
        "command": shlex.join(meta.get("command", [])),
        "title": "Parity report",
    }


def _package(one: dict[str, str]) -> tuple[str, bool, str]:
    """The current environment first, and in each one Python last."""
    return one["environment"], one["package"] == "python", one["package"]


def _block(group: Group) -> dict[str, Any]:
    verdict = group.first.verdict
    return {
        "verdict": f"{SIGNS[verdict]} {words(verdict)}",
        "implementation": group.implementation,
        "cause": group.headline,
        "details": list(group.details()),
    }


def embedded(value: object) -> str:
    """JSON, deflated (RFC 1951), in base64: nothing in it ends a script element or begins markup."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(text.encode()) + packer.flush()
    return base64.b64encode(packed).decode()


def _trusted(text: str, element: str) -> Any:
    """Our own file as markup. It must not hold the end of its element, whatever is edited there."""
    import markupsafe

    if f"</{element}" in text.lower():
        raise ValueError(f"a static file holds the end of a {element} element")
    return markupsafe.Markup(text)


def _source(text: str) -> str:
    """The content-security-policy source of an inline element with this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(folder: str, name: str) -> str:
    return resources.files("harness.reporting").joinpath(folder, name).read_text(encoding="utf-8")
