"""The timeline for reading: range reads of view.db by position, time, hash and words."""

import asyncio
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite

from data import log, projection
from data.line import ALL, SYSTEM, Filter, Line, Patch, Projector, Put
from data.log import connect, read_uri
from data.projection import LINE_COLUMNS, time_key
from data.query import LIKE, like, match
from data.selection import Selection
from data.trouble import StoreTrouble, explain

__all__ = ["ALL", "SYSTEM", "Filter", "Line", "Lines", "Patch", "Projector", "Put"]

MAX_WINDOW = 10_000
MAX_SCAN = 20_000
"""Lines that a search looks at when the index is of no use."""
SELECTIONS = 2

_BLOCK_BEFORE = "SELECT coalesce(sum(size), 0) FROM blocks WHERE first < "
_WINDOW = f"""
WITH sums AS (SELECT first, sum(size) OVER (ORDER BY first) - size AS before FROM blocks),
     block AS (SELECT first, before FROM sums WHERE before <= :start ORDER BY first DESC LIMIT 1)
SELECT {LINE_COLUMNS} FROM lines WHERE ord >= (SELECT first FROM block)
ORDER BY ord LIMIT :count OFFSET :start - (SELECT before FROM block)
"""  # noqa: S608
_RANK = f"""
SELECT ({_BLOCK_BEFORE} block.first)
     + (SELECT count(*) FROM lines WHERE ord >= block.first AND ord < :key)
FROM (SELECT max(first) AS first FROM blocks WHERE first <= :key) AS block
"""  # noqa: S608
_RANK_OF_LINE = f"""
SELECT ({_BLOCK_BEFORE} block.first)
     + (SELECT count(*) FROM lines AS l WHERE l.ord >= block.first AND l.ord < block.ord)
FROM (SELECT ord, (SELECT max(first) FROM blocks WHERE first <= ord) AS first
      FROM lines WHERE id = ?) AS block
"""  # noqa: S608
_FOUND = f"""
SELECT {LINE_COLUMNS} FROM lines
WHERE id IN (SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?) ORDER BY ord DESC
"""  # noqa: S608
_SCAN = f"""
WITH newest AS (SELECT * FROM lines ORDER BY id DESC LIMIT {MAX_SCAN})
SELECT {LINE_COLUMNS} FROM lines
WHERE id IN (SELECT id FROM newest WHERE {LIKE} ORDER BY id DESC LIMIT ?) ORDER BY ord DESC
"""  # noqa: S608


class ViewLost(StoreTrouble):
    """A damaged view was removed; whoever asks again gets it as the writer makes it again."""

    def __init__(self) -> None:
        super().__init__(
            "The index of the timeline was damaged and is being made again.",
            "The evidence log is not affected.",
            "Look again in a moment.",
        )


