"""What is known to lie whole on a remote: remembered per case, so that it need not be fetched again.

It is a hint and no evidence: losing it costs fetching the objects once more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from data.blobs import only_of
from data.clock import parse_iso
from data.durable import make_directory
from data.envelope import Event, decode_header
from data.log import NAME as LOG
from data.log import connect
from data.parcels import Span, spans
from data.record import CHECKPOINT
from data.segment import Name, Parcel
from data.trouble import explain

DIRECTORY = "sync"


@dataclass(frozen=True)
class Outbox:
    """How our own events stand with one remote.

    Attributes:
        pending: Events that are not known to be there.
        oldest: When the oldest of them was written, nanoseconds UTC; None if there is none.
        shared: Number of the last event of our strand up to which everything was read back from there.
    """

    pending: int
    oldest: int | None
    shared: int


class _Good(msgspec.Struct, frozen=True):
    """An object that is known to be good: its name, and the hash of the last event in it.

    `last` is empty if the object is no full copy of its events, so that nobody counts on it. `withheld`: events
    whose text we left out of it, with the kinds of what was masked there, by the policy `mask`.
    """

    name: str
    last: str
    mask: str = ""
    withheld: dict[str, list[str]] = {}


class _Blob(msgspec.Struct, frozen=True):
    """A blob that the remote does not get by the policy `mask`, with the kinds of what is masked in it."""

    blob: str
    mask: str
    kinds: list[str]


class Shared:
    """The objects of one case that are known to lie whole on one remote.

    Args:
        directory: The case directory.
        name: What the remote is called here: letters, digits and `-`.

    Raises:
        StoreTrouble: If what is remembered cannot be read.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._log = directory / LOG
        self._path = directory / DIRECTORY / f"{name}.seen"
        self._blobs = self._path.with_suffix(".withheld")
        self._good = _read(self._path)
        self._places: dict[str, tuple[int, tuple[int, int]]] = {}

    @property
    def names(self) -> set[str]:
        """Names of the objects."""
        return set(self._good)

    @property
    def withheld(self) -> dict[str, list[str]]:
        """Events whose text the remote does not get, with the kinds of what is masked in them."""
        return {event: kinds for each in self._good.values() for event, kinds in each.withheld.items()}

    def remember(
        self, name: str, parcel: Parcel, *, whole: bool = True, withheld: dict[str, list[str]], mask: str = ""
    ) -> None:
        """Count on an object from now on.

        Args:
            name: Its name.
            parcel: What it holds.
            whole: Whether it is a full copy of its events, those apart that were withheld.
            withheld: Events whose text was left out of it, with the kinds of what was masked.
            mask: By which policy.

        Raises:
            StoreTrouble: If that cannot be written down.
        """
        good = _Good(name, parcel.events[-1].hash.hex() if whole else "", mask if withheld else "", withheld)
        self._good[name] = good
        self._note(good)

    def forget(self, name: str) -> None:
        """Count on an object no more: it may come back under the same name, torn.

        Raises:
            StoreTrouble: If that cannot be written down.
        """
        if self._good.pop(name, None) is not None:
            self._places.pop(name, None)
            self._note(_Good(name, ""))

    def forget_masked(self, mask: str | None) -> None:
        """Forget what was masked by another policy than `mask`: what that held back goes there now.

        Raises:
            StoreTrouble: If that cannot be written down.
        """
        for each in list(self._good.values()):
            if each.withheld and each.mask != mask:
                self.forget(each.name)

    def withheld_blobs(self, mask: str) -> dict[str, list[str]]:
        """Blobs that the remote does not get by a policy, with the kinds of what is masked in them.

        Remembered because looking into them takes long.

        Raises:
            StoreTrouble: If it cannot be read.
        """
        found: dict[str, list[str]] = {}
        for line in _lines(self._blobs):
            try:
                each = msgspec.json.decode(line, type=_Blob)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue  # a line that a crash cut off
            if each.mask == mask:
                found[each.blob] = each.kinds
        return found

    def withhold_blob(self, digest: str, mask: str, kinds: list[str]) -> None:
        """Remember that the remote does not get a blob.

        Raises:
            StoreTrouble: If that cannot be written down.
        """
        _append(self._blobs, _Blob(digest, mask, kinds))

    def compare(self, db: sqlite3.Connection) -> None:
        """Forget what is said to be here and is not, as after log.db was put back from a backup."""
        known = "SELECT 1 FROM events WHERE hash = ?"
        for name, each in list(self._good.items()):
            if db.execute(known, (bytes.fromhex(each.last),)).fetchone() is None:
                del self._good[name]

    def missing(
        self, db: sqlite3.Connection, listed: Container[str]
    ) -> Iterator[tuple[Span, list[tuple[int, int]]]]:
        """What lies in no object that is good and listed: strands, each with its gaps.

        Returns:
            For each gap the number before it, and the last number in it.
        """
        covered = self._covered(db, (each for each in self._good.values() if each.name in listed))
        for span in spans(db):
            rest = _gaps(covered.get(span.id, []), span.first, span.last)
            if rest:
                yield span, rest

    def outbox(self, replica: str) -> Outbox:
        """How the events of a replica stand with the remote, as far as is known here; asks nobody.

        Raises:
            StoreTrouble: If the log cannot be read.
        """
        with closing(connect(self._log)) as db:
            covered = self._covered(db, self._good.values())
            pending, oldest, shared = 0, None, 0
            for span in spans(db):
                if span.rep != replica:
                    continue
                upto = _upto(covered.get(span.id, []), span.first)
                shared = max(shared, upto)
                if upto >= span.last:
                    continue
                # Checkpoints follow by themselves and would never let the number come to nought.
                count, first = db.execute(
                    "SELECT count(*), min(n) FROM events WHERE strand = ? AND seq > ? AND kind <> ?",
                    (span.id, upto, CHECKPOINT),
                ).fetchone()
                pending += count
                if first is not None:
                    (head,) = db.execute("SELECT head FROM events WHERE n = ?", (first,)).fetchone()
                    wall = parse_iso(decode_header(head).wall)
                    oldest = wall if oldest is None else min(oldest, wall)
        return Outbox(pending, oldest, shared)

    def _covered(self, db: sqlite3.Connection, good: Iterable[_Good]) -> dict[int, list[tuple[int, int]]]:
        """Which numbers of which strand lie in these objects."""
        covered: dict[int, list[tuple[int, int]]] = {}
        for each in good:
            place = self._places.get(each.name)
            if place is None:
                name = Name.read(each.name)
                row = db.execute(
                    "SELECT strand FROM events WHERE hash = ?", (bytes.fromhex(each.last),)
                ).fetchone()
                if name is None or row is None:
                    continue
                place = self._places[each.name] = (row[0], (name.first, name.last))
            covered.setdefault(place[0], []).append(place[1])
        return covered

    def _note(self, good: _Good) -> None:
        _append(self._path, good)


