"""`harness doctor`: what this machine can run, and why not the rest. Imports no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.commands import options

if TYPE_CHECKING:
    from rich.console import Console

_EPILOG = """\b
Examples:
  harness doctor
  harness doctor --json
"""


@click.command(epilog=_EPILOG)
@options.as_json
@options.verbose
def doctor(as_json: bool, verbose: int) -> int:
    """Say what this machine can run, and why not the rest.

    Lists backends and their implementations with versions, and the Python interpreters that environments for old
    frameworks can be made from. -v lists every implementation.
    """
    from harness.commands.console import output, print_json

    found = examine()
    if as_json:
        print_json(found)
    else:
        _print(found, output(), verbose)
    return 0


def examine() -> dict[str, Any]:
    """Backends, implementations and interpreters, as plain values."""
    from harness.environments.interpreters import find_interpreters
    from harness.reporting.machine import describe

    return {
        "format": "parity-harness doctor",
        "version": 1,
        "machine": describe(),
        "backends": backends(),
        "interpreters": find_interpreters(),
    }


def backends() -> list[dict[str, Any]]:
    """Every backend with its packages and implementations; `missing` names the packages that it lacks."""
    from harness.environments import offers, split_need
    from harness.frameworks.contract.adapter import implementations
    from harness.frameworks.contract.framework import backends as words
    from harness.reporting.machine import version_of

    here: dict[str, bool] = {}
    result = []
    for backend in words():
        own = sorted(
            (one for one in implementations().values() if one.backend == backend), key=lambda one: (one.layer, one.name)
        )
        packages = sorted({backend, *(split_need(need)[0] for one in own for need in one.needs)})
        for need in (*packages, *(need for one in own for need in one.needs)):
            here.setdefault(need, offers("", need))
        result.append(
            {
                "name": backend,
                "available": here[backend],
                "packages": {package: version_of(package) if here[package] else None for package in packages},
                "implementations": [
                    {
                        "name": one.name,
                        "layer": one.layer,
                        "recipe": one.recipe,
                        "available": here[backend] and all(here[package] for package in one.needs),
                        "missing": [package for package in one.needs if not here[package]],
                    }
                    for one in own
                ],
            }
        )
    return result


def _print(found: dict[str, Any], console: Console, verbose: int) -> None:
    from rich.text import Text

    from harness.frameworks.contract.framework import frameworks

    machine = found["machine"]
    console.print(
        Text(f"harness {machine['harness']}, Python {machine['python']}, {machine['cpu']} ({machine['cpus']} CPUs)")
    )
    console.print(Text(machine["system"], style="dim"))
    for backend in found["backends"]:
        here = backend["available"]
        packages = ", ".join(
            f"{name} {version}".strip() for name, version in backend["packages"].items() if version is not None
        )
        console.print()
        console.print(
            Text.assemble(
                ("✓ " if here else "✕ ", "green" if here else "red"), (backend["name"], "bold"), f"  {packages}"
            )
        )
        missing = [name for name, version in backend["packages"].items() if version is None]
        if missing:
            extra = frameworks()[backend["name"]].extra
            hint = f"; pip install 'parity-harness[{extra}]'" if extra else ""
            console.print(Text(f"  not installed: {', '.join(missing)}{hint}", style="yellow"))
        ready = [one for one in backend["implementations"] if one["available"]]
        layers = sorted({one["layer"] for one in ready})
        console.print(
            Text(
                f"  {len(ready)} of {len(backend['implementations'])} implementations can run"
                + (f": {', '.join(layers)}" if layers else "")
            )
        )
        for one in backend["implementations"] if verbose else ():
            why = f"  needs {', '.join(one['missing'])}" if one["missing"] else ""
            recipe = "  (recipe)" if one["recipe"] else ""
            console.print(Text(f"    {'✓' if one['available'] else '✕'} {one['layer']}: {one['name']}{recipe}{why}"))
    console.print()
    console.print(Text("Python interpreters", style="bold"))
    for one in found["interpreters"]:
        numpy = f"numpy {one['numpy']}" if one["numpy"] else "no numpy"
        note = f"{numpy}{', this one' if one['current'] else ''}" if one["version"] else one["problem"]
        console.print(Text(f"  {one['version'] or '?':<9} {one['path']}  ({note})"))
