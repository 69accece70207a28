"""One module a command. At their top they import click and the standard library only; see harness/cli.py."""
