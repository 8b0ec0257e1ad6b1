"""Checking segments in a process of its own, so that a long catch-up leaves the interpreter to the screen.

Half of the work of taking a segment in is checking it, in Python, and one thread that computes makes every
other thread of the process wait. One segment is under way at a time: a pipe that both ends write to while
neither reads would stand still.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType

import msgspec

from data.segment import BadSegment, Parcel, unpack


class Unpacker:
    """A process that unpacks; to be used in a `with` statement, by one thread."""

    def __init__(self) -> None:
        # Spawned and not forked: the caller has threads and a terminal.
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._sent: tuple[str, bytes] | None = None

    def send(self, name: str, raw: bytes) -> None:
        """Begin with a segment; `receive` must have been called for the one before."""
        self._sent = name, raw
        try:
            self._pipe.send_bytes(name.encode())
            self._pipe.send_bytes(raw)
        except OSError:
            pass  # it died; `receive` does the work here

    def receive(self) -> Parcel:
        """The parcel that the last segment turned out to be.

        Raises:
            BadSegment: As from `unpack`.
        """
        if self._sent is None:
            raise RuntimeError("nothing was sent")
        (name, raw), self._sent = self._sent, None
        try:
            answer = self._pipe.recv_bytes()
        except (EOFError, OSError):
            return unpack(name, raw)
        if answer[:1] == b"-":
            raise BadSegment(answer[1:].decode())
        return _decode(memoryview(answer)[1:])

    def __enter__(self) -> Unpacker:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


def _serve(pipe: Connection) -> None:
    while True:
        try:
            name, raw = pipe.recv_bytes().decode(), pipe.recv_bytes()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            pipe.send_bytes(b"+" + _encode(unpack(name, raw)))
        except BadSegment as bad:
            pipe.send_bytes(b"-" + str(bad).encode())
