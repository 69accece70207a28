"""stdout and stderr as rich consoles that honour NO_COLOR, pipes and narrow terminals."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


def output() -> Console:
    """Where data goes. Into a pipe or file nothing is wrapped or cut, so that it can be searched."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False, width=100_000)
    return console


def messages() -> Console:
    """Where progress goes: stderr."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, emoji=False, markup=False)


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))