class Lines:
    """Reads a timeline of any length in pieces, opened by `Lines.open`.

    Every answer comes from one SQL statement, so it is consistent in itself and a cancelled caller
    leaves nothing open. A view that is missing or being made again reads as the lines it has so far, and
    one that was closed as no lines.

    Attributes:
        openings: How often a view was opened. It is made again when it is lost, and also when texts of events
            that were here before were erased or came back: whoever keeps what was read then reads it again.
    """

    def __init__(self, directory: Path) -> None:
        self._log = directory / log.NAME
        self._path = directory / projection.NAME
        self._db: aiosqlite.Connection | None = None
        # Whoever asks while the view is opened again must neither open it twice nor lose it half way.
        self._turn = asyncio.Lock()
        self._closed = False
        self._inode = 0
        self.openings = 0
        self._version = -1
        self._selections: OrderedDict[Filter, Selection] = OrderedDict()

    @classmethod
    async def open(cls, directory: Path) -> "Lines":
        """Open the timeline of a case directory for reading; makes no files.

        Raises:
            StoreTrouble: If there is no evidence log, or it is not one that can be read.
        """
        connect(directory / log.NAME).close()
        lines = cls(directory)
        await lines._reopen()
        return lines

    async def close(self) -> None:
        """Close the files, for good."""
        async with self._turn:
            self._closed = True
            await self._let_go()

    async def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def changed(self) -> bool:
        """Whether the lines may differ from what they were at the last call; cheap."""
        async with self._turn:
            await self._reopen()
        rows = await self._rows("PRAGMA data_version")
        version = rows[0][0] + (self.openings << 32) if rows else -1
        changed, self._version = version != self._version, version
        return changed

    async def upto(self) -> int:
        """Arrival number of the last event that the view knows; it can lag behind the log for a moment."""
        rows = await self._rows("SELECT upto FROM built")
        return int(rows[0][0]) if rows else 0

    async def count(self, flt: Filter = ALL) -> int:
        """How many lines there are."""
        if flt == ALL:
            rows = await self._rows("SELECT coalesce(sum(size), 0) FROM blocks")
            return int(rows[0][0]) if rows else 0
        selection = await self._select(flt)
        return len(selection.ids) if selection else 0

    async def window(self, start: int, count: int, flt: Filter = ALL) -> list[Line]:
        """Lines by position in timeline order.

        Args:
            start: Position of the first, from 0.
            count: How many at most, up to 10,000.
            flt: Positions count only lines that it lets through.

        Returns:
            As many as there are in that range.
        """
        start, count = max(start, 0), min(max(count, 0), MAX_WINDOW)
        if flt == ALL:
            return _lines(await self._rows(_WINDOW, {"start": start, "count": count}))
        selection = await self._select(flt)
        ids = list(selection.ids[start : start + count]) if selection else []
        wanted = ", ".join(map(str, ids))
        rows = await self._rows(f"SELECT {LINE_COLUMNS} FROM lines WHERE id IN ({wanted})")  # noqa: S608
        found = {line.id: line for line in _lines(rows)}
        return [found[line] for line in ids if line in found]

    async def position(self, at_ns: int, flt: Filter = ALL) -> int:
        """Position of the first line at or after a time; the count of lines if all are earlier."""
        if flt != ALL:
            selection = await self._select(flt)
            return selection.position(at_ns) if selection else 0
        rows = await self._rows(_RANK, {"key": time_key(at_ns)})
        return int(rows[0][0]) if rows else 0

    async def index_of(self, hash_hex: str, flt: Filter = ALL) -> int | None:
        """Position of an event's line.

        Args:
            hash_hex: 64 hex digits.
            flt: As in `window`.

        Returns:
            None if the event has no line, or the filter does not let it through.
        """
        try:
            digest = bytes.fromhex(hash_hex)
        except ValueError:
            return None
        rows = await self._rows(
            "SELECT id, at FROM lines WHERE id = (SELECT n FROM log.events WHERE hash = ?)", [digest]
        )
        if not rows:
            return None
        if flt != ALL:
            selection = await self._select(flt)
            return selection.index_of(*rows[0]) if selection else None
        rank = await self._rows(_RANK_OF_LINE, [rows[0][0]])
        return int(rank[0][0]) if rank else None

    async def patched_by(self, hash_hex: str) -> list[int]:
        """Arrival numbers of the events that changed an event's line (64 hex digits)."""
        try:
            digest = bytes.fromhex(hash_hex)
        except ValueError:
            return []
        rows = await self._rows("SELECT DISTINCT n FROM patches WHERE target = ?", [digest])
        return [int(n) for (n,) in rows]

    async def search(self, query: str, limit: int = 200) -> list[Line]:
        """Find lines by words, newest first.

        Args:
            query: Words that must all occur. The last one may be unfinished; lines with exactly that word
                come before those where it goes on. What has no words in it is looked for as it stands
                in the newest 20,000 lines.
            limit: How many; if there are more, those that were recorded last.
        """
        limit = min(max(limit, 0), MAX_WINDOW)
        if not query.strip():
            return []
        whole, begun = match(query, whole=True), match(query)
        if whole is None or begun is None:
            return _lines(await self._rows(_SCAN, [like(query.strip()), limit]))
        rows = await self._rows(_FOUND, [whole, limit])
        if len(rows) < limit:
            rows = await self._rows(_FOUND, [begun, limit])
        return _lines(rows)

    async def _select(self, flt: Filter) -> Selection | None:
        async with self._turn:
            if self._db is None:
                await self._reopen()
            if self._db is None:
                return None
            selection = self._selections.get(flt) or Selection(flt)
            self._selections[flt] = selection
            self._selections.move_to_end(flt)
            if len(self._selections) > SELECTIONS:
                self._selections.popitem(last=False)
            try:
                await selection.refresh(self._db)
            except sqlite3.Error as error:
                self._selections.pop(flt, None)
                raise await self._give_up(error) from error
            return selection

    async def _rows(self, query: str, values: Any = ()) -> Sequence[Any]:
        async with self._turn:
            if self._db is None:
                await self._reopen()
            if self._db is None:
                return []
            try:
                return list(await self._db.execute_fetchall(query, values))
            except sqlite3.Error as error:
                raise await self._give_up(error) from error

    async def _give_up(self, error: sqlite3.Error) -> StoreTrouble:
        """Close a view that failed, and drop it if it is damaged: the writer makes it again."""
        dropped = _damaged(error) and self._drop(self._inode)
        await self._let_go()
        return ViewLost() if dropped else explain(error, self._path)

    def _drop(self, inode: int) -> bool:
        if self._current() == inode:
            with suppress(OSError):
                projection.remove(self._path)
        return self._current() != inode

    def _current(self) -> int:
        try:
            return os.stat(self._path).st_ino
        except OSError:
            return 0

    async def _reopen(self) -> None:
        """Open the view that is there now, if it is not the one that is open."""
        inode = self._current()
        if self._closed or (self._db is not None and inode == self._inode):
            return
        await self._let_go()
        self._selections.clear()
        if not inode:
            return
        try:
            db = await aiosqlite.connect(read_uri(self._path), uri=True, isolation_level=None)
        except sqlite3.OperationalError:
            return  # removed this moment, to be made again
        try:
            await db.execute("PRAGMA query_only = ON")
            await db.execute("PRAGMA trusted_schema = OFF")
            await db.execute("ATTACH ? AS log", (read_uri(self._log),))
            await db.execute_fetchall("SELECT upto FROM built")
        except sqlite3.OperationalError:
            # It is just being made: it reads as empty until its tables are there.
            await db.close()
        except sqlite3.Error as error:
            await db.close()
            # Like one that is missing: it reads as empty until it is there again.
            if not (_damaged(error) and self._drop(inode)):
                raise explain(error, self._path) from error
        except BaseException:
            await db.close()
            raise
        else:
            self._db, self._inode = db, inode
            self.openings += 1


def _damaged(error: sqlite3.Error) -> bool:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _lines(rows: Sequence[Any]) -> list[Line]:
    return [
        Line._make((row[0], row[1], row[2].hex(), *row[3:10], row[10][8:].hex(), row[10][:8].hex(), row[11]))
        for row in rows
    ]
