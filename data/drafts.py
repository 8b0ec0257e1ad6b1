"""drafts.db: what is being typed and has not been sent; not evidence, but not to be lost either."""

import os
import secrets
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock as Mutex
from threading import Thread
from typing import NamedTuple, TypeVar

from data import lock
from data.clock import Clock
from data.durable import TEMPORARY
from data.trouble import StoreTrouble, explain

T = TypeVar("T")

NAME = "drafts.db"
MAX_CHARACTERS = 1024 * 1024
RETRY_SECONDS = 1.0
FRESH_SECONDS = 60

_Task = tuple[Callable[[sqlite3.Connection], None], Callable[[BaseException], None]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS drafts (
    owner TEXT, box TEXT, text TEXT NOT NULL, started_at INTEGER NOT NULL, saved_at INTEGER NOT NULL,
    PRIMARY KEY (owner, box)
) STRICT, WITHOUT ROWID
"""


class Draft(NamedTuple):
    """Unsent text.

    Attributes:
        box: Which box it was typed into.
        text: The text.
        started_at: When typing began, nanoseconds UTC.
        saved_at: When it was last written to disk, nanoseconds UTC; 0 if the newest text is not there yet.
        owner: The process it belongs to.
    """

    box: str
    text: str
    started_at: int
    saved_at: int
    owner: str


class Drafts:
    """The drafts of this process in one directory, opened by `Drafts.open`.

    `put` only leaves the newest text in a slot; a thread writes whatever is newest, so a slow disk
    costs versions, never keystrokes.

    Attributes:
        trouble: Why drafts are not saved, in plain words; "" if they are.
    """

    def __init__(self, directory: Path, clock: Clock, owner: str, alive: lock.Lock | None) -> None:
        self._path = directory / NAME
        self._clock = clock
        self._owner = owner
        self._alive = alive
        self._mutex = Mutex()
        self._boxes: dict[str, Draft] = {}
        self._dirty: set[str] = set()
        self._work: SimpleQueue[_Task | None] = SimpleQueue()
        self.trouble = ""
        self._thread = Thread(target=self._run, name="drafts", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, directory: Path, clock: Clock, *, read_only: bool = False) -> "Drafts":
        """Open the drafts of a directory, which must exist. `read_only`: leave no sign of life there.

        Where nothing can be written they are kept in memory only, and `trouble` says so.
        """
        owner = secrets.token_hex(8)
        if read_only:
            return cls(directory, clock, owner, None)
        try:
            alive = lock.Lock.take(_sign_of_life(directory, owner))
        except OSError as error:
            drafts = cls(directory, clock, owner, None)
            drafts.trouble = _not_saved(explain(error, directory / NAME))
            return drafts
        if alive is None:
            raise RuntimeError("two processes have drawn the same 64 random bits")
        _sweep(directory, owner)
        return cls(directory, clock, owner, alive)

    def put(self, box: str, text: str, started_at: int) -> None:
        """Keep a text; returns at once, and the text is on the disk within 50 ms.

        Args:
            box: Which box it is being typed into.
            text: All of it, at most 1 Mi characters; lone surrogates are kept as `?`.
            started_at: When typing began, nanoseconds UTC.

        Raises:
            ValueError: If it is too long.
        """
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"a draft has at most {MAX_CHARACTERS} characters")
        text = text.encode(errors="replace").decode() if not text.isascii() else text
        with self._mutex:
            self._boxes[box] = Draft(box, text, started_at, 0, self._owner)
            self._mark(box)

    def clear(self, box: str) -> None:
        """Drop the draft of a box, because it was sent or given up; returns at once."""
        with self._mutex:
            self._boxes.pop(box, None)
            self._mark(box)

    def get(self, box: str) -> Draft | None:
        """The newest text of a box, saved or not."""
        with self._mutex:
            return self._boxes.get(box)

    def saved_at(self, box: str) -> int:
        """When the newest text of a box was written to disk, nanoseconds UTC; 0 if it was not yet."""
        draft = self.get(box)
        return draft.saved_at if draft else 0

    def orphans(self) -> list[Draft]:
        """Drafts whose process is gone, oldest first; none where they cannot be read, as `trouble` then says.

        Waits for the disk.
        """

        def find(db: sqlite3.Connection) -> list[Draft]:
            rows = db.execute("SELECT box, text, started_at, saved_at, owner FROM drafts ORDER BY started_at")
            drafts = [Draft(*row) for row in rows.fetchall()]
            living = {owner for owner in {d.owner for d in drafts} if self._lives(owner)}
            return [draft for draft in drafts if draft.owner not in living]

        try:
            return self._ask(find)
        except StoreTrouble:
            return []

    def adopt(self, orphan: Draft) -> bool:
        """Make an orphan a draft of this process, in its box. Waits for the disk.

        Returns:
            False if another process was faster, or the box has a draft of its own.
        """
        with self._mutex:
            if orphan.box in self._boxes:
                return False

        def take(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "UPDATE OR IGNORE drafts SET owner = ? WHERE owner = ? AND box = ?",
                (self._owner, orphan.owner, orphan.box),
            )
            return cursor.rowcount == 1

        if not self._ask(take):
            return False
        with self._mutex:
            self._boxes.setdefault(orphan.box, orphan._replace(owner=self._owner))
        return True

    def discard(self, orphan: Draft) -> None:
        """Drop an orphan that nobody wants. Waits for the disk."""
        key = (orphan.owner, orphan.box)
        self._ask(lambda db: db.execute("DELETE FROM drafts WHERE owner = ? AND box = ?", key).rowcount)

    def close(self) -> None:
        """Write what is not written; drafts that remain are orphans from now on."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()
            if self._alive is not None:
                _sign_of_life(self._path.parent, self._owner).unlink(missing_ok=True)
                self._alive.release()

    def _mark(self, box: str) -> None:
        if box not in self._dirty:
            self._dirty.add(box)
            self._work.put((self._save, _tell_nobody))

    def _lives(self, owner: str) -> bool:
        return owner == self._owner or lock.holder(_sign_of_life(self._path.parent, owner)) is not None

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        answer: Future[T] = Future()

        def work(db: sqlite3.Connection) -> None:
            answer.set_result(question(db))

        self._work.put((work, answer.set_exception))
        return answer.result()

    def _save(self, db: sqlite3.Connection) -> None:
        """Write every box that has changed, in one transaction."""
        with self._mutex:
            dirty = {box: self._boxes.get(box) for box in self._dirty}
            self._dirty.clear()
        if not dirty:
            return
        now = self._clock.now()
        try:
            db.execute("BEGIN IMMEDIATE")
            for box, draft in dirty.items():
                if draft is None:
                    db.execute("DELETE FROM drafts WHERE owner = ? AND box = ?", (self._owner, box))
                else:
                    row = (self._owner, box, draft.text, draft.started_at, now)
                    db.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?)", row)
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            with self._mutex:
                self._dirty.update(dirty)
            raise
        with self._mutex:
            for box, draft in dirty.items():
                if draft is not None and self._boxes.get(box) is draft:
                    self._boxes[box] = draft._replace(saved_at=now)
        self.trouble = ""

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        closing = False
        while not closing:
            try:
                task = self._work.get(timeout=RETRY_SECONDS if self.trouble else None)
            except Empty:
                task = (self._save, _tell_nobody)
            closing = task is None
            if closing and not self._dirty:
                break
            work, failed = task or (self._save, _tell_nobody)
            try:
                if db is None:
                    db = _connect(self._path)
                work(db)
            except (sqlite3.Error, OSError) as error:
                trouble = explain(error, self._path)
                self.trouble = _not_saved(trouble)
                failed(trouble)
                if db is not None:
                    db.close()
                    db = None
        if db is not None:
            db.close()


def _tell_nobody(_: BaseException) -> None:
    """What is typed is not awaited; `trouble` says that it is not saved."""


def _not_saved(trouble: StoreTrouble) -> str:
    return f"Drafts are not saved. {trouble}"


def _sign_of_life(directory: Path, owner: str) -> Path:
    return directory / f"{TEMPORARY}draft-{owner}"


def _sweep(directory: Path, owner: str) -> None:
    """Remove the signs of life of processes that were killed."""
    with suppress(OSError):
        started = _sign_of_life(directory, owner).stat().st_mtime
        for path in directory.glob(f"{TEMPORARY}draft-*"):
            # One that was made this moment may not be locked yet.
            if path.stat().st_mtime < started - FRESH_SECONDS and lock.holder(path) is None:
                path.unlink()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF not in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            raise
    # A damaged file must not keep people from writing; it stays beside the new one.
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            os.replace(old, path.with_name(f"{path.name}.damaged{suffix}"))
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, timeout=2)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA secure_delete = ON")  # a draft that was sent may have to be erased one day
        db.execute("PRAGMA synchronous = FULL")
        if sys.platform == "darwin":
            db.execute("PRAGMA fullfsync = ON")
        db.execute(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db
