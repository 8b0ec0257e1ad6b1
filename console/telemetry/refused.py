"""What could not be taken in: counted exactly, kept in part, never fatal.

A flood of bad records must not become a flood of writes: counts are summed in memory and told about once a
second, and of each kind of refusal only the first few in each such interval are kept with their raw bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

RAW_LIMIT = 4096
"""Bytes kept of one refused record."""
KEPT_LIMIT = 5_000
"""Refused records kept in the store; the oldest go first."""
KEPT_PER_FLUSH = 20
KINDS_LIMIT = 1_000
"""Different (source, reason) pairs that are counted apart between two flushes; further ones together."""
OTHERS = "others"


class Kept(NamedTuple):
    """One refused record: when (ns UTC), where it came from, why, and the start of its bytes."""

    at: int
    source: str
    reason: str
    raw: bytes


class RefusedStore:
    """The bounded store of refused records. One thread at a time.

    Args:
        path: the SQLite file; None keeps nothing and only counts.
        tell: called with (source, reason, count) for what was refused since the last flush.
    """

    def __init__(self, path: Path | None, tell: Callable[[str, str, int], None] | None = None) -> None:
        self._path = path
        self._tell = tell
        self._db: sqlite3.Connection | None = None
        self._fresh: dict[tuple[str, str], int] = {}
        self._waiting: list[Kept] = []
        self.trouble = ""
        """Why refused records are not kept at the moment; they are still counted."""
        if path is not None:
            try:
                self._open(path)
            except (OSError, sqlite3.Error) as error:
                # It holds nothing that detection needs: a damaged one is set aside, not a reason to stop.
                self._forget(error)
                try:
                    path.replace(path.with_suffix(".damaged"))
                    self._open(path)
                    self.trouble = ""
                except (OSError, sqlite3.Error) as again:
                    self._forget(again)

    def add(self, at: int, source: str, reason: str, raw: bytes = b"", count: int = 1) -> None:
        """Count a refusal; `reason` up to its first colon says what kind it is, the rest is detail."""
        key = (source[:256], reason.partition(":")[0][:256])
        if key not in self._fresh and len(self._fresh) >= KINDS_LIMIT:
            key = (OTHERS, OTHERS)
        fresh = self._fresh[key] = self._fresh.get(key, 0) + count
        if fresh - count < KEPT_PER_FLUSH:
            self._waiting.append(Kept(at, source[:256], reason[:1024], raw[:RAW_LIMIT]))

    def flush(self) -> None:
        """Write what waits and tell what was refused since the last time. Never raises for the disk."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        waiting, self._waiting = self._waiting, []
        if self._db is not None:
            try:
                with self._db:
                    self._db.executemany(
                        "INSERT INTO kept(at, source, reason, raw) VALUES(?, ?, ?, ?)", waiting
                    )
                    self._db.execute(
                        "DELETE FROM kept WHERE id <= (SELECT max(id) FROM kept) - ?", (KEPT_LIMIT,)
                    )
                self.trouble = ""
            except sqlite3.Error as error:
                self.trouble = f"Refused records are counted but not kept: {error}."
        if self._tell is not None:
            for (source, reason), count in fresh.items():
                self._tell(source, reason, count)

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.executescript(
            "CREATE TABLE IF NOT EXISTS kept(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
            " source TEXT NOT NULL, reason TEXT NOT NULL, raw BLOB NOT NULL);"
        )

    def _forget(self, error: Exception) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        self.trouble = f"Refused records are counted but not kept: {error}."
