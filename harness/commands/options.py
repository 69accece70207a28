"""Options that several commands share."""

from __future__ import annotations

import click


def _implementations(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Completions of `--backend`; made when a shell asks for them."""
    from harness.frameworks.contract.adapter import implementations
    from harness.frameworks.contract.framework import backends

    names = dict.fromkeys([*backends(), *sorted(name for _, _, name in implementations())])
    return [name for name in names if name.startswith(incomplete)]


class Choice(click.Choice[str]):
    """A choice that suggests the nearest word on a typo."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As click does, and `did you mean`."""
        from harness.errors import did_you_mean

        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = did_you_mean(str(value), [str(choice) for choice in self.choices])
            raise click.BadParameter(error.message + hint, ctx=ctx, param=param) from None


#: Types that shells complete as files and folders; what is there, and how it is said, is for the commands.
FILE = click.Path()
#: Case files, folders of them, ids, and stored runs, which stand for their cases.
paths = click.argument("paths", nargs=-1, required=True, metavar="PATHS...", type=FILE)
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
    shell_complete=_implementations,
    help="Only this backend, implementation or pattern, e.g. torch or 'torch.nn.*'. May be repeated.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print versioned JSON on stdout.")
verbose = click.option("-v", "--verbose", count=True, help="Say more; show the traceback of an internal error.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Say less.")
no_progress = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