def holding_objects(directory: Path, events: Sequence[Event]) -> dict[str, list[str]]:
    """The objects that hold these events or their blobs, by remote, as far as is known here.

    An erasure cannot reach them. A blob is named at every remote that got something of the case: nobody keeps
    count of which blobs lie where, and a name too many costs whoever deletes one look.
    """
    places = {(event.rep, event.inc, event.seq) for event in events}
    found: dict[str, list[str]] = {}
    with closing(connect(directory / LOG)) as db:
        gone = {digest.hex() for (digest,) in db.execute("SELECT hash FROM erased")}
        theirs = {ref.sha256 for event in events for ref in event.refs}
        only = theirs & only_of(db, gone | {event.hash for event in events})
    blobs = [f"{events[0].case}/blobs/{digest}" for digest in sorted(only)]
    for path in sorted((directory / DIRECTORY).glob("*.seen")):
        names = _read(path)
        for name in sorted(names):
            named = Name.read(name)
            if named is not None and any(
                (named.rep, named.inc) == (rep, inc) and named.first <= seq <= named.last
                for rep, inc, seq in places
            ):
                found.setdefault(path.stem, []).append(name)
        if names and blobs:
            found.setdefault(path.stem, []).extend(blobs)
    return found


def _gaps(covered: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """What of `first` to `last` is not covered: (number before the gap, last number in it)."""
    gaps, at = [], first - 1
    for low, high in sorted(covered):
        if low > at + 1:
            gaps.append((at, min(low - 1, last)))
        at = max(at, high)
    if at < last:
        gaps.append((at, last))
    return gaps


def _upto(covered: list[tuple[int, int]], first: int) -> int:
    """The number up to which everything from `first` on is covered."""
    at = first - 1
    for low, high in sorted(covered):
        if low > at + 1:
            break
        at = max(at, high)
    return at


def _read(path: Path) -> dict[str, _Good]:
    good: dict[str, _Good] = {}
    for line in _lines(path):
        try:
            each = msgspec.json.decode(line, type=_Good)
            bytes.fromhex(each.last)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # a line that a crash cut off
        if each.last:
            good[each.name] = each
        else:
            good.pop(each.name, None)
    return good


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, path) from error


def _append(path: Path, noted: msgspec.Struct) -> None:
    try:
        make_directory(path.parent)
        # Not synced: losing it costs looking once more.
        with path.open("ab") as file:
            file.write(msgspec.json.encode(noted) + b"\n")
    except OSError as error:
        raise explain(error, path) from error
