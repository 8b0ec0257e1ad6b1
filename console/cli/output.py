"""Standard output, which is data: what it does not take is said, and is no defect of the program."""

from __future__ import annotations

import os
import sys

_lost: OSError | None = None


class printing:
    """Print what the block prints.

    Once standard output fails (its reader has gone, a full disk is behind it) the command goes on without it: what
    it shows first and writes after must still be written. `lost` is for the end, and for whoever only prints.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        try:
            # Closed by the shell (`>&-`), there is none.
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError as failure:
            error = failure
        if not isinstance(error, OSError):
            return False
        global _lost
        _lost = error
        # So that neither the rest nor the interpreter at its end fails again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True


def lost() -> OSError | None:
    """What standard output failed with in this run of a command; nothing is printed after it."""
    return _lost


def begin() -> None:
    """Forget the run before this one, which only tests have."""
    global _lost
    _lost = None
