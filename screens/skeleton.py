"""The first ink: a frame drawn before the toolkit is loaded, so that nobody wonders whether anything happens."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


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


ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the console to end in good order."""
_asked: list[int] = []


def asked_to_end() -> int:
    """Return the number of the signal that asked to end before the app could listen; 0 = none."""
    return _asked[-1] if _asked else 0


def _ask(number: int, _: object) -> None:
    if _asked:  # whoever asks twice does not want to wait
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    _asked.append(number)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let signals that ask to end wait for the app: by itself one would leave the terminal as the first frame made it."""
    before = {number: signal.signal(number, _ask) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def keys_wait() -> Iterator[None]:
    """Let the keys that are pressed before the app reads them wait for it, and give the terminal back at the end.

    As long as the terminal edits lines by itself it echoes them over the first frame, and takes Ctrl+Q for itself.
    """
    stream = sys.__stdin__
    if stream is None or not stream.isatty():
        yield
        return
    with _signals_wait(), _raw(stream):
        yield


@contextmanager
def _raw(stream: TextIO) -> Iterator[None]:
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
