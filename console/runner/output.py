"""What a program prints: kept within bounds, and handed on line by line to whoever watches.

It is kept in a file as it comes: of a console that is killed, the next one finds what its program had printed.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEAD = TAIL = 512 * 1024
"""Bytes that are kept of the beginning and of the end; what lies between is counted."""
SHOWN = 40
"""Lines that are handed on at a time: more than a person reads, and few enough for a flood."""
LINE = 4096
COUNT = 8
"""Bytes at the beginning of the file that hold how many were printed; the tail behind the head is a ring."""


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
        place: the file that it is kept in; None = in memory only.
    """

    def __init__(self, run: str, stream: str, tell: Tell, place: Path | None = None) -> None:
        self._run, self._stream, self._tell = run, stream, tell
        self._file = _made(place)
        self._line = b""
        self.total = 0

    def feed(self, chunk: bytes) -> None:
        """Take in what was printed, and hand on its lines."""
        try:
            self._keep(chunk)
        except OSError:
            # A full disk ends neither the program nor what is seen of it.
            self._file, broken = io.BytesIO(_all(self._file)), self._file
            broken.close()
            self._keep(chunk)
        self.total += len(chunk)
        lines = (self._line + chunk).splitlines(keepends=True)
        # A line without an end stays for the next time; one that never ends is handed on in pieces.
        unended = bool(lines) and not lines[-1].endswith((b"\n", b"\r")) and len(lines[-1]) < LINE
        self._line = lines.pop() if unended else b""
        self._hand_on(lines)

    def _keep(self, chunk: bytes) -> None:
        head = chunk[: max(HEAD - self.total, 0)]
        rest = chunk[len(head) :][-TAIL:]
        begins = (self.total + len(chunk) - len(rest) - HEAD) % TAIL
        first = rest[: TAIL - begins]
        for at, data in ((self.total, head), (HEAD + begins, first), (HEAD, rest[len(first) :])):
            if data:
                self._file.seek(COUNT + at)
                self._file.write(data)
        self._file.seek(0)
        self._file.write((self.total + len(chunk)).to_bytes(COUNT, "big"))

    def end(self) -> None:
        """Hand on what came without a line end."""
        left, self._line = self._line, b""
        self._hand_on([left] if left else [])

    @property
    def dropped(self) -> int:
        """Bytes between the beginning and the end that are counted and not kept."""
        return max(self.total - HEAD - TAIL, 0)

    @property
    def content(self) -> bytes:
        """What is kept."""
        return _content(_all(self._file))

    def close(self) -> None:
        """Let go of the file; it stays until what it holds is on the record."""
        self._file.close()

    def _hand_on(self, lines: list[bytes]) -> None:
        if not lines:
            return
        newest = deque(lines, maxlen=SHOWN)
        texts = tuple(line.rstrip(b"\r\n")[:LINE].decode("utf-8", "replace") for line in newest)
        self._tell(Progress(self._run, self._stream, texts, len(lines) - len(newest), self.total))


def left(place: Path) -> bytes:
    """Return what a program had printed by the time that its console was gone; nothing where there is no file."""
    try:
        with place.open("rb") as file:
            return _content(file.read(COUNT + HEAD + TAIL))
    except OSError:
        return b""


def _made(place: Path | None) -> BinaryIO:
    if place is not None:
        with suppress(OSError):
            return place.open("w+b", buffering=0)
    return io.BytesIO()


def _all(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(COUNT + HEAD + TAIL)


def _content(kept: bytes) -> bytes:
    total = int.from_bytes(kept[:COUNT], "big")
    head, ring = kept[COUNT : COUNT + min(total, HEAD)], kept[COUNT + HEAD : COUNT + max(total, HEAD)]
    dropped = total - HEAD - TAIL
    if dropped > 0:
        ring = ring[dropped % TAIL :] + ring[: dropped % TAIL]
    gap = f"\n[... {dropped:,} bytes are not kept ...]\n".encode() if dropped > 0 else b""
    return head + gap + ring
