"""`harness show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.records import ArraySpec, Variant

_EPILOG = """\b
Examples:
  harness show cases/lstm/variational.yaml
  harness show 'cases/lstm/variational.yaml::[rate=0.5-dtype=float32]'
"""


@click.command(epilog=_EPILOG)
@click.argument("case", metavar="ID", type=options.FILE)
@options.as_json
def show(case: str, as_json: bool) -> int:
    """Show one case: what it asks for and what it expands to.

    Runs nothing, and lists the implementations that would run. ID is a case file, a folder, the id of one variant, or a
    stored run.
    """
    from harness.commands.console import print_json
    from harness.selection.choosing import select_cases

    variants = select_cases([case])
    if as_json:
        print_json({"format": "parity-harness show", "version": 1, "cases": [detailed(v) for v in variants]})
        return 0
    for number, variant in enumerate(variants):
        if number:
            click.echo()
        _print(variant)
    return 0


def detailed(variant: Variant) -> dict[str, object]:
    """A case with its arrays' shapes and the implementations that a run would plan."""
    from harness.commands.listing import described
    from harness.execution.plan import expand
    from harness.reporting.rows import to_json

    config = variant.config.model_dump(mode="json") if hasattr(variant.config, "model_dump") else variant.config
    if variant.programs:
        config = {"reference": str(variant.config.first.target), "modes": list(variant.config.modes)}
    return described(variant) | {
        "config": to_json(config),
        "inputs": {name: list(spec.shape) for name, spec in variant.inputs.items()},
        "weights": {name: list(spec.shape) for name, spec in variant.weights.items()},
        "gradients": variant.gradients if variant.weight_gradients else "inputs",
        "timeout": variant.timeout,
        "tolerance": dict(variant.tolerance),
        "implementations": [ref.label for ref in expand(variant)],
        "source": variant.source,
    }


def _print(variant: Variant) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from harness.commands.console import output
    from harness.execution.plan import expand
    from harness.reporting.summary import clean
    from harness.selection.choosing import reproduce

    console = output()
    console.print(Text(clean(variant.id), style="bold"))
    if variant.about:
        console.print(Padding(Text(clean(variant.about)), (0, 0, 0, 2), expand=False))
    lines = {
        "layer": variant.layer,
        "mode": f"{variant.mode}, {variant.draws} draws, {variant.dtype}, seeds {', '.join(map(str, variant.seeds))}",
        "inputs": ", ".join(_array(name, spec) for name, spec in variant.inputs.items()),
        "weights": ", ".join(_array(name, spec) for name, spec in variant.weights.items()),
        "sites": "; ".join(
            f"{s.at} {s.noise} rate {s.rate:g}" + (f" shared over {', '.join(s.shared)}" if s.shared else "")
            for s in variant.sites
        ),
        "run with": reproduce(variant.id),
    }
    for name, text in lines.items():
        if text:
            console.print(Text.assemble((f"  {name:<9}", "dim"), clean(text)), soft_wrap=True)
    console.print(Text("  implementations", style="dim"))
    for ref in expand(variant):
        console.print(Text(f"    {clean(ref.label)}"))
    for known in variant.expect:
        until = f" (until {known.until})" if known.until else ""
        console.print(Text(f"  known: {clean(known.backend)} {clean(known.check)}: {clean(known.reason)}{until}"))


def _array(name: str, spec: ArraySpec) -> str:
    return f"{name} {spec.shape}"
