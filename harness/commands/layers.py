"""`harness layers`: what a layer kind takes, and which implementations have it. Imports no framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options

if TYPE_CHECKING:
    from rich.console import Console

_EPILOG = """\b
Examples:
  harness layers
  harness layers lstm
  harness layers gru --json
  harness layers --markdown --output docs/layers.md
"""


@click.command(epilog=_EPILOG)
@click.argument("kind", default="", metavar="[KIND]")
@click.option("--markdown", is_flag=True, help="As a page of documentation, of all kinds or of one.")
@click.option("--output", metavar="FILE", help="Write it there instead of stdout.")
@options.as_json
def layers(kind: str, markdown: bool, output: str | None, as_json: bool) -> int:
    """Say what a layer kind takes: settings, inputs, weights, dropout sites, outputs, implementations and their options.

    Without KIND it lists the kinds.
    """
    import json
    from pathlib import Path

    from harness.commands.console import output as stdout
    from harness.commands.layers_page import page
    from harness.errors import Problem, UserError, did_you_mean
    from harness.layers.base import kinds
    from harness.reporting.files import write_whole

    known = sorted(kinds())
    if kind and kind not in known:
        hint = did_you_mean(kind, known)
        raise UserError(Problem(f"no layer kind {kind!r}{hint}; there are: {', '.join(known)}"))
    if markdown and as_json:
        raise click.UsageError("--markdown and --json are two formats: give one")
    if output and not (markdown or as_json):
        raise click.UsageError("--output is for --markdown and --json")
    found = [one_kind(name) for name in ([kind] if kind else known)]
    if as_json or markdown:
        document = {"format": "parity-harness layers", "version": 1, "layers": found}
        text = page(found) if markdown else json.dumps(document, indent=2) + "\n"
        if output:
            write_whole(Path(output), text)
        else:
            click.echo(text, nl=False)
    elif kind:
        _print(found[0], stdout())
    else:
        for one in found:
            click.echo(f"{one['name']:<22} {one['about'].splitlines()[0]}")
    return 0


def one_kind(name: str) -> dict[str, Any]:
    """A layer kind with its implementations, as plain values."""
    from harness.layers._described import described
    from harness.layers.base import kinds

    kind = kinds()[name]
    names = kind.site_names or ("input",)
    return {**described(kind), "site_names": list(names), "implementations": implementing(name, names)}


def implementing(layer: str, sites: tuple[str, ...]) -> list[dict[str, Any]]:
    """The implementations of a layer kind by name; one that several backends run alike stands once, with all of them.

    `settings` are those beyond what every implementation understands; `environments` the named ones that have its packages.
    """
    from harness.commands.layer_limits import declared
    from harness.frameworks.contract.adapter import PLAIN_SETTINGS, implementations
    from harness.frameworks.contract.options import MEANINGS
    from harness.layers.base import kinds

    fields = [name for name, field in kinds()[layer].Config.model_fields.items() if not field.is_required()]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in sorted(implementations().values(), key=lambda one: (one.name, one.backend)):
        if one.layer != layer:
            continue
        adapter = one.adapter
        needs = tuple(need for need in one.needs if need != one.backend)
        versioned = (*one.needs, *adapter.versions)
        own_sites = [site for site in sites if site in adapter.sites]
        known = {**MEANINGS, **adapter.about_options}
        entry = {
            "name": one.name,
            "backends": [one.backend],
            "needs": list(needs),
            "recipe": one.recipe,
            "environments": _environments(one.backend, versioned),
            "options": [
                {"name": option, "default": default, "description": known.get(option, "")}
                for option, default in sorted(adapter.options.items())
            ],
            "sites": own_sites,
            "noises": list(adapter.noises),
            "settings": [name for name in fields if name in adapter.settings and name not in PLAIN_SETTINGS],
            **declared(
                adapter, own_sites, [name for name in kinds()[layer].Config.model_fields if name in adapter.settings]
            ),
        }
        same = found.setdefault((one.name, repr((adapter, needs))), entry)
        if same is not entry:
            same["backends"].append(one.backend)
            same["environments"] += [
                name for name in _environments(one.backend, versioned) if name not in same["environments"]
            ]
    return list(found.values())


def _environments(backend: str, needs: tuple[str, ...]) -> list[str]:
    """The described environments whose packages an implementation can run with."""
    from harness.environments import descriptions, offers

    return [
        name
        for name, described in descriptions().items()
        if backend in described.backends and all(offers(name, need) for need in needs)
    ]


def _print(found: dict[str, Any], console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from harness.commands.layer_limits import limits
    from harness.commands.layers_page import default_text, shape_line, sites_lines

    def table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        if not rows:
            return
        console.print()
        console.print(Text(title, style="bold"))
        shown = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            shown.add_row(*map(Text, row))
        console.print(shown)

    console.print(Text(f"{found['name']}: {found['about']}"))
    settings = [
        (one["name"], one["type"].replace("`", ""), default_text(one), one["description"]) for one in found["settings"]
    ]
    table("settings", ("name", "type", "default", "meaning"), settings)
    for title in ("inputs", "weights", "outputs"):
        console.print(Text.assemble((f"{title:<8} ", "bold"), shape_line(found, title)), soft_wrap=True)
    table("dropout sites", ("at", "axes of a mask"), sites_lines(found))
    implementations = [
        (
            one["name"] + (" (recipe)" if one["recipe"] else ""),
            ", ".join(one["backends"]),
            ", ".join(one["environments"]),
            ", ".join(f"{option['name']}={default_text(option)}" for option in one["options"]),
            ", ".join(one["sites"]),
        )
        for one in found["implementations"]
    ]
    table("implementations", ("name", "backends", "environments", "options", "sites"), implementations)
    able = [
        (one["name"], ", ".join(one["noises"]), ", ".join(one["settings"]), "; ".join(limits(one)))
        for one in found["implementations"]
    ]
    table("what they can do", ("name", "noise", "further settings", "only"), able)
    meanings = {option["name"]: option["description"] for one in found["implementations"] for option in one["options"]}
    table("options", ("name", "meaning"), sorted(meanings.items()))
