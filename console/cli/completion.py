"""`warroom completion`: a completion script made from the table of commands."""

from __future__ import annotations

from argparse import Namespace

from console.cli import exits
from console.cli.arguments import build


def run(options: Namespace) -> int:
    """`warroom completion`."""
    import shtab

    print(shtab.complete(build(), shell=options.shell))
    return exits.OK
