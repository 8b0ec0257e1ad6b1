"""The lines that a filter lets through: their ids in timeline order, kept up with the view."""

from array import array
from bisect import bisect_left, bisect_right
from typing import Any

import aiosqlite

from data.line import Filter
from data.query import condition

CHUNK = 4000
MAX_CHANGES = 2000
MAX_SEARCHES = 20


class Selection:
    """One filtered timeline, 12 bytes a line.

    The first look reads the whole view once; after that only new and changed lines are looked at,
    unless there are so many that reading everything again is the shorter way.
    """

    def __init__(self, flt: Filter) -> None:
        self._condition, self._values = condition(flt)
        self._probe, _ = condition(flt, few=True)
        self._version = -1
        self._complete = False
        self._seen = self._rev = 0
        self._last = b""
        self.ids = array("I")
        self.times = array("q")

    async def refresh(self, db: aiosqlite.Connection) -> None:
        """Catch up with the view.

        Raises:
            sqlite3.Error: If the view cannot be read.
        """
        version = (await _one(db, "PRAGMA data_version"))[0]
        if version == self._version:
            return
        # Read before the lines are: what comes in between is looked at twice, never missed.
        seen, rev = await _one(db, "SELECT coalesce((SELECT max(id) FROM lines), 0), (SELECT rev FROM built)")
        if not self._complete or not await self._catch_up(db):
            await self._read_all(db)
        self._version, self._seen, self._rev = version, seen, rev

    async def _read_all(self, db: aiosqlite.Connection) -> None:
        self._complete = False
        ids, times, last = array("I"), array("q"), b""
        query = f"SELECT id, at, ord FROM lines WHERE {self._condition} ORDER BY ord"  # noqa: S608
        async with db.execute(query, self._values) as cursor:
            while rows := list(await cursor.fetchmany(CHUNK)):
                ids.extend([row[0] for row in rows])
                times.extend([row[1] for row in rows])
                last = rows[-1][2]
        self.ids, self.times, self._last, self._complete = ids, times, last, True

    async def _catch_up(self, db: aiosqlite.Connection) -> bool:
        """Take in what is new; False if everything must be read again."""
        query = (
            f"SELECT id, at, ord, {self._probe}, coalesce(moved, 0) > ? FROM lines"  # noqa: S608
            f" WHERE id > ? OR rev > ? ORDER BY ord LIMIT {MAX_CHANGES + 1}"
        )
        rows = list(await db.execute_fetchall(query, [*self._values, self._rev, self._seen, self._rev]))
        if len(rows) > MAX_CHANGES or sum(row[4] for row in rows) > MAX_SEARCHES:
            return False
        self._complete = False
        for line, at, key, fits, moved in rows:
            place = self._find(line) if moved else self._place(line, at)
            if place is not None and (moved or not fits):
                if place == len(self.ids) - 1:
                    return False
                del self.ids[place], self.times[place]
                place = None
            if not fits or place is not None:
                continue
            if key > self._last:
                self._last = key
                index = len(self.ids)
            else:
                index = bisect_left(self.times, at)
                if self.times[index] == at:
                    return False  # which of the two is first, only the view knows
            self.ids.insert(index, line)
            self.times.insert(index, at)
        self._complete = True
        return True

    def _find(self, line: int) -> int | None:
        try:
            return self.ids.index(line)
        except ValueError:
            return None

    def _place(self, line: int, at: int) -> int | None:
        first, behind = bisect_left(self.times, at), bisect_right(self.times, at)
        try:
            return self.ids.index(line, first, behind)
        except ValueError:
            return None

    def position(self, at_ns: int) -> int:
        """Index of the first line at or after a time."""
        return bisect_left(self.times, at_ns)

    def index_of(self, line: int, at: int) -> int | None:
        """Index of a line that happened at a time; None if the filter does not let it through."""
        return self._place(line, at)


async def _one(db: aiosqlite.Connection, query: str) -> Any:
    return next(iter(await db.execute_fetchall(query)))
