"""Writing the log: our own strand goes on, those of others are merged, and bodies are erased."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from data import record
from data.clock import Clock
from data.envelope import Entry, Event, Sealed, case_id, decode_header, event_hash, seal
from data.hlc import HybridClock
from data.identity import Signer
from data.log import BUSY_MS, EVENT_COLUMNS, connect, read_row
from data.segment import Parcel
from data.trouble import StoreTrouble, explain

FIRST = 1
"""The incarnation that a replica starts with."""
SIGNED_EVERY = 1000
"""Inside a long batch every so many events are signed too, so that a segment can end there."""
SIGNED_BYTES = 8 * 1024 * 1024
"""The same by size: a segment holds several times that."""


@dataclass
class Staged:
    """A batch that is ready to be committed: rows, keys, the strand's new end, and the answers."""

    answers: list[tuple[Event, ...]] = field(default_factory=list)
    sealed: list[Sealed] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    signatures: list[tuple[int, bytes]] = field(default_factory=list)
    """Number in the strand and signature over that event's hash."""


@dataclass(frozen=True)
class Merged:
    """What came of a parcel.

    Attributes:
        added: Events that were new here.
        after: Hash of the event that must come first, as it is not here yet; None if nothing is missing.
        forked: Whether somebody continued our own strand: a copied identity or a restored backup.
        branched: Whether it left a strand that another event had continued already.
        refused: Why nothing of it was taken in, though it holds together by itself; "" if it was.
        bare: Events that it brought without a body though nobody erased them here: not a full copy.
        refilled: Events here whose body was missing and that it brought.
    """

    added: int = 0
    after: bytes | None = None
    forked: bool = False
    branched: bool = False
    refused: str = ""
    bare: int = 0
    refilled: int = 0


