"""Options that several commands share."""

from __future__ import annotations

import click

paths = click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
expression = click.option(
    "-k",
    "expression",
    default="",
    metavar="EXPR",
    help="Only cases whose id, layer or tags match, e.g. 'lstm and not float16'.",
)
backends = click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Only this backend, implementation or pattern, e.g. torch or 'torch.nn.*'. May be repeated.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print versioned JSON on stdout.")
verbose = click.option("-v", "--verbose", count=True, help="Say more; show the traceback of an internal error.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Say less.")
