"""Remotes: places outside this machine where a case meets its other consoles.

A remote stores named, immutable objects. It needs four things only: create, read, list, and an honest no.
Correctness rests on the names (they hold the SHA-256 of the bytes) and never on what a remote promises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from data import blobs, segment
from data.trouble import StoreTrouble

MAX_NAME = 240
MAX_NAMES = 2_000_000
"""Names that one listing may hold: two thousand million events, and less than half a gigabyte here."""

AT_ONCE = 8
"""Requests at a time: over a slow line most of the time is spent waiting for answers."""

_PART = "[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_NAME = re.compile(f"{_PART}(?:/{_PART}){{0,7}}", re.ASCII)


def proper(name: str) -> bool:
    """Whether an object may be called that: what every file system, store and broker can carry alike."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def limit(name: str) -> int:
    """The most bytes that an object of that name may have."""
    return segment.MAX_BYTES if name.endswith(".seg") else blobs.MAX_BYTES


Grade = Literal["atomic", "sequential", "none"]
"""How a remote treats a second create of the same name, as probed: refuses it even in a race; refuses it when
it comes later; or overwrites silently."""


class RemoteTrouble(StoreTrouble):
    """A remote did not do what was asked: in plain words what, what it means, and what to do next.

    Nothing here is lost by it. `passing`: whether trying again later may help.
    """

    def __init__(self, what: str, meaning: str, hint: str, *, passing: bool = True) -> None:
        super().__init__(what, meaning, hint)
        self.passing = passing


class Absent(RemoteTrouble):
    """There is no object with that name."""


@dataclass(frozen=True)
class Findings:
    """What a probe found out about a remote; decides only what the screen may claim.

    Attributes:
        create: What a second create does; see `Grade`.
        reads_back: Whether what was written came back byte for byte.
        lists: Whether what was written stood in the listing at once.
        sorted: Whether listings come in order of name.
        skew_ms: Its clock minus ours, milliseconds; None if it tells no time.
        durable: What it says of durability, such as `fsync on, synchronous_commit on`; "" if nothing.
        locked: What it says of versions, object lock or retention; "" if nothing.
        warnings: Sentences for people, most important first.
    """

    create: Grade
    reads_back: bool
    lists: bool
    sorted: bool
    skew_ms: int | None = None
    durable: str = ""
    locked: str = ""
    warnings: tuple[str, ...] = ()


class Remote(Protocol):
    """One remote; several threads may use it at once. Every method raises `RemoteTrouble`, none hangs for good.

    Making one does not reach out: that happens with the first request, and again after each that failed.
    """

    url: str
    """Where it is, without secrets; for people and for the record."""

    def put(self, name: str, data: bytes) -> bool:
        """Create an object; False if there is one of that name, which is left as it is.

        May return True although there was one, and False after a create of ours whose answer got lost: a
        remote can lack the means to tell. Whoever must know reads it back.
        """
        ...

    def get(self, name: str) -> bytes:
        """Read an object of at most `limit(name)` bytes.

        Raises:
            Absent: There is none.
        """
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names that begin with `prefix` and sort after `after`, in any order; improper names are left out."""
        ...

    def probe(self) -> Findings:
        """Find out what the remote does, with objects of its own under `probe/`."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
