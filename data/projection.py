"""view.db: the timeline as a projection of the log, ready for range reads; made again when it is lost.

Lines lie in timeline order in an index over `ord`. Blocks of some thousand lines, kept with their
sizes, turn a position into a place in that index (and back) without counting a million lines.

Patches of events that do not count are kept without effect: once who wrote them is admitted, the lines are
made again from what they were and all that is in effect then, and so for whoever counts no more.
"""

import os
import re
import sqlite3
import struct
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import msgspec

from data.clock import MAX_NS
from data.envelope import Event
from data.line import Counts, Patch, Projector, Put, Trust, editor
from data.log import EVENT_COLUMNS, events_after, read_row

NAME = "view.db"
FORMAT = 5
BLOCK = 4096
"""Adding up 250 sizes takes about as long as stepping over half a block."""

LINE_COLUMNS = "id, at, hash, kind, actor, mark, level, flags, text, tags, substr(ord, 9, 24), editor"
"""The last but one is a part of the order key: the hybrid clock and who wrote it."""

_SCHEMA = """
CREATE TABLE built (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL, version INTEGER NOT NULL,
    upto INTEGER NOT NULL, hash BLOB NOT NULL, rev INTEGER NOT NULL
) STRICT;
CREATE TABLE lines (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL, hash BLOB NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL,
    mark TEXT NOT NULL, level INTEGER NOT NULL, flags INTEGER NOT NULL,
    text TEXT NOT NULL, tags TEXT NOT NULL, editor TEXT NOT NULL,
    ord BLOB NOT NULL, rev INTEGER, moved INTEGER
) STRICT;
CREATE UNIQUE INDEX lines_ord ON lines (ord);
CREATE INDEX lines_rev ON lines (rev) WHERE rev IS NOT NULL;
CREATE TABLE blocks (first BLOB PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bases (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, mark TEXT NOT NULL, level INTEGER NOT NULL,
    flags INTEGER NOT NULL, text TEXT NOT NULL, tags TEXT NOT NULL, editor TEXT NOT NULL
) STRICT;
CREATE TABLE patches (
    target BLOB, ord BLOB, i INTEGER, n INTEGER NOT NULL,
    effect INTEGER NOT NULL, unless INTEGER NOT NULL, patch BLOB NOT NULL, PRIMARY KEY (target, ord, i)
) STRICT, WITHOUT ROWID;
CREATE INDEX patches_n ON patches (n);
CREATE TABLE waiting (target BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5(text, tags, actor, content='lines', content_rowid='id');
"""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
_pack = struct.Struct(">QQ16sIQ8s").pack
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Patch).decode


def order_key(at: int, event: Event) -> bytes:
    """Bytes that sort as (at, hlc, rep, inc, seq, hash) does; the hash parts the branches of a fork."""
    digest = bytes.fromhex(event.hash[:16])
    return _pack(at, int(event.hlc, 16), bytes.fromhex(event.rep), event.inc, event.seq, digest)


def time_key(at_ns: int) -> bytes:
    """Bytes that sort before every line at or after a time and after every line before it."""
    return struct.pack(">Q", min(max(at_ns, 0), MAX_NS))


