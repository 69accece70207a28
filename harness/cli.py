"""The command `harness`.

Start-up is part of the interface: a command's module is imported when the command is used, and those modules import
what they need inside their functions, so that `--help`, `list` and `validate` never wait for a framework, pandas or
scipy.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from harness.commands.group import COMMANDS, LazyGroup
from harness.commands.guard import guarded
from harness.version import __version__

_EPILOG = """\b
Examples:
  harness run cases                  run every case; report in reports/latest
  harness run cases/lstm -k float32  only those whose id matches
  harness doctor                     what this machine can run

\b
Exit codes: 0 ok, 1 a difference, 2 interrupted, 3 internal error, 4 usage or
invalid case, 5 nothing selected, 10 a backend could not be run.

\b
Shell completion, e.g. for bash (zsh_source and fish_source likewise):
  eval "$(_HARNESS_COMPLETE=bash_source harness)"
"""


def make(commands: Mapping[str, tuple[str, str]] = COMMANDS) -> click.Group:
    """The command group over a table of commands: name -> (module:attribute, short help)."""

    @click.group(
        cls=LazyGroup, commands_table=commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
    )
    @click.version_option(__version__, "-V", "--version", prog_name="harness", message="%(prog)s %(version)s")
    def harness() -> None:
        """Does the same configuration mean the same computation in every framework?

        Runs YAML cases of recurrent layers and dropout through TensorFlow, PyTorch, JAX and NumPy and says where they
        differ: in meaning, in rounding or not at all.
        """

    return harness


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises."""
    return guarded(make(), list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