class Log:
    """The log as its one writer has it: one connection, used by one thread, one transaction a call.

    A transaction that is spread over several calls can be left half open when the caller is
    cancelled between them. Here `commit` is a single callable that a single thread runs, so a batch
    is on the record as a whole or not at all, and nothing can come between.

    Args:
        path: log.db.
        signer: Who writes.
        clock: Gives the wall time.

    Attributes:
        unwitnessed: Events, of whomever, that no checkpoint of ours covers yet; checkpoints not counted.
        unmoved: About how many bytes were written since the last `checkpoint`.
        unwiped: Whether the write-ahead log may still hold what was erased; `checkpoint` tries again.

    Raises:
        StoreTrouble: If the file cannot be written to or its end is damaged.
    """

    def __init__(self, path: Path, signer: Signer, clock: Clock) -> None:
        self.path = path
        self.replica = signer.replica
        self._signer = signer
        self._clock = clock
        self.unwiped = False
        self.unmoved = 0
        self._db = connect(path, write=True)
        try:
            self._read_end()
        except sqlite3.Error as error:
            self._db.close()
            raise explain(error, path) from error
        except BaseException:
            self._db.close()
            raise

    def _read_end(self) -> None:
        """Learn where the strands end, and refuse to write after an end that does not hold together."""
        damaged = StoreTrouble(
            f"The end of {self.path} does not hold together.",
            "What is there can be read; nothing more is written, so as not to bury the damage.",
            "Copy the directory to a safe place, then run `warroom verify` on it.",
        )
        first = self._db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
        (self.last,) = self._db.execute("SELECT max(n) FROM events").fetchone()
        if first is None:
            raise damaged
        self.case = case_id(first[0])
        self._hlc = HybridClock()
        self._strand: int | None = None
        self._seq = 0
        self._prev: bytes | None = None
        mine = self._db.execute("SELECT inc FROM writes WHERE rep = ?", (self.replica,)).fetchone()
        self.inc: int = mine[0] if mine else FIRST
        ends = self._db.execute(
            "SELECT s.id, s.rep, s.inc, s.seq, s.hash, e.hash, e.head FROM strands s"
            " LEFT JOIN events e ON e.strand = s.id AND e.seq = s.seq"
        ).fetchall()
        for strand, rep, inc, seq, expected, digest, head in ends:
            if digest is None or digest != expected or event_hash(head) != digest:
                raise damaged
            try:
                reading = decode_header(head).hlc
            except (TypeError, msgspec.MsgspecError):
                raise damaged from None
            if rep == self.replica:
                self._hlc = HybridClock(max(reading, self._hlc.last))
                if inc == self.inc:
                    self._strand, self._seq, self._prev = strand, seq, digest
            else:
                self._hlc.observe(reading, self._clock.now())
        self._fork: record.Forked | None = None
        if mine is None and self._strand is not None and self._prev is not None:
            # Our own events came from elsewhere: this file was lost once, and nobody knows what else was.
            self._leave(record.Forked(self.inc, self._seq, self._prev.hex(), seen="write"))
        self.unwitnessed = self._count_unwitnessed()

    def _count_unwitnessed(self) -> int:
        seen = self._db.execute(
            "SELECT coalesce(max(e.n), 0) FROM events e JOIN strands s ON s.id = e.strand"
            " WHERE e.kind = ? AND s.rep = ?",
            (record.CHECKPOINT, self.replica),
        ).fetchone()[0]
        (since,) = self._db.execute(
            "SELECT count(*) FROM events WHERE n > ? AND kind <> ?", (seen, record.CHECKPOINT)
        ).fetchone()
        return int(since)

    @property
    def end(self) -> tuple[int, int, bytes | None]:
        """Where our strand ends: incarnation, number and hash of its last event."""
        return self.inc, self._seq, self._prev

    def continued_by(self, ours: tuple[int, int, bytes | None]) -> bool:
        """Note, if our strand does not end as we left it, that somebody else wrote in our name.

        Args:
            ours: `end` as it was when we last wrote.

        Returns:
            Whether that is so. What we write next starts a new incarnation.
        """
        inc, seq, digest = ours
        if inc != self.inc or self._prev == digest or self._prev is None:
            return False
        first = min(seq + 1, self._seq)
        (theirs,) = self._db.execute(
            "SELECT hash FROM events WHERE strand = ? AND seq = ?", (self._strand, first)
        ).fetchone()
        self._leave(record.Forked(inc, first, theirs.hex(), seen="write"))
        return True

    def _leave(self, fork: record.Forked) -> None:
        """Stop writing in this incarnation; the next is new and starts by saying why."""
        # Two copies of one identity that notice each other must not meet again in the same next number.
        self.inc += 1 + secrets.randbelow(2**20)
        self._strand, self._seq, self._prev = None, 0, None
        self._fork = fork

    def stage(self, groups: Sequence[Sequence[Entry]]) -> Staged:
        """Seal checked entries as the next events of our strand, without writing anything.

        Only the one writer may call this, and it must commit or drop the result before it stages again.
        """
        staged = Staged()
        n, seq, prev = self.last, self._seq, self._prev
        wall, clk = self._clock.now(), self._clock.quality
        fresh: dict[int, Event] = {}
        if self._fork is not None:
            groups = [(record.entry(record.FORKED, self._fork),), *groups]
        for group in groups:
            answer = []
            for entry in group:
                known = self._known(entry.key, staged) if entry.key else None
                if known is not None:
                    answer.append(fresh.get(known) or self._event(known))
                    continue
                n, seq = n + 1, seq + 1
                sealed, event = seal(
                    entry,
                    n=n,
                    case=self.case,
                    rep=self.replica,
                    inc=self.inc,
                    seq=seq,
                    hlc=self._hlc.tick(wall),
                    wall=wall,
                    clk=clk,
                    prev=prev,
                )
                prev = sealed.hash
                staged.sealed.append(sealed)
                if entry.key:
                    staged.keys[entry.key] = n
                    fresh[n] = event
                answer.append(event)
            staged.answers.append(tuple(answer))
        if self._fork is not None:
            del staged.answers[0]
        size = 0
        for each in staged.sealed:
            size += len(each.head) + len(each.body)
            if each.seq % SIGNED_EVERY == 0 or size > SIGNED_BYTES or each is staged.sealed[-1]:
                staged.signatures.append((each.seq, self._signer.sign(each.hash)))
                size = 0
        return staged

    def commit(self, staged: Staged) -> None:
        """Write a batch in one transaction; when this returns, the batch is on the disk.

        Raises:
            sqlite3.Error: If it is not known to be there; ask `holds` of a newly opened log.
        """
        if not staged.sealed:
            return
        with self._transaction():
            strand = self._write(staged)
        self._wrote(staged, strand)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write(self, staged: Staged) -> int:
        db, first, end = self._db, self.last + 1, staged.sealed[-1]
        seq, strand = end.seq, self._strand
        if strand is None:
            strand = self._begin(self.replica, self.inc, b"", seq, end.hash)
            db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (self.replica, self._signer.public))
            db.execute("INSERT OR REPLACE INTO writes VALUES (?, ?)", (self.replica, self.inc))
        else:
            db.execute("UPDATE strands SET seq = ?, hash = ? WHERE id = ?", (seq, end.hash, strand))
        db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (n, strand, each.seq, each.hash, each.kind, each.head, each.salt, each.body)
                for n, each in enumerate(staged.sealed, first)
            ],
        )
        self.unmoved += _size(staged.sealed)
        db.executemany("INSERT INTO handed VALUES (?, ?)", staged.keys.items())
        db.executemany(
            "INSERT INTO signatures VALUES (?, ?, ?)",
            [(strand, number, signature) for number, signature in staged.signatures],
        )
        return strand

    def _begin(self, rep: str, inc: int, root: bytes, seq: int, digest: bytes) -> int:
        cursor = self._db.execute(
            "INSERT INTO strands (rep, inc, root, seq, hash) VALUES (?, ?, ?, ?, ?)",
            (rep, inc, root, seq, digest),
        )
        assert cursor.lastrowid is not None  # noqa: S101 - a plain insert has one
        return cursor.lastrowid

    def _wrote(self, staged: Staged, strand: int) -> None:
        end = staged.sealed[-1]
        self._strand, self._seq, self._prev = strand, end.seq, end.hash
        self.last += len(staged.sealed)
        self._fork = None
        checkpoints = [i for i, each in enumerate(staged.sealed) if each.kind == record.CHECKPOINT]
        if checkpoints:
            self.unwitnessed = len(staged.sealed) - 1 - checkpoints[-1]
        else:
            self.unwitnessed += len(staged.sealed)

    def merge(self, parcels: Sequence[Parcel]) -> list[Merged]:
        """Take in runs of events that other replicas wrote, in one transaction; repeats change nothing.

        Args:
            parcels: Checked by `data.segment.unpack`: the events hold together and are signed. Each is taken
                in, or not, as if it came alone after those before it.

        Raises:
            sqlite3.Error: It is not known whether they are there; merging again, into a log that was opened
                anew, is harmless.
        """
        with self._transaction():
            return [self._merge(parcel) for parcel in parcels]

    def _merge(self, parcel: Parcel) -> Merged:
        if parcel.case != self.case:
            return Merged(refused="it belongs to another case")
        fresh = self._unknown(parcel.events)
        strand, branched = None, False
        if fresh and fresh[0].seq > 1:
            first = fresh[0].header
            before = bytes.fromhex(first.prev or "")
            row = self._db.execute(
                "SELECT s.id, s.hash, s.rep, s.inc, e.seq, e.head FROM events e"
                " JOIN strands s ON s.id = e.strand WHERE e.hash = ?",
                (before,),
            ).fetchone()
            if row is None:
                return Merged(after=before)
            # Whoever signs with a key of their own may say anything, also that they go on in another's strand.
            if row[2:5] != (parcel.rep, parcel.inc, first.seq - 1):
                return Merged(refused="it goes on in a strand that is not its writer's")
            if decode_header(row[5]).hlc >= first.hlc:
                return Merged(refused="its hybrid clock does not go forward")
            branched = row[1] != before
            strand = None if branched else row[0]
        elif fresh:
            known = "SELECT 1 FROM strands WHERE rep = ? AND inc = ?"
            branched = self._db.execute(known, (parcel.rep, parcel.inc)).fetchone() is not None
        fork = self._fork_by(parcel, fresh)
        last = parcel.events[-1]
        gone = {row[0] for row in self._db.execute("SELECT hash FROM erased")}
        if fresh:
            strand = self._write_fresh(parcel, fresh, strand, branched, gone)
        else:
            (strand,) = self._db.execute("SELECT strand FROM events WHERE hash = ?", (last.hash,)).fetchone()
        refilled = self._refill(parcel.events[: len(parcel.events) - len(fresh)], gone)
        self._db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (parcel.rep, parcel.public))
        self._db.execute(
            "INSERT OR IGNORE INTO signatures VALUES (?, ?, ?)", (strand, last.seq, parcel.signature)
        )
        self.last += len(fresh)
        if fork is not None:
            # In the same transaction: no crash may let us go on in a strand that is not ours alone.
            self._leave(fork)
            staged = self.stage([])
            self._wrote(staged, self._write(staged))
        self.unwitnessed += sum(each.kind != record.CHECKPOINT for each in fresh)
        if fresh:
            self._hlc.observe(last.header.hlc, self._clock.now())
        bare = sum(not each.salt and each.hash not in gone for each in parcel.events)
        return Merged(len(fresh), forked=fork is not None, branched=branched, bare=bare, refilled=refilled)

    def _refill(self, known: Sequence[Sealed], gone: set[bytes]) -> int:
        """Put back bodies that are missing here and that nobody erased: anybody can send a copy without them."""
        whole = [(each.salt, each.body, each.hash) for each in known if each.salt and each.hash not in gone]
        return (
            self._db.executemany(
                "UPDATE events SET salt = ?, body = ? WHERE hash = ? AND body IS NULL", whole
            ).rowcount
            if whole
            else 0
        )

    def _unknown(self, events: Sequence[Sealed]) -> Sequence[Sealed]:
        """The events that are not here yet; those before them in the strand are."""
        for index in range(len(events), 0, -1):
            row = self._db.execute(
                "SELECT 1 FROM events WHERE hash = ?", (events[index - 1].hash,)
            ).fetchone()
            if row is not None:
                return events[index:]
            if index == len(events) and self._ends_before(events[0]):
                return events
        return events

    def _ends_before(self, event: Sealed) -> bool:
        prev = bytes.fromhex(event.header.prev or "")
        row = self._db.execute("SELECT 1 FROM strands WHERE hash = ?", (prev,)).fetchone()
        return row is not None

    def _fork_by(self, parcel: Parcel, fresh: Sequence[Sealed]) -> record.Forked | None:
        """What gives away that somebody else writes with our key in the incarnation that we write in."""
        if not fresh or parcel.rep != self.replica:
            return None
        if parcel.inc == self.inc:
            first = fresh[0]
            ours = self._db.execute(
                "SELECT hash FROM events WHERE strand = ? AND seq = ?", (self._strand, first.seq)
            ).fetchone()
            return record.Forked(self.inc, first.seq, first.hash.hex(), "" if ours is None else ours[0].hex())
        for each in fresh:
            # Another copy of us has seen what we wrote and gone away: it wrote the beginning of our strand too.
            said = record.read_forked(each.body) if each.kind == record.FORKED else None
            if said is not None and said.inc == self.inc:
                ours_now = "" if self._prev is None else self._prev.hex()
                return record.Forked(self.inc, max(self._seq, 1), each.hash.hex(), ours_now)
        return None

    def _write_fresh(
        self,
        parcel: Parcel,
        fresh: Sequence[Sealed],
        strand: int | None,
        branched: bool,
        gone: set[bytes],
    ) -> int:
        first, end = fresh[0], fresh[-1]
        if strand is None:
            root = first.hash if branched else b""
            strand = self._begin(parcel.rep, parcel.inc, root, end.seq, end.hash)
        else:
            self._db.execute("UPDATE strands SET seq = ?, hash = ? WHERE id = ?", (end.seq, end.hash, strand))
        self.unmoved += _size(fresh)
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            # sqlite3 asks an object of type bytes at length how it wants to be stored, and no bytearray.
            [
                (
                    n,
                    strand,
                    each.seq,
                    bytearray(each.hash),
                    each.kind,
                    bytearray(each.head),
                    *(
                        (None, None)
                        if each.hash in gone or not each.salt
                        else (bytearray(each.salt), bytearray(each.body))
                    ),
                )
                for n, each in enumerate(fresh, self.last + 1)
            ],
        )
        return strand

    def heads(self) -> list[record.Head]:
        """Where the strands here end; if there are more than a checkpoint holds, the newest of them."""
        return [
            record.Head(rep, inc, seq, digest.hex())
            for rep, inc, seq, digest in self._db.execute(
                "SELECT s.rep, s.inc, s.seq, s.hash FROM strands s JOIN events e ON e.hash = s.hash"
                " ORDER BY e.n DESC LIMIT ?",
                (record.MAX_HEADS,),
            )
        ]

    def erase(self, hashes: Sequence[bytes]) -> int:
        """Take away body and salt of events, for good, here; also of those that are yet to come.

        Overwrites them in the file; what an older copy of the file holds is beyond reach.

        Returns:
            How many bodies went.

        Raises:
            sqlite3.Error: It is not known what is gone; erasing again is harmless.
        """
        self._db.execute("PRAGMA secure_delete = ON")
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(each,) for each in hashes])
            gone = self._db.executemany(
                "UPDATE events SET salt = NULL, body = NULL WHERE hash = ? AND body IS NOT NULL",
                [(each,) for each in hashes],
            ).rowcount
        self._wipe()
        return gone

    def _wipe(self) -> None:
        # The write-ahead log holds the old pages until it is emptied. A reader can delay that, and nobody
        # who wants to append shall wait for the reader.
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self.unwiped = bool(busy)

    def holds(self, staged: Staged) -> bool:
        """Whether a batch is on the record and, if so, on the disk.

        After a failed commit the answer may come from memory that the disk never got, so the whole
        log is written through before the answer is yes.

        Raises:
            sqlite3.Error: If it cannot be told.
        """
        if not staged.sealed:
            return True
        found = self._db.execute("SELECT 1 FROM events WHERE hash = ?", (staged.sealed[-1].hash,)).fetchone()
        if found is None:
            return False
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy:
            raise sqlite3.OperationalError("the log could not be written through")
        return True

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file itself, as far as readers allow."""
        self.unmoved = 0
        if self.unwiped:
            self._wipe()
        else:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file, with everything in log.db itself if no reader stands in the way."""
        try:
            self._db.execute("PRAGMA busy_timeout = 0")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # what is in the write-ahead log is as safe there
        finally:
            self._db.close()

    def _known(self, key: str, staged: Staged) -> int | None:
        if key in staged.keys:
            return staged.keys[key]
        row = self._db.execute("SELECT n FROM handed WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def _event(self, n: int) -> Event:
        return read_row(
            self._db.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE n = ?", (n,)).fetchone()  # noqa: S608
        )


def _size(events: Sequence[Sealed]) -> int:
    """About how much they add to the file."""
    return sum(len(each.head) + len(each.body) + 400 for each in events)
