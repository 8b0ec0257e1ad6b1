"""log.db: the evidence itself, as rows of exact bytes in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from data.durable import TEMPORARY, make_directory, publish
from data.envelope import Event, Sealed, decode_header, to_event
from data.trouble import StoreTrouble, explain

NAME = "log.db"
FORMAT = 2
APPLICATION = 0x77617272
BUSY_MS = 2000
_EFFECTIVE = os.access in os.supports_effective_ids

_SCHEMA = """
CREATE TABLE strands (
    id   INTEGER PRIMARY KEY,
    rep  TEXT NOT NULL,
    inc  INTEGER NOT NULL,
    root BLOB NOT NULL,
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    UNIQUE (rep, inc, root)
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
CREATE TABLE keys (
    rep    TEXT PRIMARY KEY,
    public BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signatures (
    strand    INTEGER NOT NULL REFERENCES strands,
    seq       INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (strand, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE writes (
    rep TEXT PRIMARY KEY,
    inc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE erased (
    hash BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""
# strands.root: the first event of a branch that left a strand somebody else had continued; empty for the
# strand itself. writes: which incarnation of a replica writes this very file; a strand of a replica that is
# not named there came from elsewhere, even if the replica is our own.

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


def found_log(
    directory: Path, founding: Sealed, public: bytes, signature: bytes | None, *, ours: bool = True
) -> bool:
    """Create log.db with its founding event, whole or not at all.

    Args:
        directory: Created if it is not there.
        founding: The first event, with no case and number 1.
        public: The founder's public key, 32 bytes.
        signature: The founder's signature over the event, 64 bytes; None if it comes with what follows.
        ours: Whether this console founds the case, or takes it over from a remote.

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
                    "INSERT INTO strands VALUES (1, ?, ?, x'', 1, ?)", (header.rep, header.inc, founding.hash)
                )
                db.execute("INSERT INTO keys VALUES (?, ?)", (header.rep, public))
                if signature is not None:
                    db.execute("INSERT INTO signatures VALUES (1, 1, ?)", (signature,))
                if ours:
                    db.execute("INSERT INTO writes VALUES (?, ?)", (header.rep, header.inc))
                db.execute(
                    "INSERT INTO events VALUES (1, 1, 1, ?, ?, ?, ?, ?)",
                    (
                        founding.hash,
                        founding.kind,
                        founding.head,
                        *((founding.salt, founding.body) if founding.salt else (None, None)),
                    ),
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
