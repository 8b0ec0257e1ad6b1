"""The first ink: a frame drawn before the toolkit is loaded, so that nobody wonders whether anything happens."""

from __future__ import annotations

import os
import sys


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
