"""`harness env create | list | remove`."""

from __future__ import annotations

import click

_EPILOG = """\b
Examples:
  harness env list
  harness env create tf1.8
  harness env create --all
  harness env remove tf1.8
"""


@click.group(epilog=_EPILOG)
def env() -> None:
    """Build, list and remove the environments of other framework versions.

    A case chooses one with `environment: tf1.8`. They are described in environments.toml (shipped, and in this folder) and built
    by uv under HARNESS_ENVIRONMENTS, or the user's cache.
    """


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from harness.environments import descriptions

    return [name for name in descriptions() if name.startswith(incomplete)]


@env.command(epilog="\b\nExample:\n  harness env create tf1.3 tf1.8")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_names)
@click.option("--all", "everything", is_flag=True, help="All that an interpreter is found for.")
@click.option("--anew", is_flag=True, help="Build again what is there already.")
def create(names: tuple[str, ...], everything: bool, anew: bool) -> int:
    """Build environments; one that is there already is left alone.

    With --all, environments whose interpreter is missing are named and passed over. Exit 10 where a named one cannot be built.
    """
    from harness.commands.guard import settle
    from harness.environments import building, descriptions
    from harness.reporting.exits import Exit

    if not names and not everything:
        raise click.UsageError("name environments, or give --all; `harness env list` shows them")
    wanted = tuple(descriptions()) if everything else names
    for name in wanted:
        building.describe(name)
    failed = False
    built = []
    for name in wanted:
        try:
            built.append(f"{name}: {building.create(name, lambda text: click.echo(text, err=True), anew=anew)}")
        except building.BuildError as error:
            click.echo(f"{name}: {error}", err=True)
            failed = failed or not (everything and "no Python" in str(error))
    settle(Exit.BACKEND if failed else Exit.OK)
    # All are built before any is printed: who reads the output may close it after the first line.
    for line in built:
        click.echo(line)
    return Exit.BACKEND if failed else Exit.OK


@env.command("list", epilog="\b\nExample:\n  harness env list --json")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every package.")
def list_environments(as_json: bool) -> int:
    """List the described environments, and which of them are built."""
    from harness.commands.console import print_json
    from harness.environments import building, descriptions, installed, place_of

    found = []
    for name, description in descriptions().items():
        record = installed(name)
        found.append(
            {
                "name": name,
                "about": description.about,
                "python": description.python,
                "built": bool(record),
                "folder": str(place_of(name, description)),
                "installed": record,
                "problem": building.problem(name),
            }
        )
    if as_json:
        print_json({"format": "parity-harness environments", "version": 1, "environments": found})
        return 0
    for one in found:
        state = "built" if one["built"] else str(one["problem"])
        click.echo(f"{one['name']:<8} Python {one['python']:<5} {state}\n         {one['about']}")
    return 0


@env.command(epilog="\b\nExample:\n  harness env remove tf1.3")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_names)
def remove(names: tuple[str, ...]) -> int:
    """Remove built environments."""
    from harness.environments import building

    done = [f"{name}: {'removed' if building.remove(name) else 'was not built'}" for name in names]
    for line in done:
        click.echo(line)
    return 0
