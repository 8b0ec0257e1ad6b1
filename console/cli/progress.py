"""How far something is, on one line of a terminal's stderr that goes away when it is over."""

from __future__ import annotations

import sys


class Progress:
    """To be used in a `with` statement. Where stderr is no terminal, nothing is shown.

    Args:
        what: What is going on, as in `searching the window`.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = ""

    def __enter__(self) -> Progress:
        """Return itself; nothing is shown yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._shown:
            print("\r" + " " * len(self._shown) + "\r", end="", file=sys.stderr, flush=True)

    def show(self, done: int, total: int) -> None:
        """Say that so much of it is done."""
        line = f"{self._what}: {done * 100 // max(total, 1)} %"
        if line != self._shown and sys.stderr is not None and sys.stderr.isatty():
            self._shown = line
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
