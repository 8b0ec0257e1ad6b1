"""What a program prints: kept within bounds, and handed on line by line to whoever watches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

HEAD = TAIL = 512 * 1024
"""Bytes that are kept of the beginning and of the end; what lies between is counted."""
SHOWN = 40
"""Lines that are handed on at a time: more than a person reads, and few enough for a flood."""
LINE = 4096


class Progress(NamedTuple):
    """News of a run. `skipped`: lines that came too fast to be handed on; they are kept like all others.

    The text is what was printed, escape sequences included: it passes `console.shown` before a terminal sees it.
    """

    run: str
    stream: str
    lines: tuple[str, ...]
    skipped: int
    total: int


Tell = Callable[[Progress], None]


class Kept:
    """One output of a run.

    Args:
        run: id of the run.
        stream: what it is called, such as `stdout`.
        tell: gets the news.
    """

    def __init__(self, run: str, stream: str, tell: Tell) -> None:
        self._run, self._stream, self._tell = run, stream, tell
        self._head, self._tail = bytearray(), bytearray()
        self._line = b""
        self.total = 0

    def feed(self, chunk: bytes) -> None:
        """Take in what was printed, and hand on its lines."""
        self.total += len(chunk)
        room = HEAD - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        lines = (self._line + chunk).splitlines(keepends=True)
        # A line without an end stays for the next time; one that never ends is handed on in pieces.
        unended = bool(lines) and not lines[-1].endswith((b"\n", b"\r")) and len(lines[-1]) < LINE
        self._line = lines.pop() if unended else b""
        self._hand_on(lines)

    def end(self) -> None:
        """Hand on what came without a line end."""
        left, self._line = self._line, b""
        self._hand_on([left] if left else [])

    @property
    def dropped(self) -> int:
        """Bytes between the beginning and the end that are counted and not kept."""
        return self.total - len(self._head) - min(len(self._tail), TAIL)

    @property
    def content(self) -> bytes:
        """What is kept."""
        tail = bytes(self._tail[-TAIL:])
        gap = f"\n[... {self.dropped:,} bytes are not kept ...]\n".encode() if self.dropped else b""
        return bytes(self._head) + gap + tail

    def _hand_on(self, lines: list[bytes]) -> None:
        if not lines:
            return
        newest = deque(lines, maxlen=SHOWN)
        texts = tuple(line.rstrip(b"\r\n")[:LINE].decode("utf-8", "replace") for line in newest)
        self._tell(Progress(self._run, self._stream, texts, len(lines) - len(newest), self.total))