class Projection:
    """Writes view.db from the log; used by one thread.

    Args:
        path: view.db, made if it is missing, and made again if it belongs to another log or projection.
        log: A connection that reads the log.
        project: Turns one event into what it asks of the timeline.

    Raises:
        sqlite3.Error: If the file is damaged or cannot be written.
    """

    def __init__(self, path: Path, log: sqlite3.Connection, project: Projector) -> None:
        self.path = path
        self._log = log
        self._project = project
        self._version = int(getattr(project, "version", 0))
        self.misfit = ""
        self._db = self._open()
        self._firsts = [b""]
        self._sizes = [0]
        for first, size in self._db.execute("SELECT first, size FROM blocks ORDER BY first"):
            if first == b"":
                self._sizes[0] = size
            else:
                self._firsts.append(first)
                self._sizes.append(size)
        self.upto, self._rev = self._db.execute("SELECT upto, rev FROM built").fetchone()
        (last,) = self._db.execute("SELECT max(ord) FROM lines").fetchone()
        self._last: bytes = last or b""
        self._waiting = {target for (target,) in self._db.execute("SELECT target FROM waiting")}
        self._touched: set[int] = set()
        trust: Trust | None = getattr(project, "trust", None)
        self._trust = trust or Trust(frozenset(), lambda _: lambda _: True)
        self._deciding = self._decided()
        self._counts = self._judge()
        self.inode = os.stat(path).st_ino

    def _open(self) -> sqlite3.Connection:
        if self.path.exists():
            db = self._connect()
            try:
                if self._fits(db):
                    return db
            except sqlite3.OperationalError:
                pass  # a table is missing: not a view of ours
            except BaseException:
                db.close()
                raise
            db.close()
            remove(self.path)
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
        db = self._connect()
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO built VALUES (1, ?, ?, 0, x'', 0)", (FORMAT, self._version))
            db.execute("INSERT INTO blocks VALUES (x'', 0)")
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=2)
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            db.close()
            raise
        return db

    def _fits(self, db: sqlite3.Connection) -> bool:
        built = db.execute("SELECT format, version, upto, hash FROM built").fetchone()
        if built is None or built[:2] != (FORMAT, self._version):
            return False
        row = self._log.execute("SELECT hash FROM events WHERE n = ?", (built[2],)).fetchone()
        return bool(built[2] == 0 or (row is not None and row[0] == built[3]))

    def follow(self, limit: int) -> int:
        """Project the next events of the log, at most `limit`, in one transaction.

        Returns:
            How many there were.

        Raises:
            sqlite3.Error: If it failed; nothing of this call remains, and the object must be dropped.
        """
        events = list(events_after(self._log, self.upto, limit))
        if not events:
            return 0
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._rev += 1
            fresh: list[tuple[bytes, Event, Put]] = []
            decided = len(self._deciding)
            for event in events:
                try:
                    key = order_key(event.at, event)
                except (ValueError, struct.error) as error:
                    self.misfit = f"event {event.n} has no place in the order of events: {error}"
                    continue
                if event.kind in self._trust.kinds:
                    self._deciding.append(event)
                for index, ask in enumerate(self._asks(event)):
                    if isinstance(ask, Put):
                        fresh.append((key, event, ask))
                    else:
                        self._insert(fresh)
                        fresh = []
                        self._patch(event, index, ask)
            self._insert(fresh)
            if len(self._deciding) > decided:
                # Once for all of these events: what counted in between was never seen by anybody.
                self._counts = self._judge()
                self._reweigh()
            self._split()
            for index in self._touched:
                self._db.execute(
                    "INSERT OR REPLACE INTO blocks VALUES (?, ?)", (self._firsts[index], self._sizes[index])
                )
            self._touched.clear()
            last = events[-1]
            self._db.execute(
                "UPDATE built SET upto = ?, hash = ?, rev = ?", (last.n, bytes.fromhex(last.hash), self._rev)
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.upto = last.n
        return len(events)

    def sound(self) -> bool:
        """Look at every page once; False if one is damaged."""
        return bool(self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _asks(self, event: Event) -> Sequence[Put | Patch]:
        try:
            asks = self._project(event)
            puts = 0
            for ask in asks:
                if isinstance(ask, Put):
                    puts += 1
                elif not _HASH(ask.target):
                    raise ValueError("what it corrects is not named by a hash")
            if puts > 1:
                raise ValueError("an event has at most one line")
        except Exception as error:
            # One event that the projection cannot show must not take the timeline away.
            self.misfit = f"event {event.n} ({event.kind}) cannot be shown: {error}"
            return (Put(f"{event.kind}: this entry cannot be shown"),)
        return asks

    def _insert(self, fresh: list[tuple[bytes, Event, Put]]) -> None:
        if not fresh:
            return
        rows, words = [], []
        for key, event, put in fresh:
            self._grow(key)
            digest = bytes.fromhex(event.hash)
            own = (event.n, event.at, digest, event.kind, event.actor)
            rows.append((*own, put.mark, put.level, put.flags, put.text, put.tags, "", key))
            words.append((event.n, put.text, put.tags, event.actor))
        self._db.executemany("INSERT INTO lines VALUES (?,?,?,?,?,?,?,?,?,?,?,?,NULL,NULL)", rows)
        self._db.executemany("INSERT INTO search (rowid, text, tags, actor) VALUES (?, ?, ?, ?)", words)
        if self._waiting:
            for _, event, _ in fresh:
                digest = bytes.fromhex(event.hash)
                if digest in self._waiting:
                    self._waiting.discard(digest)
                    self._db.execute("DELETE FROM waiting WHERE target = ?", (digest,))
                    self._refold(event.n, digest)

    def _grow(self, key: bytes) -> None:
        if key > self._last:
            self._last = key
            if self._sizes[-1] >= BLOCK:
                self._firsts.append(key)
                self._sizes.append(0)
            index = len(self._firsts) - 1
        else:
            index = bisect_right(self._firsts, key) - 1
        self._sizes[index] += 1
        self._touched.add(index)

    def _split(self) -> None:
        """Cut blocks that grew to twice their size, now that their lines are in the table."""
        grown = [(self._firsts[i], self._sizes[i]) for i in self._touched if self._sizes[i] >= 2 * BLOCK]
        for first, size in grown:
            index = bisect_right(self._firsts, first) - 1
            while size >= 2 * BLOCK:
                (middle,) = self._db.execute(
                    "SELECT ord FROM lines WHERE ord >= ? ORDER BY ord LIMIT 1 OFFSET ?", (first, BLOCK)
                ).fetchone()
                self._sizes[index] = BLOCK
                self._touched = {i + 1 if i > index else i for i in self._touched} | {index, index + 1}
                index, first, size = index + 1, middle, size - BLOCK
                self._firsts.insert(index, middle)
                self._sizes.insert(index, size)

    def _patch(self, event: Event, index: int, patch: Patch) -> None:
        target, key = bytes.fromhex(patch.target), order_key(0, event)
        effect = self._takes_effect(event, patch.unless)
        (newest,) = self._db.execute(
            "SELECT max(ord) FROM patches WHERE target = ? AND effect", (target,)
        ).fetchone()
        self._db.execute(
            "INSERT INTO patches VALUES (?, ?, ?, ?, ?, ?, ?)",
            (target, key, index, event.n, effect, patch.unless, _encode(patch)),
        )
        if not effect:
            return
        line = self._line(target)
        if line is not None and (newest is None or newest <= key):
            self._change(line, [patch], from_base=False)
        else:
            self._make_again(target)
        number = self._number(target)
        if number is not None and not patch.unless and patch.set_flags | patch.clear_flags:
            self._reweigh(number)

    def _number(self, target: bytes) -> int | None:
        row = self._log.execute("SELECT n FROM events WHERE hash = ?", (target,)).fetchone()
        return int(row[0]) if row else None

    def _line(self, target: bytes) -> int | None:
        """Number of an event that has a line."""
        there = self._db.execute("SELECT id FROM lines WHERE id = ?", (self._number(target),)).fetchone()
        return int(there[0]) if there else None

    def _make_again(self, target: bytes) -> None:
        line = self._line(target)
        if line is not None:
            self._refold(line, target)
        elif target not in self._waiting:
            self._waiting.add(target)
            self._db.execute("INSERT INTO waiting VALUES (?)", (target,))

    def _decided(self) -> list[Event]:
        """The events that decide whose patches take effect, of those that the view knows."""
        kinds = sorted(self._trust.kinds)
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE kind IN ({', '.join('?' * len(kinds))}) AND n <= ?"  # noqa: S608
        return [read_row(row) for row in self._log.execute(query, (*kinds, self.upto)).fetchall()]

    def _judge(self) -> Counts:
        return self._trust.judge(sorted(self._deciding, key=lambda event: event.order))

    def _takes_effect(self, event: Event, unless: int) -> bool:
        return self._counts(event) and not (unless and unless & self._flags(bytes.fromhex(event.hash)))

    def _flags(self, target: bytes) -> int:
        """What the patches of an event's line make of its flags, whether it has a line or not."""
        flags = 0
        for patch in self._in_effect(target):
            if not patch.unless:
                flags = flags & ~patch.clear_flags | patch.set_flags
        return flags

    def _in_effect(self, target: bytes) -> list[Patch]:
        rows = self._db.execute(
            "SELECT patch FROM patches WHERE target = ? AND effect ORDER BY ord, i", (target,)
        )
        return [_decode(raw) for (raw,) in rows.fetchall()]

    def _reweigh(self, by: int | None = None) -> None:
        """Find out again which patches take effect, and make the lines again for which that changed.

        Args:
            by: Only those of the event with this number; None for all.
        """
        changed: set[bytes] = set()
        one = "" if by is None else f"n = {by} AND"
        # First those that depend only on who wrote them: the others depend on them.
        for condition in ("unless = 0", "unless != 0"):
            query = f"SELECT target, ord, i, n, effect, unless FROM patches WHERE {one} {condition}"  # noqa: S608
            for target, key, i, n, before, unless in self._db.execute(query).fetchall():
                row = self._log.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE n = ?", (n,)).fetchone()  # noqa: S608
                effect = self._takes_effect(read_row(row), unless)
                if effect != bool(before):
                    self._db.execute(
                        "UPDATE patches SET effect = ? WHERE target = ? AND ord = ? AND i = ?",
                        (effect, target, key, i),
                    )
                    changed.add(target)
        for target in sorted(changed):
            self._make_again(target)

    def _refold(self, line: int, target: bytes) -> None:
        self._change(line, self._in_effect(target), from_base=True)

    def _change(self, line: int, patches: Sequence[Patch], *, from_base: bool) -> None:
        columns = "at, mark, level, flags, text, tags, editor"
        query = f"SELECT {columns}, ord, actor FROM lines WHERE id = ?"  # noqa: S608
        *now, key, actor = self._db.execute(query, (line,)).fetchone()
        base = self._db.execute(f"SELECT {columns} FROM bases WHERE id = ?", (line,)).fetchone()  # noqa: S608
        if base is None:
            self._db.execute("INSERT INTO bases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (line, *now))
            base = tuple(now)
        at, mark, level, flags, text, tags, by = base if from_base else now
        for patch in patches:
            at = at if patch.at is None else min(max(patch.at, 0), MAX_NS)
            mark = mark if patch.mark is None else patch.mark
            level = level if patch.level is None else patch.level
            flags = flags & ~patch.clear_flags | patch.set_flags
            text = text if patch.text is None else patch.text
            tags = tags if patch.tags is None else patch.tags
            by = by if patch.author is None else editor(patch.author, (actor, key[16:32].hex()))
        moved = at != now[0]
        if moved:
            index = bisect_right(self._firsts, key) - 1
            self._sizes[index] -= 1
            self._touched.add(index)
            key = time_key(at) + key[8:]
            self._grow(key)
        self._db.execute(
            "UPDATE lines SET at = ?, mark = ?, level = ?, flags = ?, text = ?, tags = ?, editor = ?,"
            " ord = ?, rev = ?, moved = iif(?, ?, moved) WHERE id = ?",
            (at, mark, level, flags, text, tags, by, key, self._rev, moved, self._rev, line),
        )
        if (text, tags) != (now[4], now[5]):
            self._db.execute(
                "INSERT INTO search (search, rowid, text, tags, actor) VALUES ('delete', ?, ?, ?, ?)",
                (line, now[4], now[5], actor),
            )
            self._db.execute(
                "INSERT INTO search (rowid, text, tags, actor) VALUES (?, ?, ?, ?)", (line, text, tags, actor)
            )


def remove(path: Path) -> None:
    """Delete a view and its side files. The log has everything that was in it."""
    # The side files first: a new file must never find the write-ahead log of an old one.
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
