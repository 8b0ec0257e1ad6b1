"""Masking files in a process of its own, so that the screen keeps the interpreter meanwhile.

A rule is one call of the regex engine, and no other thread runs until that is through: seconds, for a big file.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import msgspec

from console.evidence.redaction import PolicyName, Redaction
from data.envelope import Ref, Sealed
from data.helper import Helper, Pipes
from data.withholding import Rendering

LARGE = 64 * 1024
"""What is smaller is masked here: that takes no longer than handing it over."""


class Apart:
    """A policy that looks into big files elsewhere; in a `with` statement, by one thread. See `data.withholding.Mask`.

    Args:
        redaction: The policy.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self.name, self.id = redaction.name, redaction.id
        self._helper: Helper | None = None

    def event(self, event: Sealed) -> Rendering | None:
        """As from the policy."""
        return self._redaction.event(event)

    def blob(self, ref: Ref, data: bytes) -> Rendering | None:
        """As from the policy. If the process dies, the work is done here: nothing goes out unseen."""
        if len(data) < LARGE or not _text(data):
            return self._redaction.blob(ref, data)
        try:
            if self._helper is None:
                self._helper = Helper("console.evidence.masking")
                self._helper.send(msgspec.msgpack.encode(self._redaction.given))
            self._helper.send(msgspec.msgpack.encode(ref))
            self._helper.send(data)
            return msgspec.msgpack.decode(self._helper.receive(), type=Rendering | None)
        except (EOFError, OSError):
            self.__exit__(None, None, None)
            return self._redaction.blob(ref, data)

    def __enter__(self) -> Self:
        """Return itself; the process is started when the first big file comes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.__exit__(kind, error, where)


def _text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def serve(pipes: Pipes) -> None:
    """Mask what comes, until nothing comes any more."""
    redaction = Redaction(*msgspec.msgpack.decode(pipes.receive(), type=tuple[PolicyName, tuple[str, ...]]))
    while True:
        ref = msgspec.msgpack.decode(pipes.receive(), type=Ref)
        pipes.send(msgspec.msgpack.encode(redaction.blob(ref, pipes.receive())))
