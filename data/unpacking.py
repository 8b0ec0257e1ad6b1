"""Checking segments in a process of its own, so that a long catch-up leaves the interpreter to the screen.

Half of the work of taking a segment in is checking it, in Python, and one thread that computes makes every
other thread of the process wait.
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from data.helper import Helper, Pipes
from data.segment import BadSegment, Parcel, unpack


class Unpacker(Helper):
    """A process that unpacks, one segment at a time; if it dies, the work is done here."""

    def __init__(self) -> None:
        super().__init__("data.unpacking")
        self._sent: tuple[str, bytes] | None = None

    def begin(self, name: str, raw: bytes) -> None:
        """Begin with a segment; `parcel` must have been called for the one before."""
        self._sent = name, raw
        try:
            self.send(name.encode())
            self.send(raw)
        except EOFError:
            pass  # `parcel` sees to it

    def parcel(self) -> Parcel:
        """What the segment turned out to be.

        Raises:
            BadSegment: As from `unpack`.
        """
        if self._sent is None:
            raise RuntimeError("nothing was begun")
        (name, raw), self._sent = self._sent, None
        try:
            answer = self.receive()
        except EOFError:
            return unpack(name, raw)
        if answer[:1] == b"-":
            raise BadSegment(answer[1:].decode())
        return _decode(memoryview(answer)[1:])


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


def serve(pipes: Pipes) -> None:
    """Unpack what comes, until nothing comes any more."""
    with suppress(OSError):
        os.nice(5)  # the screen and the writer come first
    while True:
        name, raw = pipes.receive().decode(), pipes.receive()
        try:
            answer = b"+" + _encode(unpack(name, raw))
        except BadSegment as bad:
            answer = b"-" + str(bad).encode("utf-8", "replace")
        pipes.send(answer)
