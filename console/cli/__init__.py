"""The command line. Every command is imported when it is called, so that `note` never waits for a screen.

stdout is data, stderr is everything else, and `exits` owns the exit codes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, cast

from console.cli import exits

if TYPE_CHECKING:
    from argparse import Namespace

Implementation = Callable[["Namespace"], int]


def implementation(name: str) -> Implementation:
    """Import and return what a command runs."""
    from console.cli.arguments import COMMANDS

    module, function = COMMANDS[name].where.split(":")
    return cast("Implementation", getattr(import_module(f"console.cli.{module}"), function))


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit the process with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal of another encoding gets escapes for what it cannot show, instead of an error.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; what a person can cause ends in one sentence on stderr."""
    from console.cli.arguments import parse
    from console.cli.output import Unprinted, printing

    try:
        with printing():
            options = parse(argv)
        return implementation(options.command)(options)
    except BrokenPipeError:
        # Who reads our output has read enough, as `head` does.
        _let_go()
        return exits.OK
    except Unprinted as unprinted:
        from console.cli.trouble import complain

        _let_go()
        complain(str(unprinted))
        return exits.OUTPUT
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:
        from console.cli.trouble import explain

        code = explain(error)
        if code is None:
            raise
        return code


def _let_go() -> None:
    """Leave it at what was printed, also when the interpreter flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
