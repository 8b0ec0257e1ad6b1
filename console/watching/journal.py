"""What was accepted since the last snapshot, so that an answer to a sender survives a kill.

A sender that was told "accepted" never sends again, so its actions are written here before the answer.
Numbered files of JSON lines; a snapshot makes the files before it superfluous. The lines reach the operating
system, not the platter: a killed process loses nothing, a power cut the last moments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from console.telemetry.action import Action

NAME = "journal"
SEGMENT_BYTES = 64 * 2**20
LINE_LIMIT = 256 * 2**20


class Line(msgspec.Struct, frozen=True):
    """One feed: when it was received (ns UTC), from which sender, and the actions."""

    received_at: int
    sender: str
    actions: list[Action]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Line)


class Journal:
    """The journal in one directory. One thread at a time.

    Args:
        directory: made when it is not there.
        first: the first segment that still counts; older ones are deleted.

    Raises:
        OSError: the directory cannot be written.
    """

    def __init__(self, directory: Path, first: int) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = self._segments()
        for number in [number for number in present if number < first]:
            self._path(number).unlink(missing_ok=True)
        self._old = [number for number in present if number >= first]
        self._number = max([first - 1, *present]) + 1
        self._file: BinaryIO | None = None
        self.bytes = sum(self._path(number).stat().st_size for number in self._old)
        """Bytes that a restart would read."""
        self.damaged = 0
        """Lines that could not be read back: at most the one whose writing a kill interrupted."""

    def replay(self) -> Iterator[Line]:
        """Yield what earlier processes accepted and no snapshot holds, in order."""
        for number in self._old:
            with self._path(number).open("rb") as file:
                while raw := file.readline(LINE_LIMIT):
                    try:
                        yield _DECODER.decode(raw)
                    except (msgspec.DecodeError, RecursionError):
                        self.damaged += 1

    def append(self, received_at: int, sender: str, actions: list[Action]) -> None:
        """Write one feed.

        Raises:
            OSError: it could not be written whole; the journal is as it was before.
        """
        raw = _ENCODER.encode(Line(received_at, sender, actions)) + b"\n"
        if self._file is None:
            self._file = self._path(self._number).open("ab", buffering=0)
        start = self._file.tell()
        try:
            written = self._file.write(raw)
            if written != len(raw):
                raise OSError("the disk took only a part")
        except OSError:
            # A torn line would swallow the next one.
            os.ftruncate(self._file.fileno(), start)
            raise
        self.bytes += len(raw)
        if start + len(raw) > SEGMENT_BYTES:
            self.rotate()

    def rotate(self) -> int:
        """Begin a new segment and return its number: all that was accepted so far is in those before it."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._old.append(self._number)
            self._number += 1
        return self._number

    def forget(self, before: int) -> None:
        """Delete the segments before `before`, which a snapshot holds now."""
        for number in [number for number in self._old if number < before]:
            self._path(number).unlink(missing_ok=True)
            self._old.remove(number)
        self.bytes = sum(self._path(number).stat().st_size for number in self._old)

    def close(self) -> None:
        """Close the current segment; it stays."""
        self.rotate()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08d}.jsonl"

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._directory.glob("*.jsonl") if path.stem.isdecimal())
