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

    def next(self) -> Batch:
        """Return what is new; its `more` says whether to ask again at once."""

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
        saved = positions.get(self.name)
        self._follower = Follower(path, unpack(saved) if saved else None)

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

    def __init__(self) -> None:
        self.ended = False
        # A full queue makes the reader wait, and with it whoever writes into the pipe.
        self._queue: Queue[Batch] = Queue(maxsize=4)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        # Unbuffered: a buffered reader's lock, held in a read, would stop the interpreter from ending.
        with open(0, "rb", buffering=0, closefd=False) as raw:
            for batch in stream(raw, self.name):
                self._queue.put(batch)

    def next(self) -> Batch:
        """Return what came in since the last time."""
        try:
            batch = self._queue.get_nowait()
        except Empty:
            return Batch([], [], 0, Position(), False)
        self.ended = not batch.more
        return batch

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
