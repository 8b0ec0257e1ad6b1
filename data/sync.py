"""Sync: one case and one remote come to hold the same, in turns, whatever happened in between.

A turn lists what the remote has, takes in what is new here, and puts what is missing there: our own events,
and anybody's that the remote lost or never had. There is no cursor to get out of step: what was seen is
remembered only so that it need not be fetched again, and forgetting it costs a replay.

What was put is read back and compared before it counts as shared. Object names hold the SHA-256 of their
bytes, so a remote that lies, loses, cuts or mixes up objects is found out, and never believed.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from data.blobs import Blobs, only_of
from data.case import Case
from data.clock import iso, parse_iso
from data.durable import make_directory, publish, write_temporary
from data.envelope import Event, Ref, Sealed, decode_header
from data.log import NAME as LOG
from data.log import connect
from data.parcels import Span, parcels, spans
from data.record import CHECKPOINT
from data.remotes import Absent, Remote, RemoteTrouble
from data.segment import BadSegment, Name, Parcel, pack, prefix, unpack
from data.trouble import StoreTrouble, explain
from data.unpacking import Unpacker

if TYPE_CHECKING:
    from data.bundle import Rendering

DIRECTORY = "sync"
QUARANTINE = "quarantine"
CASES = "cases/"
MAX_NAMES = 1_000_000
MAX_QUARANTINED = 1000
TRIES = 3
"""How often an object that is not what its name says is fetched again before it is left alone until the next
start: some remotes serve a torn object for a while."""

MANY = 20
"""From so many new objects on they are checked in a process of their own."""

Stop = Callable[[], bool]


class Mask(Protocol):
    """Decides what a remote does not get. `id`: another policy has another one."""

    id: str

    def event(self, event: Sealed) -> Rendering | None:
        """What is masked in an event; None if its text may go there."""
        ...

    def blob(self, ref: Ref, data: bytes) -> Rendering | None:
        """What is masked in a blob; None if it may go there."""
        ...


class _Seen(msgspec.Struct, frozen=True):
    """An object that is known to be good: its name, and the hash of the last event in it.

    `last` is empty if the object is no full copy of its events, so that nobody counts on it. `withheld`: events whose
    text we left out of it, with the kinds of what was masked there, by the policy `mask`.
    """

    name: str
    last: str
    mask: str = ""
    withheld: dict[str, list[str]] = {}


@dataclass
class Turn:
    """What one turn did.

    Attributes:
        pulled: Events that were new here.
        pushed: Events that were put and read back.
        blobs: Blobs that went or came.
        bad: Objects that are not what their names say, with the reason.
        forked: Whether somebody was found to write in our name.
        waiting: Objects whose predecessors are not to be had yet.
    """

    pulled: int = 0
    pushed: int = 0
    blobs: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    forked: bool = False
    waiting: int = 0

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.pulled or self.pushed or self.blobs)


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


class Sync:
    """One case and one remote.

    Used by one thread at a time, which may be any. The case must be open for writing in this process.

    Args:
        case: The case.
        remote: The remote.
        name: What the remote is called here: letters, digits and `-`.
        replica: Who we are, 32 hex digits.
        mask: What the remote does not get; None = it gets everything.
    """

    def __init__(self, case: Case, remote: Remote, name: str, replica: str, mask: Mask | None = None) -> None:
        self.case = case
        self.remote = remote
        self._replica = replica
        self._path = case.directory / DIRECTORY / f"{name}.seen"
        self._seen = _read_seen(self._path)
        self._tries: dict[str, int] = {}
        self._waits: dict[str, bytes] = {}
        self._places: dict[str, tuple[int, tuple[int, int]]] = {}
        self._announced = self._compared = False
        self._refs: dict[str, Ref] = {}
        self._blobs_seen: set[str] = set()
        self._scanned = 0
        self._mask = mask
        self.blobs_withheld: dict[str, list[str]] = {}
        """Blobs that the remote does not get, with the kinds of what is masked in them."""
        self.said: set[str] | None = None
        """What of that stands on the record, for whoever puts it there; None = not looked up."""
        for seen in list(self._seen.values()):
            if seen.withheld and (mask is None or seen.mask != mask.id):
                self._forget(seen.name)  # the policy is another one now: what it held back goes there

    @property
    def withheld(self) -> dict[str, list[str]]:
        """Events whose text the remote does not get, with the kinds of what is masked in them."""
        return {name: kinds for seen in self._seen.values() for name, kinds in seen.withheld.items()}

    def turn(self, stop: Stop = lambda: False) -> Turn:
        """Take in what is new there and put what is missing there.

        Args:
            stop: Asked between objects; when it says yes the turn ends early, with nothing lost.

        Raises:
            RemoteTrouble: The remote did not do its part; what was done before counts.
            StoreTrouble: The store here did not.
        """
        turn = Turn()
        with closing(connect(self.case.directory / LOG)) as db:
            self._compare(db)
            listed = self._listed()
            for name in self._seen.keys() - listed:
                self._forget(name)
                self._announced = False  # what lost this may have lost that as well
            self._pull(db, listed, turn, stop)
            self._push(db, listed, turn, stop)
            self._blobs(db, turn, stop)
        return turn

    def audit(self, stop: Stop = lambda: False) -> list[str]:
        """Read again all that counts as shared; what is not what it was is put anew by the next turn.

        Costs as much as fetching everything: for once a day.

        Returns:
            The names of the objects that were gone or changed.

        Raises:
            RemoteTrouble: The remote did not answer.
        """
        changed = []
        for name in list(self._seen):
            if stop():
                break
            named = Name.read(name)
            try:
                raw = self.remote.get(name)
            except Absent:
                raw = b""
            if named is None or sha256(raw).hexdigest() != named.sha256:
                self._forget(name)
                changed.append(name)
        return changed

    def outbox(self) -> Outbox:
        """How our own events stand with the remote, as far as is known here; asks nobody."""
        with closing(connect(self.case.directory / LOG)) as db:
            covered = self._covered(db, self._seen.values())
            pending, oldest, shared = 0, None, 0
            for span in spans(db):
                if span.rep != self._replica:
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
                    wall = _wall(head)
                    oldest = wall if oldest is None else min(oldest, wall)
        return Outbox(pending, oldest, shared)

    def _compare(self, db: sqlite3.Connection) -> None:
        """Once: forget what is said to be here and is not, as after log.db was put back from a backup."""
        if self._compared:
            return
        self._compared = True
        known = "SELECT 1 FROM events WHERE hash = ?"
        for name, seen in list(self._seen.items()):
            if db.execute(known, (bytes.fromhex(seen.last),)).fetchone() is None:
                del self._seen[name]

    # -- in ----------------------------------------------------------------------------------------------

    def _listed(self) -> set[str]:
        names: set[str] = set()
        for name in self.remote.list(prefix(self.case.id)):
            if Name.read(name) is not None and name.startswith(prefix(self.case.id)):
                names.add(name)
                if len(names) > MAX_NAMES:
                    raise RemoteTrouble(
                        f"{self.remote.url} lists more than {MAX_NAMES:,} objects for this case.",
                        "No case is that large: somebody fills the remote with names.",
                        "Look at what is stored there, and who may write there.",
                        passing=False,
                    )
        return names

    def _pull(self, db: sqlite3.Connection, listed: set[str], turn: Turn, stop: Stop) -> None:
        new = dict.fromkeys(sorted(listed - self._seen.keys(), key=_in_order))
        progress = True
        while new and progress:
            progress = False
            for name, parcel in self._fetched(db, list(new), turn):
                if stop():
                    return
                if parcel is None:
                    del new[name]
                    continue
                merged = self.case.merge(parcel).result()
                turn.forked |= merged.forked
                if merged.after is not None:
                    self._waits[name] = merged.after
                    continue
                del new[name]
                if merged.refused:
                    self._tries[name] = TRIES
                    turn.bad[name] = merged.refused
                    continue
                turn.pulled += merged.added
                self._remember(name, parcel, whole=not merged.bare)
                progress = True
        turn.waiting = len(new)

    def _waits_still(self, db: sqlite3.Connection, name: str) -> bool:
        """Whether an object that was fetched before still cannot be taken in."""
        before = self._waits.get(name)
        if before is None:
            return False
        if db.execute("SELECT 1 FROM events WHERE hash = ?", (before,)).fetchone() is None:
            return True
        del self._waits[name]
        return False

    def _fetched(
        self, db: sqlite3.Connection, names: list[str], turn: Turn
    ) -> Iterator[tuple[str, Parcel | None]]:
        """Fetch and check objects, in order; None for what is not to be had. What still waits is left out."""
        if len(names) < MANY:
            for name in names:
                if not self._waits_still(db, name):
                    raw = self._fetch(name, turn)
                    yield (
                        name,
                        None if raw is None else self._checked(name, raw, turn, partial(unpack, name, raw)),
                    )
            return
        with Unpacker() as helper:
            before: tuple[str, bytes] | None = None
            for name in names:
                if self._waits_still(db, name):
                    continue
                raw = self._fetch(name, turn)
                ready = None if before is None else (before[0], self._checked(*before, turn, helper.parcel))
                before = None
                if raw is not None:
                    # It is checked while the one before is merged.
                    helper.begin(name, raw)
                    before = name, raw
                if ready is not None:
                    yield ready
                if raw is None:
                    yield name, None
            if before is not None:
                yield before[0], self._checked(*before, turn, helper.parcel)

    def _fetch(self, name: str, turn: Turn) -> bytes | None:
        if self._tries.get(name, 0) >= TRIES:
            return None
        try:
            return self.remote.get(name)
        except Absent:
            return None
        except RemoteTrouble as trouble:
            if trouble.passing:
                raise
            # One object that cannot be had, such as one without end, must not keep the others away.
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = trouble.what
            return None

    def _checked(self, name: str, raw: bytes, turn: Turn, check: Callable[[], Parcel]) -> Parcel | None:
        try:
            return check()
        except BadSegment as bad:
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = str(bad)
            self._quarantine(raw)
            return None

    def _quarantine(self, raw: bytes) -> None:
        """Keep bytes that are not what they should be: they may be what somebody wants to know about."""
        directory = self.case.directory / QUARANTINE
        try:
            make_directory(directory)
            if len(os.listdir(directory)) < MAX_QUARANTINED:
                publish(write_temporary(directory, raw), directory / sha256(raw).hexdigest())
        except OSError as error:
            raise explain(error, directory) from error

    # -- out ---------------------------------------------------------------------------------------------

    def _push(self, db: sqlite3.Connection, listed: set[str], turn: Turn, stop: Stop) -> None:
        there = [seen for name, seen in self._seen.items() if name in listed]
        self._announce(db)
        missing = list(self._missing(db, there))
        # A checkpoint goes with what it covers.
        if any(span.rep == self._replica for span, _ in missing) and self.case.witness("push").result():
            missing = list(self._missing(db, there))
        for span, rest in missing:
            for after, upto in rest:
                for parcel in parcels(db, span, after):
                    if stop():
                        return
                    # A parcel may reach into what is there already: twice is harmless, a gap is not.
                    if parcel.events[0].header.seq > upto:
                        break
                    turn.pushed += self._put(parcel, turn)

    def _missing(
        self, db: sqlite3.Connection, there: Iterable[_Seen]
    ) -> Iterator[tuple[Span, list[tuple[int, int]]]]:
        covered = self._covered(db, there)
        for span in spans(db):
            rest = _gaps(covered.get(span.id, []), span.first, span.last)
            if rest:
                yield span, rest

    def _put(self, parcel: Parcel, turn: Turn) -> int:
        parcel, withheld = self._masked(parcel)
        for attempt in range(TRIES):
            name, raw = pack(parcel, secrets.randbelow(2**31) if attempt else 0)
            self.remote.put(name, raw)
            # Whatever the remote said: only what comes back counts.
            try:
                back = self.remote.get(name)
            except Absent:
                continue
            if back == raw:
                self._remember(name, parcel, withheld=withheld)
                return len(parcel.events)
            turn.bad[name] = "what came back is not what was put"
            self._forget(name)
            self._quarantine(back)
        raise self._unreturned()

    def _masked(self, parcel: Parcel) -> tuple[Parcel, dict[str, list[str]]]:
        """Leave out what the remote does not get: such an event travels as an erased one does."""
        withheld: dict[str, list[str]] = {}
        if self._mask is None:
            return parcel, withheld
        events = list(parcel.events)
        for at, event in enumerate(events):
            found = self._mask.event(event) if event.salt else None
            if found is not None:
                withheld[event.hash.hex()] = sorted({kind for _, kind in found.withheld})
                events[at] = msgspec.structs.replace(event, salt=b"", body=b"")
        return dataclasses.replace(parcel, events=events), withheld

    def _unreturned(self) -> RemoteTrouble:
        return RemoteTrouble(
            f"{self.remote.url} does not give back what was put there.",
            "It is safe here, but it is not shared through this remote.",
            "Check the remote; if somebody else may write there, look at what it holds.",
        )

    def _announce(self, db: sqlite3.Connection) -> None:
        """Let consoles that look for cases find this one: a name with its time, pointing nowhere else.

        Done at every start, and when anything was lost: a remote that lost it alone does not show that.
        """
        if self._announced:
            return
        (head,) = db.execute("SELECT head FROM events WHERE n = 1").fetchone()
        self.remote.put(f"{CASES}{iso(_wall(head), 0).replace(':', '').lower()}-{self.case.id}", b"\n")
        self._announced = True

    # -- blobs -------------------------------------------------------------------------------------------

    def _blobs(self, db: sqlite3.Connection, turn: Turn, stop: Stop) -> None:
        self._find_refs(db)
        if not self._refs:
            return
        at = f"{self.case.id}/blobs/"
        there: dict[str, list[str]] = {}
        for name in self.remote.list(at):
            there.setdefault(name.removeprefix(at).partition(".")[0], []).append(name)
        blobs = Blobs(self.case.directory)
        erased = only_of(db, {digest.hex() for (digest,) in db.execute("SELECT hash FROM erased")})
        for digest, ref in self._refs.items():
            if stop():
                return
            if digest in erased:
                continue
            names = sorted(there.get(digest, []))[:TRIES]
            if not blobs.path(digest).exists():
                raw = self._fetch_blob(ref, names, turn)
                if raw is not None:
                    blobs.put(raw, ref.media)
                    turn.blobs += 1
            elif digest not in self.blobs_withheld and not any(name in self._blobs_seen for name in names):
                try:
                    raw = blobs.read(ref)
                except StoreTrouble as trouble:
                    turn.bad[at + digest] = trouble.what
                    continue
                # What lies there already may be torn: whoever has the blob looks once.
                if self._fetch_blob(ref, names, turn) is None:
                    found = None if self._mask is None else self._mask.blob(ref, raw)
                    if found is not None:
                        self.blobs_withheld[digest] = sorted({kind for _, kind in found.withheld})
                        continue
                    self._put_blob(at + digest, raw)
                    turn.blobs += 1

    def _fetch_blob(self, ref: Ref, names: Iterable[str], turn: Turn) -> bytes | None:
        for name in names:
            if self._tries.get(name, 0) >= TRIES:
                continue
            try:
                raw = self.remote.get(name)
            except Absent:
                continue
            except RemoteTrouble as trouble:
                if trouble.passing:
                    raise
                raw = b""
            if len(raw) == ref.size and sha256(raw).hexdigest() == ref.sha256:
                self._blobs_seen.add(name)
                return raw
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = "it is not the blob that its name says"
        return None

    def _put_blob(self, name: str, raw: bytes) -> None:
        for again in range(TRIES):
            at = f"{name}.{again}" if again else name
            self.remote.put(at, raw)
            try:
                if self.remote.get(at) == raw:
                    self._blobs_seen.add(at)
                    return
            except Absent:
                continue
        raise self._unreturned()

    def _find_refs(self, db: sqlite3.Connection) -> None:
        """Find the blobs that new events speak of. Few events do, and the header says so in plain bytes."""
        for n, head in db.execute(
            "SELECT n, iif(instr(head, ?) = 0, head, NULL) FROM events WHERE n > ? ORDER BY n",
            (b'"refs":[]', self._scanned),
        ):
            self._scanned = n
            for ref in decode_header(head).refs if head else ():
                self._refs.setdefault(ref.sha256, ref)

    # -- what is known -----------------------------------------------------------------------------------

    def _covered(self, db: sqlite3.Connection, seen: Iterable[_Seen]) -> dict[int, list[tuple[int, int]]]:
        """Which numbers of which strand lie in objects that are known to be good."""
        covered: dict[int, list[tuple[int, int]]] = {}
        for each in seen:
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

    def _remember(
        self, name: str, parcel: Parcel, *, whole: bool = True, withheld: dict[str, list[str]] | None = None
    ) -> None:
        mask = self._mask.id if self._mask is not None and withheld else ""
        seen = _Seen(name, parcel.events[-1].hash.hex() if whole else "", mask, withheld or {})
        self._seen[name] = seen
        self._note(seen)

    def _forget(self, name: str) -> None:
        """Count on an object no more: it may come back under the same name, torn."""
        if self._seen.pop(name, None) is not None:
            self._places.pop(name, None)
            self._note(_Seen(name, ""))

    def _note(self, seen: _Seen) -> None:
        try:
            make_directory(self._path.parent)
            # Not synced: losing it costs fetching the object once more.
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(seen) + b"\n")
        except OSError as error:
            raise explain(error, self._path) from error


def cases(remote: Remote, since: str = "") -> list[str]:
    """Ids of the cases that a remote announces, oldest first.

    Args:
        remote: The remote.
        since: Leave out what was founded before this time, `YYYY-MM-DDThhmmss`; "" for all.
    """
    found: list[str] = []
    for name in sorted(remote.list(CASES, f"{CASES}{since.lower()}" if since else "")):
        case = name.rpartition("-")[2]
        if len(case) == 26 and case.isascii() and case.isalnum() and case not in found:
            found.append(case)
    return found


def unseen(remote: Remote, directory: Path, name: str, case: str) -> bool:
    """Whether a remote has something of a case that was not taken in yet; opens nothing.

    Args:
        remote: The remote.
        directory: The case directory.
        name: What the remote is called here.
        case: Case id.
    """
    seen = _read_seen(directory / DIRECTORY / f"{name}.seen")
    return any(each not in seen and Name.read(each) is not None for each in remote.list(prefix(case)))


def withheld_from(directory: Path, name: str) -> set[str]:
    """The events of a case whose text a remote did not get, as far as is known here; opens nothing.

    Args:
        directory: The case directory.
        name: What the remote is called here.
    """
    return {
        each for seen in _read_seen(directory / DIRECTORY / f"{name}.seen").values() for each in seen.withheld
    }


def holding_objects(directory: Path, events: Iterable[Event]) -> dict[str, list[str]]:
    """The objects that hold these events, by remote, as far as is known here: an erasure cannot reach them."""
    places = {(event.rep, event.inc, event.seq) for event in events}
    found: dict[str, list[str]] = {}
    for path in sorted((directory / DIRECTORY).glob("*.seen")):
        for name in sorted(_read_seen(path)):
            named = Name.read(name)
            if named is not None and any(
                (named.rep, named.inc) == (rep, inc) and named.first <= seq <= named.last
                for rep, inc, seq in places
            ):
                found.setdefault(path.stem, []).append(name)
    return found


def founding(remote: Remote, case: str) -> Parcel | None:
    """Fetch the beginning of a case, to found it here; None if no object there holds it."""
    bare = None
    for name in sorted(remote.list(prefix(case))):
        named = Name.read(name)
        if named is None or named.case != case or named.first != 1:
            continue
        try:
            parcel = unpack(name, remote.get(name))
        except (BadSegment, Absent):
            continue
        if parcel.events[0].header.case is None:
            if parcel.events[0].salt:
                return parcel
            bare = parcel
    return bare


def _in_order(name: str) -> tuple[str, int, int]:
    named = Name.read(name)
    return (named.rep, named.inc, named.first) if named else ("", 0, 0)


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


def _wall(head: bytes) -> int:
    return parse_iso(decode_header(head).wall)


def _read_seen(path: Path) -> dict[str, _Seen]:
    seen: dict[str, _Seen] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return seen
    except OSError as error:
        raise explain(error, path) from error
    for line in lines:
        try:
            each = msgspec.json.decode(line, type=_Seen)
            bytes.fromhex(each.last)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # a line that a crash cut off
        if each.last:
            seen[each.name] = each
        else:
            seen.pop(each.name, None)
    return seen
