"""log.db: the evidence itself, as rows of exact bytes in one SQLite file."""

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from data.clock import Clock
from data.durable import TEMPORARY, make_directory, publish
from data.envelope import Entry, Event, Sealed, case_id, decode_header, event_hash, seal, to_event
from data.hlc import HybridClock
from data.trouble import StoreTrouble, explain

NAME = "log.db"
FORMAT = 1
APPLICATION = 0x77617272
BUSY_MS = 2000
_EFFECTIVE = os.access in os.supports_effective_ids

_SCHEMA = """
CREATE TABLE strands (
    id   INTEGER PRIMARY KEY,
    rep  TEXT NOT NULL,
    inc  INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    UNIQUE (rep, inc)
) STRICT;
CREATE TABLE events (
    n      INTEGER PRIMARY KEY,
    strand INTEGER NOT NULL REFERENCES strands,
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL UNIQUE,
    kind   TEXT NOT NULL,
    head   BLOB NOT NULL,
    salt   BLOB,
    body   BLOB,
    UNIQUE (strand, seq)
) STRICT;
CREATE INDEX events_kind ON events (kind, n);
CREATE TABLE handed (
    key TEXT PRIMARY KEY,
    n   INTEGER NOT NULL REFERENCES events
) STRICT, WITHOUT ROWID;
"""

Row = tuple[int, bytes, bytes, bytes | None]
EVENT_COLUMNS = "n, hash, head, body"
UNREADABLE = "unreadable"


def read_row(row: Row) -> Event:
    """Turn a row of `EVENT_COLUMNS` into an event.

    A row whose bytes are not an event becomes one of kind `UNREADABLE`, without a time or an author: one
    damaged event must not keep the others from being read, and must not be passed over in silence.
    """
    n, digest, head, body = row
    try:
        return to_event(n, decode_header(head), digest, body)
    except (ValueError, TypeError, msgspec.MsgspecError):
        return Event(
            n=n, case="", rep="0" * 32, inc=0, seq=n, hlc="0" * 16, at=0, wall=0, actor="", role="",
            kind=UNREADABLE, prev="", hash=digest.hex(), body=None,
        )  # fmt: skip


def connect(path: Path, *, write: bool = False, immutable: bool = False) -> sqlite3.Connection:
    """Open an existing log for one thread at a time.

    Args:
        path: The file; it is never created here.
        write: With the settings of the one writer.
        immutable: Promise that nobody writes, so that reading creates no side files.

    Raises:
        StoreTrouble: If it is missing, damaged, of another format or not ours.
    """
    try:
        there = path.is_file()
    except OSError as error:
        raise explain(error, path) from error
    if not there:
        raise StoreTrouble(
            f"There is no evidence log at {path}.",
            "Either nothing was recorded here or the file was moved.",
            "Check the directory; if it held an incident, look for the file in a backup.",
        )
    uri = f"{path.absolute().as_uri()}?mode=rw" if write else read_uri(path, immutable=immutable)
    try:
        # The writer's connection is opened where errors can be shown and then belongs to its thread.
        db = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
        )
        try:
            _configure(db, write)
            (found,) = db.execute("PRAGMA user_version").fetchone()
            (application,) = db.execute("PRAGMA application_id").fetchone()
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if application != APPLICATION or found != FORMAT:
        db.close()
        if application != APPLICATION:
            raise StoreTrouble(
                f"{path} is not an evidence log.",
                "Another program wrote it, or its first bytes are damaged.",
                "Check that this is the right directory.",
            )
        raise StoreTrouble(
            f"{path} has format {found}; this program reads format {FORMAT}.",
            "It was written by another version; it is left exactly as it is.",
            "Open it with the version that wrote it, or install a newer one.",
        )
    return db


def read_uri(path: Path, *, immutable: bool = False) -> str:
    """Where SQLite reads a file without ever creating it.

    Args:
        path: The file.
        immutable: Promise that nobody writes. Where no side files are and none can be made, such as on
            a read-only disk, nobody does.
    """
    if not os.access(path.parent, os.W_OK, effective_ids=_EFFECTIVE) and not has_wal(path):
        immutable = True
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"


def has_wal(path: Path) -> bool:
    """Whether a write-ahead log beside a file holds something that is not in the file yet."""
    try:
        return os.stat(path.with_name(path.name + "-wal")).st_size > 0
    except OSError:
        return False


def _configure(db: sqlite3.Connection, write: bool) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.execute("PRAGMA mmap_size = 0")
    if not write:
        db.execute("PRAGMA query_only = ON")
        return
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -8192")
    # The writer checkpoints when it is idle, not in the middle of a commit that somebody waits for.
    db.execute("PRAGMA wal_autocheckpoint = 0")
    if sys.platform == "darwin":
        db.execute("PRAGMA fullfsync = ON")
        db.execute("PRAGMA checkpoint_fullfsync = ON")


