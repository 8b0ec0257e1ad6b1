"""What the watcher knows, written down: the state of its tripwires and how far each source was read.

Both in one transaction, so that a restart continues exactly after the last record that the state knows.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

NAME = "baselines.db"
VERSION = 1


class Saved(NamedTuple):
    """One snapshot.

    Attributes:
        at: when it was taken, nanoseconds UTC.
        engine: the tripwires' state.
        attribution: what was known about traces and conversations.
        journal: the first segment of the journal that is not in the state.
        positions: how far each source was read, by its name.
    """

    at: int
    engine: bytes
    attribution: bytes
    journal: int
    positions: dict[str, bytes]


class Baselines:
    """The file of snapshots. One thread at a time.

    Raises:
        OSError, sqlite3.Error: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = ""
        """What was wrong with the file that was found, and where it is now; '' when nothing was."""
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            # A full disk or a lock is no damage: what was learnt over weeks stays in its place.
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self.damaged = f"the baselines could not be read ({error}) and were put aside as {aside.name}"
            self._db = self._open()

    def load(self) -> Saved | None:
        """Return the last snapshot, or None when there is none."""
        row = self._db.execute("SELECT at, engine, attribution, journal FROM state").fetchone()
        if row is None:
            return None
        positions = dict(self._db.execute("SELECT source, position FROM positions"))
        return Saved(row[0], row[1], row[2], row[3], positions)

    def save(self, saved: Saved) -> None:
        """Replace the snapshot.

        Raises:
            sqlite3.Error: it could not be written; the one before still stands.
        """
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO state(id, at, engine, attribution, journal) VALUES(1, ?, ?, ?, ?)",
                (saved.at, saved.engine, saved.attribution, saved.journal),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO positions(source, position) VALUES(?, ?)", saved.positions.items()
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA trusted_schema = OFF")
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
                raise sqlite3.DatabaseError("another version of this program wrote them")
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("the file is damaged")
            db.executescript(
                "CREATE TABLE IF NOT EXISTS state(id INTEGER PRIMARY KEY, at INTEGER NOT NULL,"
                " engine BLOB NOT NULL, attribution BLOB NOT NULL, journal INTEGER NOT NULL);"
                "CREATE TABLE IF NOT EXISTS positions(source TEXT PRIMARY KEY, position BLOB NOT NULL);"
                f"PRAGMA user_version = {VERSION};"
            )
        except sqlite3.Error:
            db.close()
            raise
        return db
