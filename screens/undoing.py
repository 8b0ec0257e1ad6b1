"""Reversals, checks and drafts of effects at work on this console: they go on whatever is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from screens.own_room import own_room

if TYPE_CHECKING:
    from console.rollback.reversal import Reversing
    from console.room import Room
    from data.home import Home

Work = Callable[["Room", Callable[[int, int], None]], Awaitable[Any]]
"""Works in a room of its own, and tells how much of how much is done."""
Done = Callable[[Any, Exception | None], None]
"""Called at the end with what the work came to, or with what was in the way."""


class Undoing:
    """What is worked on effects from here, one thing at a time.

    Args:
        made: makes what reverses effects of an incident; None = nothing is configured.
        news: called when there is more to say about how far it is.

    Attributes:
        says: what goes on and how far it is, in words; "" = nothing does.
    """

    def __init__(
        self, made: Callable[[Room, Home], Reversing] | None, news: Callable[[], None] = lambda: None
    ) -> None:
        self._made, self._news = made, news
        self._task: asyncio.Task[None] | None = None
        self._looked: set[str] = set()
        self.says = ""

    @property
    def busy(self) -> bool:
        """Whether something goes on."""
        return self._task is not None and not self._task.done()

    def reversing(self, room: Room, home: Home) -> Reversing:
        """Return what reverses effects of `room`."""
        if self._made is not None:
            return self._made(room, home)
        from console.config import Config
        from console.rollback.reversal import Reversing

        return Reversing(room, home, Config())

    def start(self, home: Home, shown: Room, what: str, work: Work, done: Done) -> bool:
        """Begin `work` in a room of its own: the one on the screen may be left meanwhile. Returns whether it began.

        Args:
            home: where the incident lies.
            shown: the room on the screen.
            what: what goes on, as in `reversing`.
            work: is given its room.
            done: called at the end.
        """
        if self.busy:
            return False
        self.says = f"{what}…"
        self._task = asyncio.ensure_future(self._work(home, shown, what, work, done))
        return True

    async def _work(self, home: Home, shown: Room, what: str, work: Work, done: Done) -> None:
        def tell(ready: int, of: int) -> None:
            self.says = f"{what}: {ready:,} of {of:,}"
            self._news()

        try:
            room = await own_room(home, shown)
            try:
                came = await work(room, tell)
            finally:
                await room.close()
        except asyncio.CancelledError:
            self.says = ""
            done(None, None)
            raise
        except Exception as error:
            self.says = ""
            done(None, error)
        else:
            self.says = ""
            done(came, None)

    async def lost(self, home: Home, shown: Room) -> int:
        """Say on the record, once for each incident, of which effects a console that died left nobody knowing; how many."""
        if shown.case.id in self._looked or shown.read_only or self.busy:
            return 0
        self._looked.add(shown.case.id)
        if not shown.incident.ledger.running:
            return 0
        return sum(len(each.body.ids) for each in await self.reversing(shown, home).lost())

    def stop(self) -> bool:
        """Stop what goes on: what has begun comes to its end, or is said to be unknown. Returns whether there was any."""
        if not self.busy or self._task is None:
            return False
        self._task.cancel()
        return True

    async def leave(self) -> None:
        """End what goes on, and see its end on the record."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
