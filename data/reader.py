"""Reading a case while somebody else may write it."""

import sqlite3
from base64 import b32decode
from binascii import Error as NotBase32
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiosqlite

from data.envelope import Event, case_id
from data.log import EVENT_COLUMNS, NAME, connect, founding_hash, read_row, read_uri
from data.trouble import StoreTrouble, explain
from data.view import Lines

MAX_EVENTS = 10_000


class CaseReader:
    """Reads the events of a case, opened by `CaseReader.open`.

    Attributes:
        id: 26 base32 characters.
        directory: Where it lies.
        lines: Its timeline.
    """

    def __init__(self, directory: Path, identity: str, db: aiosqlite.Connection, lines: Lines) -> None:
        self.directory = directory
        self.id = identity
        self.lines = lines
        self._db = db
        self._version = -1

    @classmethod
    async def open(cls, directory: Path) -> "CaseReader":
        """Open a case directory for reading; makes no evidence files.

        Raises:
            StoreTrouble: If there is no log, or it is damaged, or of another format.
        """
        path = directory / NAME
        checked = connect(path)
        try:
            identity = case_id(founding_hash(checked, path))
        finally:
            checked.close()
        try:
            db = await aiosqlite.connect(read_uri(path), uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise explain(error, path) from error
        try:
            for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
                await db.execute(f"PRAGMA {setting}")
            return cls(directory, identity, db, await Lines.open(directory))
        except BaseException:
            await db.close()
            raise

    async def close(self) -> None:
        """Close the files."""
        await self.lines.close()
        await self._db.close()

    async def changed(self) -> bool:
        """Whether the log or its view may have changed since the last call; cheap."""
        version = (await self._rows("PRAGMA data_version"))[0][0]
        changed, self._version = version != self._version, version
        return await self.lines.changed() or changed

    async def since(self, n: int, limit: int = 1000, skip: frozenset[str] = frozenset()) -> list[Event]:
        """The events that arrived after number `n`, in order of arrival.

        An event whose bytes were damaged comes as one of kind `data.log.UNREADABLE`.

        Args:
            n: 0 for all from the start.
            limit: How many at most, up to 10,000.
            skip: Kinds to leave out; a log that is mostly of these kinds is then read in an instant.

        Raises:
            StoreTrouble: If the log cannot be read.
        """
        limit = min(limit, MAX_EVENTS)
        if not skip:
            query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608
            return [read_row(row) for row in await self._rows(query, (n, limit))]
        # Between two neighbours of the sorted kinds to skip lies one range of the index; `NOT IN` would scan.
        edges = ["", *sorted(skip), "\x7f"]
        ranges = " UNION ALL ".join(
            "SELECT n FROM events WHERE kind > ? AND kind < ? AND n > ?" for _ in range(len(edges) - 1)
        )
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n IN ({ranges}) ORDER BY n LIMIT ?"  # noqa: S608
        values = [value for low, high in pairwise(edges) for value in (low, high, n)]
        return [read_row(row) for row in await self._rows(query, (*values, limit))]

    async def of(self, kinds: frozenset[str]) -> list[Event]:
        """All events of some kinds, in the total order of the log."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE kind IN ({marks})"  # noqa: S608
        events = [read_row(row) for row in await self._rows(query, sorted(kinds))]
        return sorted(events, key=lambda event: event.order)

    async def numbered(self, numbers: Sequence[int]) -> list[Event]:
        """The events with these arrival numbers, in order of arrival."""
        wanted = ", ".join(map(str, numbers))
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n IN ({wanted}) ORDER BY n"  # noqa: S608
        return [read_row(row) for row in await self._rows(query)] if numbers else []

    async def by(self, replica: str) -> list[Event]:
        """Everything that a replica wrote, in order of arrival."""
        query = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE strand IN"  # noqa: S608
            " (SELECT id FROM strands WHERE rep = ?) ORDER BY n"
        )
        return [read_row(row) for row in await self._rows(query, (replica,))]

    async def about(self, target: str) -> list[Event]:
        """The events that changed the line of event `target` (64 hex digits), in the total order of the log.

        They are found through the view, so the very newest may be missing for a moment.
        """
        numbers = ", ".join(map(str, await self.lines.patched_by(target)))
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n IN ({numbers})"  # noqa: S608
        events = [read_row(row) for row in await self._rows(query)]
        return sorted(events, key=lambda event: event.order)

    async def event(self, name: str) -> Event | None:
        """An event by its hash (64 hex digits) or its short form (8 base32 characters, any case).

        Returns:
            None if there is none, or if a short form fits more than one.
        """
        try:
            low = b32decode(name.upper()) if len(name) == 8 else bytes.fromhex(name)
        except (ValueError, NotBase32):
            return None
        if len(low) not in (5, 32):
            return None
        high = low + b"\xff" * (32 - len(low))
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE hash BETWEEN ? AND ? LIMIT 2"  # noqa: S608
        rows = await self._rows(query, (low, high))
        return read_row(rows[0]) if len(rows) == 1 else None

    async def key(self, replica: str) -> bytes | None:
        """The public key (32 bytes) of a replica that wrote here; None if none came."""
        rows = await self._rows("SELECT public FROM keys WHERE rep = ?", (replica,))
        return bytes(rows[0][0]) if rows else None

    async def last(self) -> int:
        """Arrival number of the newest event."""
        return int((await self._rows("SELECT max(n) FROM events"))[0][0] or 0)

    async def _rows(self, query: str, values: Sequence[object] = ()) -> Sequence[Any]:
        try:
            return list(await self._db.execute_fetchall(query, values))
        except sqlite3.Error as error:
            raise explain(error, self.directory / NAME) from error
        except ValueError as error:
            # What aiosqlite says when the connection was closed meanwhile.
            raise StoreTrouble(
                "The record was closed before this was read.",
                "It is not affected.",
                "Open the incident again.",
            ) from error
