"""Where a watcher reads actions from, besides OTLP: followed files, and standard input."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from pathlib import Path
from queue import Empty, Queue
from typing import Protocol

import msgspec

from console.telemetry.jsonl import Batch, Follower, Position, stream


class Source(Protocol):
    """Something that is read batch by batch, on the detection thread, and never waits."""

    name: str
    kind: str
    rereadable: bool
    """Whether a restart can go on where the last position was; what cannot be read again is journalled."""
    ended: bool
    """Whether there will be no more."""

    @property
    def lost(self) -> str:
        """What could not be read any more, one sentence; empty = nothing."""

    def next(self) -> Batch:
        """Return what is new; its `more` says whether to ask again at once."""

    def reopen(self) -> None:
        """Begin again behind what was taken in last, after a failure."""

    def close(self) -> None:
        """Stop reading."""


class FileSource:
    """A file that is followed, from where the last snapshot left it.

    Args:
        path: the file; it need not exist yet.
        positions: the positions of the last snapshot, by name.
    """

    kind = "jsonl"
    rereadable = True
    ended = False

    def __init__(self, path: Path, positions: MutableMapping[str, bytes]) -> None:
        self.name = str(path)
        self._positions = positions
        self._follower = self._open()

    @property
    def lost(self) -> str:
        """What was rotated away and could not be found again, one sentence."""
        return self._follower.lost

    def _open(self) -> Follower:
        saved = self._positions.get(self.name)
        return Follower(Path(self.name), unpack(saved) if saved else None)

    def reopen(self) -> None:
        """Begin again behind what was taken in last."""
        self.close()
        self._follower = self._open()

    def next(self) -> Batch:
        """Return what was written since the last time.

        Raises:
            Refused: what is at the path cannot be read.
        """
        return self._follower.poll()

    def close(self) -> None:
        """Close the file."""
        self._follower.close()


class StdinSource:
    """Standard input, read by a thread of its own because reading it waits."""

    kind = "stdin"
    name = "standard input"
    rereadable = False
    lost = ""

    def __init__(self) -> None:
        self.ended = False
        # A full queue makes the reader wait, and with it whoever writes into the pipe.
        self._queue: Queue[Batch | Exception] = Queue(maxsize=4)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        # Unbuffered: a buffered reader's lock, held in a read, would stop the interpreter from ending.
        try:
            with open(0, "rb", buffering=0, closefd=False) as raw:
                for batch in stream(raw, self.name):
                    self._queue.put(batch)
        except Exception as error:  # it would end this thread, and nobody would learn of it
            self._queue.put(error)

    def next(self) -> Batch:
        """Return what came in since the last time.

        Raises:
            Exception: whatever ended the reading; there will be no more.
        """
        try:
            batch = self._queue.get_nowait()
        except Empty:
            return Batch([], [], 0, Position(), False)
        if isinstance(batch, Exception):
            self.ended = True
            raise batch
        self.ended = not batch.more
        return batch

    def reopen(self) -> None:
        """Go on: what was read cannot be read again."""

    def close(self) -> None:
        """Leave the rest unread."""
        self.ended = True


def pack(position: Position) -> bytes:
    """Return a position for the snapshot."""
    return msgspec.msgpack.encode(position)


def unpack(raw: bytes) -> Position | None:
    """Return a position of a snapshot, or None when it is of another version: then all is read again."""
    try:
        return msgspec.msgpack.decode(raw, type=Position)
    except msgspec.DecodeError:
        return None
