"""The first ink: a frame drawn before the toolkit is loaded, so that nobody wonders whether anything happens."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def draw(words: str) -> None:
    """Draw one line of `words` (ours, printable) on the alternate screen, which the app then takes over."""
    stream = sys.__stderr__
    if stream is None or not stream.isatty():
        return
    try:
        # A pseudo-terminal that nobody sized says that it has no columns at all.
        width = max(os.get_terminal_size(stream.fileno()).columns - 1, 1)
    except OSError:
        return
    stream.write(f"\x1b[?1049h\x1b[?25l\x1b[H\x1b[7m {words:<{width}.{width}}\x1b[0m")
    stream.flush()


@contextmanager
def keys_wait() -> Iterator[None]:
    """Let the keys that are pressed before the app reads them wait for it, and give the terminal back at the end.

    As long as the terminal edits lines by itself it echoes them over the first frame, and takes Ctrl+Q for itself.
    """
    stream = sys.__stdin__
    if stream is None or not stream.isatty():
        yield
        return
    before = termios.tcgetattr(stream)
    early = termios.tcgetattr(stream)
    early[0] &= ~(termios.IXON | termios.ICRNL)
    early[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(stream, termios.TCSANOW, early)
    try:
        yield
    finally:
        # A terminal that is gone has nothing to be given back.
        with suppress(termios.error):
            termios.tcsetattr(stream, termios.TCSANOW, before)
