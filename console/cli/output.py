"""Standard output, which is data: what it does not take is said, and is no defect of the program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Unprinted(Exception):
    """Standard output failed: a full disk behind it, for one."""


@contextmanager
def printing() -> Iterator[None]:
    """Turn what standard output does not take into `Unprinted`; a reader that has gone stays BrokenPipeError."""
    try:
        try:
            yield
        finally:
            # Closed by the shell (`>&-`), there is none.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unprinted(
            f"Not everything could be printed ({error.strerror}). What was to be recorded is on the record."
        ) from error
