"""The command line. Every command is imported when it is called, so that `note` never waits for a screen.

stdout is data, stderr is everything else, and `exits` owns the exit codes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn, cast

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
    code = run(sys.argv[1:] if argv is None else argv)
    if code == exits.INTERRUPTED:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End the process, after what still writes, but not the interpreter before it.

    The client of an object store has threads of its own. One whose request was given up prints a stack trace
    when it finds the interpreter gone.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; what a person can cause ends in one sentence on stderr."""
    from console.cli import output

    output.begin()
    code = _run(argv)
    failure = output.lost()
    if failure is None or isinstance(failure, BrokenPipeError):
        # Who reads our output may have read enough, as `head` does.
        return code
    from console.cli.trouble import complain

    complain(
        f"Not everything could be printed ({failure.strerror}). What was to be recorded is on the record."
    )
    return code or exits.OUTPUT


def _run(argv: Sequence[str]) -> int:
    from console.cli.output import printing
    from console.cli.parsing import parse

    options = None
    try:
        with printing():
            options = parse(argv)
        if options is None:
            return exits.OK  # what was asked for is the help or the version, and nobody could read it
        return implementation(options.command)(options)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:
        from console.cli.trouble import explain

        code = explain(error)
        if code is None:
            raise
        return code
