"""What has been received already, so that an action delivered twice counts once.

Two generations of 64-bit hashes: the young one is filled, the old one only asked. An id is remembered for at
least a day of event time, unless more arrive than fit; the count of early turns tells of that.
"""

from importlib.util import MAGIC_NUMBER, source_hash

from msgspec import Struct
from msgspec.json import encode

from console.telemetry.action import Action
from console.tripwires.rules import DAY

# The standard library's keyed SipHash: its only stable 64-bit hash that is cheap for short texts. The key
# belongs to the interpreter's version, so hashes kept by another version are of no use and are dropped.
KEY = MAGIC_NUMBER
MOST = 2_000_000
"""Hashes in one generation, about 100 bytes each."""


def identity(action: Action) -> bytes:
    """Return the hash under which an action is known: trace and span, else its id, else everything in it."""
    if action.span and action.trace:
        return source_hash(f"{action.tenant}\0{action.trace}\0{action.span}".encode())
    if action.id:
        return source_hash(f"{action.tenant}\0{action.agent}\0\0{action.id}".encode())
    return source_hash(encode(action))


class SavedSeen(Struct, frozen=True):
    """The memory in a snapshot."""

    key: bytes
    day: int
    young: bytes
    old: bytes
    early: int


class Seen:
    """Remembers hashes by generation."""

    def __init__(self, most: int = MOST) -> None:
        self.young: set[bytes] = set()
        self.old: set[bytes] = set()
        self.day = -1
        self.early = 0
        self.most = most

    def due(self) -> int:
        """Return the event time from which a new generation begins, ns UTC."""
        return (self.day + 1) * DAY

    def turn(self, at: int) -> None:
        """Begin a new generation, since event time `at` (ns UTC) is due or the young one is full."""
        day = at // DAY
        if day <= self.day:
            self.early += 1
        # After a silent day even the young generation is too old to matter.
        self.old = self.young if day <= self.day + 1 else set()
        self.young = set()
        self.day = max(day, self.day)

    def save(self) -> SavedSeen:
        """Return everything that is remembered."""
        return SavedSeen(KEY, self.day, b"".join(self.young), b"".join(self.old), self.early)

    @classmethod
    def load(cls, saved: SavedSeen) -> "Seen":
        """Return the memory that was saved; hashes of another interpreter version are dropped."""
        seen = cls()
        seen.day, seen.early = saved.day, saved.early
        if saved.key == KEY:
            for hashes, into in ((saved.young, seen.young), (saved.old, seen.old)):
                into.update(hashes[i : i + 8] for i in range(0, len(hashes), 8))
        return seen