def found_log(directory: Path, founding: Sealed) -> bool:
    """Create log.db with its founding event, whole or not at all.

    Args:
        directory: Created if it is not there.
        founding: The first event, with no case and number 1.

    Returns:
        False if there was a log already; it is left alone.

    Raises:
        StoreTrouble: If it cannot be written.
    """
    path = directory / NAME
    try:
        make_directory(directory)
        temporary = directory / f"{TEMPORARY}{os.urandom(8).hex()}"
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            db = sqlite3.connect(temporary, isolation_level=None)
            try:
                _configure(db, write=True)
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                header = founding.header
                db.execute(
                    "INSERT INTO strands VALUES (1, ?, ?, 1, ?)", (header.rep, header.inc, founding.hash)
                )
                db.execute(
                    "INSERT INTO events VALUES (1, 1, 1, ?, ?, ?, ?, ?)",
                    (founding.hash, founding.header.kind, founding.head, founding.salt, founding.body),
                )
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {FORMAT}")
                db.execute("COMMIT")
            finally:
                db.close()
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return publish(temporary, path)
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


@dataclass
class Staged:
    """A batch that is ready to be committed: rows, keys, the strand's new end, and the answers."""

    answers: list[tuple[Event, ...]] = field(default_factory=list)
    sealed: list[Sealed] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)


class Log:
    """The log as its one writer has it: one connection, used by one thread, one transaction a call.

    A transaction that is spread over several calls can be left half open when the caller is
    cancelled between them. Here `commit` is a single callable that a single thread runs, so a batch
    is on the record as a whole or not at all, and nothing can come between.

    Args:
        path: log.db.
        replica: Who writes, 32 hex digits.
        clock: Gives the wall time.

    Raises:
        StoreTrouble: If the file cannot be written to or its end is damaged.
    """

    inc = 1

    def __init__(self, path: Path, replica: str, clock: Clock) -> None:
        self.path = path
        self.replica = replica
        self._clock = clock
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

    def stage(self, groups: Sequence[Sequence[Entry]]) -> Staged:
        """Seal checked entries as the next events of our strand, without writing anything.

        Only the one writer may call this, and it must commit or drop the result before it stages again.
        """
        staged = Staged()
        n, seq, prev = self.last, self._seq, self._prev
        wall, clk = self._clock.now(), self._clock.quality
        fresh: dict[int, Event] = {}
        for group in groups:
            answer = []
            for entry in group:
                known = self._known(entry.key, staged) if entry.key else None
                if known is not None:
                    answer.append(fresh.get(known) or self._event(known))
                    continue
                n, seq = n + 1, seq + 1
                sealed = seal(
                    entry,
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
                event = sealed.event(n)
                if entry.key:
                    staged.keys[entry.key] = n
                    fresh[n] = event
                answer.append(event)
            staged.answers.append(tuple(answer))
        return staged

    def commit(self, staged: Staged) -> None:
        """Write a batch in one transaction; when this returns, the batch is on the disk.

        Raises:
            sqlite3.Error: If it is not known to be there; ask `holds` of a newly opened log.
        """
        if not staged.sealed:
            return
        db, first, end = self._db, self.last + 1, staged.sealed[-1]
        seq = end.header.seq
        db.execute("BEGIN IMMEDIATE")
        try:
            strand = self._strand
            if strand is None:
                cursor = db.execute(
                    "INSERT INTO strands (rep, inc, seq, hash) VALUES (?, ?, ?, ?)",
                    (self.replica, self.inc, seq, end.hash),
                )
                strand = cursor.lastrowid
            else:
                db.execute("UPDATE strands SET seq = ?, hash = ? WHERE id = ?", (seq, end.hash, strand))
            db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (n, strand, each.header.seq, each.hash, each.header.kind, each.head, each.salt, each.body)
                    for n, each in enumerate(staged.sealed, first)
                ],
            )
            db.executemany("INSERT INTO handed VALUES (?, ?)", staged.keys.items())
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._strand, self._seq, self._prev = strand, seq, end.hash
        self.last += len(staged.sealed)

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


def events_after(db: sqlite3.Connection, n: int, limit: int) -> Iterator[Event]:
    """The events that arrived after number `n`, in order of arrival, at most `limit`."""
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608
    return map(read_row, db.execute(query, (n, limit)).fetchall())


def founding_hash(db: sqlite3.Connection, path: Path) -> bytes:
    """The hash of the event that founded a case, 32 bytes.

    Raises:
        StoreTrouble: If it is not there.
    """
    try:
        row = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if row is None:
        raise StoreTrouble(
            f"{path} has no founding event.",
            "Without it the case has no identity; the log was damaged.",
            "Copy the directory to a safe place, then run `warroom verify` on it.",
        )
    return bytes(row[0])
