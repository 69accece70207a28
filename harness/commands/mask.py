"""`harness mask`: print, draw or save the mask that a seed gives, or find the seed that gives a mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from harness.streams.mask import Bools, Mask
    from harness.streams.search import Search

_EPILOG = """\b
Examples:
  harness mask --like torch.nn.Dropout --version 2.13 --seed 7 --shape 3,4
  harness mask --like keras.layers.LSTM --backend jax --seed 7 --shape 5,10
               --rate 0.3 -o site=state.h -o recurrent_dropout=true --draw
  harness mask --like tf.nn.dropout --seed 1 --shape 1000 --save mask.npy
  harness mask --find mask.npy --seeds 0:10000
  harness mask --rules
"""

_HEAD = {"format": "parity-harness mask", "version": 1}
#: More elements than this are not written as text.
_PRINTABLE = 1_000_000


@click.command("mask", epilog=_EPILOG)
@click.option("--like", metavar="API", help="Whose mask, by import name, e.g. torch.nn.Dropout.")
@click.option("--version", metavar="X.Y", help="Version of that framework; default: the newest one measured.")
@click.option("--backend", metavar="NAME", help="Keras's backend, or cuda for torch on a GPU.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the framework or layer is seeded with.")
@click.option("--shape", metavar="N,M,...", help="Shape of the tensor that is dropped.")
@click.option("--rate", type=float, help="Probability of dropping; default 0.5 (with --find: read off the mask).")
@click.option("--dtype", default="float32", show_default=True, help="float32, float64, float16 or bfloat16.")
@click.option("--call", type=int, default=0, show_default=True, help="Which call since seeding, from 0.")
@click.option(
    "-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the rule; see --rules."
)
@click.option("--find", "find_in", metavar="FILE.npy", help="Say which stream, seed, call and rate give this mask.")
@click.option(
    "--seeds", default="0:1000", show_default=True, metavar="A:B", help="Seeds that --find tries, B excluded."
)
@click.option("--calls", default="0:3", show_default=True, metavar="A:B", help="Calls that --find tries.")
@click.option("--save", metavar="FILE.npy", help="Write the mask there, bool, whole or not at all.")
@click.option("--draw", is_flag=True, help="Draw the mask in blocks: full where kept.")
@click.option("--rules", is_flag=True, help="List the APIs that have a rule, with their options.")
@click.option("--json", "as_json", is_flag=True, help="Print versioned JSON on stdout.")
def mask(
    like: str | None,
    version: str | None,
    backend: str | None,
    seed: int,
    shape: str | None,
    rate: float | None,
    dtype: str,
    call: int,
    options: tuple[str, ...],
    find_in: str | None,
    seeds: str,
    calls: str,
    save: str | None,
    draw: bool,
    rules: bool,
    as_json: bool,
) -> int:
    """Predict the dropout mask that a seed gives in a framework, or find the seed that gave a mask.

    No framework needs to be installed. Exit code 1: no stream that was tried gives the mask.
    """
    from harness.errors import UserError
    from harness.streams.prediction import predict
    from harness.streams.registry import lookup
    from harness.streams.search import find

    settings = dict(_option(text) for text in options)
    if rules:
        _show_rules(as_json)
        return 0
    if find_in is not None:
        search = find(
            _load(find_in),
            rate=rate,
            seeds=_range(seeds, "--seeds"),
            calls=_range(calls, "--calls"),
            like=like,
            version=version,
            backend=backend,
            dtypes=(dtype,),
            **settings,
        )
        _show_search(search, as_json)
        return 0 if search.found else 1
    if like is None:
        raise UserError("say whose mask with --like API, or which mask to explain with --find FILE.npy; see --help")
    if shape is None:
        lookup(like, version, backend)  # a misspelt name is told first
        raise UserError("give the tensor's shape, e.g. --shape 3,4")
    sizes, share = _shape(shape), 0.5 if rate is None else rate
    predicted = predict(like, version, seed, sizes, share, dtype, call, backend, **settings)
    asked = {"seed": seed, "shape": sizes, "rate": share, "dtype": dtype, "call": call, "backend": backend or ""}
    _show_mask(predicted, asked, save, draw, as_json)
    return 0


def _show_mask(predicted: Mask, asked: dict[str, Any], save: str | None, draw: bool, as_json: bool) -> None:
    import json

    from harness.errors import UserError

    keep = predicted.keep
    if save is not None:
        _save(keep, save)
    elif keep.size > _PRINTABLE:
        raise UserError(f"a mask of {keep.size} elements is too large to print: give --save FILE.npy")
    if as_json:
        told: dict[str, Any] = {
            **_HEAD,
            "like": predicted.like,
            "library_version": predicted.version,
            **asked,
            "stream": predicted.stream,
            "rule": predicted.rule,
            "confirmed": predicted.confirmed,
            "measured": list(predicted.measured),
            "note": predicted.note,
            "kept": int(keep.sum()),
            "dropped": int(keep.size - keep.sum()),
        }
        if save is None:
            told["keep"] = keep.astype(int).tolist()
        click.echo(json.dumps(told))
        return
    if save is None:
        for line in _lines(keep, "█·" if draw else None):
            click.echo(line)
    click.echo(f"# {predicted.provenance}", err=True)
    click.echo(f"# kept {int(keep.sum())} of {keep.size}" + (f"; written to {save}" if save else ""), err=True)


def _lines(keep: Bools, blocks: str | None) -> Iterator[str]:
    """Yield a mask as text, the last axis across; a blank line parts the matrices of a higher array."""
    if keep.ndim < 2:
        keep = keep.reshape(1, -1)
    rows = keep.reshape(-1, keep.shape[-1]) if keep.size else keep.reshape(0, 1)
    for number, row in enumerate(rows):
        if number and keep.ndim > 2 and number % keep.shape[-2] == 0:
            yield ""
        yield (
            "".join(blocks[0] if kept else blocks[1] for kept in row)
            if blocks
            else " ".join("01"[int(kept)] for kept in row)
        )


def _show_search(search: Search, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        found = [asdict(each) for each in search.found]
        told = {**_HEAD, "found": found, "tried": search.tried, "by_chance": search.by_chance}
        click.echo(json.dumps(told, default=repr))
        return
    for each in search.found:
        click.echo(str(each))
        low, high = each.rate_span
        rates = f"any rate from about {low:.6g} to {high:.6g} gives it; " if low != high else ""
        click.echo(f"  {rates}{each.stream}")
        if each.also:
            click.echo(f"  also: {', '.join(each.also)}")
    if not search.found:
        click.echo("no stream that was tried gives this mask")
    chance = f"{search.by_chance:.1e}" if search.by_chance >= 1e-300 else "below 1e-300"
    click.echo(
        f"# {search.tried} streams, seeds and calls tried; one matches by chance with probability {chance}", err=True
    )


def _show_rules(as_json: bool) -> None:
    import json

    from harness.streams.registry import known, span

    entries: list[dict[str, Any]] = [
        {
            "like": name,
            "versions": span(rule),
            "backends": [each for each in rule.backends if each],
            "confirmed": rule.confirmed,
            "measured": list(rule.measured),
            "draws": rule.kind,
            "options": sorted(rule.options),
            "stream": rule.stream,
        }
        for name, rules in sorted(known().items())
        for rule in rules
    ]
    if as_json:
        click.echo(json.dumps({**_HEAD, "rules": entries}))
        return
    for entry in entries:
        backends = f" on {', '.join(entry['backends'])}" if entry["backends"] else ""
        doubt = "" if entry["confirmed"] else " (unconfirmed)"
        normals = " (normals; Python API only)" if entry["draws"] == "normal" else ""
        click.echo(f"{entry['like']}{backends}: {entry['versions']}{doubt}{normals}")
        if entry["options"]:
            click.echo(f"  options: {', '.join(entry['options'])}")


def _shape(text: str) -> tuple[int, ...]:
    from harness.errors import UserError

    # A tuple of one size ends in a comma; any other missing size is a slip.
    listed = text.strip().strip("()[]").replace("x", ",").strip().removesuffix(",")
    try:
        return tuple(int(part) for part in listed.split(",")) if listed else ()
    except ValueError:
        raise UserError(f"--shape {text!r} is not a list of sizes such as 3,4") from None


def _range(text: str, name: str) -> range | list[int]:
    """Return `A:B`, `A,B,C` or `A` as numbers."""
    from harness.errors import UserError

    try:
        if ":" in text:
            low, high = text.split(":")
            return range(int(low or 0), int(high))
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{name} {text!r} is neither a span such as 0:1000 nor a list such as 1,2,3") from None


def _option(text: str) -> tuple[str, Any]:
    """Return `name=value` with the value as a Python literal where it is one; `@file` gives the file's bytes."""
    import ast

    from harness.errors import UserError

    name, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"--option {text!r} has no value: write NAME=VALUE")
    if value.startswith("@"):
        return name, _bytes(value[1:])
    if value.lower() in ("true", "false", "none"):
        value = value.capitalize()
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _bytes(path: str) -> bytes:
    from pathlib import Path

    from harness.errors import Place, Problem, UserError

    if path.endswith(".npy"):
        content: bytes = _load(path).tobytes()
        return content
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(Problem(error.strerror or str(error), Place(path))) from None


def _load(path: str) -> Any:
    import numpy as np

    from harness.errors import Place, Problem, UserError

    try:
        loaded = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(Problem(error.strerror or "not a .npy file", Place(path))) from None
    except (ValueError, EOFError) as error:
        raise UserError(Problem(f"not a .npy file of plain numbers: {error}", Place(path))) from None
    if not isinstance(loaded, np.ndarray):
        raise UserError(Problem("an archive of several arrays; give one .npy array", Place(path)))
    return loaded


def _save(keep: Bools, path: str) -> None:
    """Write a .npy file so that it appears whole or not at all."""
    import io
    from pathlib import Path

    import numpy as np

    from harness.errors import Place, Problem, UserError
    from harness.reporting.files import write_whole

    data = io.BytesIO()
    np.save(data, keep, allow_pickle=False)
    try:
        write_whole(Path(path), data.getvalue())
    except OSError as error:
        raise UserError(Problem(f"cannot write: {error.strerror or error}", Place(path))) from None
