"""`harness pair`: is this program that one, dropout included?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options

if TYPE_CHECKING:
    from harness.pairs.case import PairCase

_EPILOG = """\b
Examples:
  harness pair model.py:Net port.py:Net --input tokens=4,9:int
  harness pair keras_model.py:run torch_model.py:run --input x=2,8,8,3 --seed 0 --seed 1
  harness pair cases/pairs/block.yaml
  harness pair tensorflow:old.py:run torch:new.py:run --input x=5,7
"""


@click.command(epilog=_EPILOG)
@click.argument("first")
@click.argument("second", required=False)
@click.option(
    "--input",
    "words",
    multiple=True,
    metavar="NAME=SHAPE[:FILL[:SEED]]",
    help="An input: a shape and a fill (normal, uniform, int, int<N, ones, zeros, arange, bool), or NAME=file.npy. Repeatable.",
)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0, 1), help="A seed to train with. Repeatable.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(["eval", "train"]),
    help="Only this mode. Default: both, eval first.",
)
@click.option(
    "--weights",
    default="own",
    metavar="own|auto|FILE",
    help="own: each program has its own (default). auto: the first's, found by name and shape. A mapping, FILE.json; or a "
    "function of the first's parameters by name that returns the second's, FILE.py:function.",
)
@click.option(
    "--write-weights", metavar="FILE", help="Write the mapping that `auto` found, to be corrected and used again."
)
@click.option("--no-gradients", is_flag=True, help="Compare no gradients.")
@options.as_json
def pair(
    first: str,
    second: str | None,
    words: tuple[str, ...],
    seeds: tuple[int, ...],
    modes: tuple[str, ...],
    weights: str,
    write_weights: str | None,
    no_gradients: bool,
    as_json: bool,
) -> int:
    """Compare two programs: FIRST is believed, its draws are replayed in SECOND. Or FIRST alone: a case file that names both.

    A program is `file.py:name`: a function that takes the inputs by name, a model, a class, or a function that makes a model.
    Evaluation is compared first, then training on the first program's draws. Nothing needs to be known of either.
    """
    from harness.frameworks.contract.programs import ProgramError
    from harness.pairs import report
    from harness.pairs.sides import running
    from harness.pairs.weights import as_text
    from harness.reporting.exits import Exit
    from harness.reporting.files import write_whole

    asked = _case(first, words, modes) if second is None else _programs(first, second, words, seeds, modes, weights)
    asked = dataclasses.replace(asked, gradients=asked.gradients and not no_gradients)
    results = []
    with running(asked.first, *(other for other, _ in asked.others)):
        for other, how in asked.others:
            try:
                result = asked.against(other, how)
            except ProgramError as error:
                click.echo(f"error: {error}", err=True)
                if error.detail:
                    click.echo(error.detail.rstrip(), err=True)
                return Exit.USAGE
            results.append(result)
            if write_weights and result.mapping is not None:
                write_whole(Path(write_weights), as_text(result.mapping))
    if as_json:
        from harness.commands.console import print_json

        print_json(report.as_json(results[0]) if second is not None else [report.as_json(result) for result in results])
    else:
        click.echo("\n".join(text for result in results for text in report.lines(result)))
    return Exit.OK if all(result.passed for result in results) else Exit.DIFFERENCE


def _programs(
    first: str, second: str, words: tuple[str, ...], seeds: tuple[int, ...], modes: tuple[str, ...], weights: str
) -> PairCase:
    """What two programs on the command line ask for."""
    from harness.pairs.case import PairCase
    from harness.pairs.inputs import parse
    from harness.pairs.sides import side
    from harness.pairs.weights import converter

    inputs = parse(words)
    sides = side(first, first), side(second, second)
    return PairCase(sides[0], [(sides[1], converter(weights))], inputs, seeds, modes or ("eval", "train"))


def _case(path: str, words: tuple[str, ...], modes: tuple[str, ...]) -> PairCase:
    """What a case file asks for."""
    from harness.errors import UserError
    from harness.pairs.case import load

    if not path.endswith((".yaml", ".yml")):
        raise UserError(f"{path!r}: a pair is two programs, file.py:name each, or one case file, FILE.yaml")
    if words:
        raise UserError("--input: the case file has its own inputs")
    found = load(path)
    return dataclasses.replace(found, modes=modes) if modes else found
