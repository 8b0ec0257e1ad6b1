"""`warroom completion`: a completion script made from the table of commands."""

from __future__ import annotations

from argparse import Namespace

from console.cli import exits
from console.cli.output import printing
from console.cli.parsing import build


def run(options: Namespace) -> int:
    """`warroom completion`."""
    import shtab

    with printing():
        print(shtab.complete(build(), shell=options.shell))
    return exits.OK
