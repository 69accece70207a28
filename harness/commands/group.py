"""A click group whose commands are imported when they are used, and which suggests the nearest name on a typo."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import click

from harness.errors import did_you_mean

#: Every command: where it is, and its line in `harness --help`, which imports none of them.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("harness.commands.run:run", "Run cases and write a report."),
    "pair": ("harness.commands.pair:pair", "Compare two programs or models, dropout included."),
    "init": ("harness.commands.init:init", "Write a port of your own to fill in, and a case for it."),
    "merge": ("harness.commands.merge:merge", "Put the shards of a run together."),
    "env": ("harness.commands.env:env", "Build, list and remove the environments of other framework versions."),
    "doctor": ("harness.commands.doctor:doctor", "Say what this machine can run, and why not the rest."),
    "list": ("harness.commands.listing:list_cases", "List cases with their layers, sites and backends."),
    "show": ("harness.commands.show:show", "Show one case: what it asks for and what it expands to."),
    "layers": ("harness.commands.layers:layers", "Say what a layer kind takes, and which implementations have it."),
    "validate": ("harness.commands.validate:validate", "Check case files without running anything."),
    "schema": ("harness.commands.schema:schema", "Print the JSON Schema of a case file."),
    "report": ("harness.commands.report:report", "Make the views of a stored run again."),
    "gate": ("harness.commands.gate:gate", "Compare a stored run with the committed baseline."),
    "baseline": ("harness.commands.baseline:baseline", "Write or show the committed baseline of the gate."),
    "compare": ("harness.commands.compare:compare", "Say what changed between two stored runs."),
    "history": ("harness.commands.history:history", "List past runs, or a case's figures over runs and versions."),
    "explain": ("harness.commands.explain:explain", "Say why the implementations of a stored run differ."),
    "power": ("harness.commands.power:power", "Say which faults a case could not notice."),
    "profile": ("harness.commands.profile:profile", "Say what implementations were measured to do, side by side."),
    "mask": (
        "harness.commands.mask:mask",
        "Predict the dropout mask that a seed gives in a framework, or find the seed that gave a mask.",
    ),
}

#: The sections of `harness --help`: what a person is about.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Run": ("run", "pair", "init", "merge", "env", "doctor"),
    "Look": ("list", "show", "layers", "validate", "schema", "report"),
    "Gate": ("gate", "baseline", "compare", "history"),
    "Study": ("explain", "power", "profile", "mask"),
}


class LazyGroup(click.Group):
    """Commands from a table of name -> (module:attribute, short help); one whose module is not there is left out."""

    def __init__(self, *args: Any, commands_table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = {name: entry for name, entry in commands_table.items() if _exists(entry[0])}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order of use."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for an unknown command."""
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            ctx.fail(f"no command {name!r}{did_you_mean(name, self.table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, in its sections, from the table alone."""
        placed = {name: title for title, names in SECTIONS.items() for name in names}
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (_, text) in self.table.items():
            sections.setdefault(placed.get(name, "Other commands"), []).append((name, text))
        width = max(map(len, self.table), default=0)
        for title, commands in sections.items():
            with formatter.section(title):
                # All sections have their texts in one column.
                formatter.write_dl([(name.ljust(width), text) for name, text in commands])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        """Complete command names from the table."""
        found = [
            click.shell_completion.CompletionItem(name, help=text)
            for name, (_, text) in self.table.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _exists(target: str) -> bool:
    try:
        return importlib.util.find_spec(target.partition(":")[0]) is not None
    except ModuleNotFoundError:
        return False
