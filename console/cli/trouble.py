"""From an exception to one sentence for people, and to an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress

from console.cli import exits
from console.plain import visible
from console.refusal import Refused
from console.shown import masked


def complain(text: str) -> None:
    """Write one line of diagnosis to stderr."""
    with suppress(OSError):  # nobody is left to be told
        print(f"warroom: {visible(text)}", file=sys.stderr)


def explain(error: Exception) -> int | None:
    """Say what happened and what to do next. Returns the exit code, or None for a defect of the program."""
    import msgspec

    from data.canonical import NotCanonical
    from data.envelope import BadEntry
    from data.trouble import StoreTrouble
    from playbooks.load import PlaybookTrouble

    match error:
        case Refused():
            complain(masked(f"{error.what} {error.next_step}".strip()))
            return exits.REFUSED
        case StoreTrouble():
            complain(masked(str(error)))
            return exits.STORE
        case NotCanonical():
            complain("This text is not valid Unicode and cannot stand on the record. Nothing was written.")
            return exits.REFUSED
        case BadEntry():
            complain(f"{error}. Nothing was written.")
            return exits.REFUSED
        case msgspec.ValidationError():
            complain(f"A value is out of its bounds: {error}. Nothing was written.")
            return exits.REFUSED
        case PlaybookTrouble():
            complain(f"A document of the runbook is broken. {error.problems[0]}")
            return exits.STORE
        case PermissionError() | FileNotFoundError() | IsADirectoryError() | FileExistsError():
            complain(f"{error.strerror}: {error.filename}. Name another file, or mend its permissions.")
            return exits.STORE
    return None
