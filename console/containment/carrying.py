"""An order under way, as the loop of the room sees it: what is known, what is on the record, and the verdict.

What has happened is known at once and written as soon as the record takes it; neither waits for the other.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console.containment.fanout import Course
from console.containment.state import Order
from console.containment.verdict import judge
from console.events import Body, MoveAnswered, MoveExtended, MoveJudged, MoveOrdered, MoveSeen, entry
from console.refusal import Refused
from data.lock import Lock
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.room import Room
    from data.envelope import Entry

EARLY = 0.2
"""Seconds before the end of the budget at which the verdict falls, so that it is there by then."""
ROUND = 5.0
"""Seconds for which an order that is taken up after its time is looked at before its verdict."""
RETRY = 1.0
"""Seconds between two tries at a record that takes nothing."""
LAST = 5.0
"""Seconds for which the record is waited for at the end of an order."""
GROUP = 2
"""Events that are appended together: each may be about hundreds of targets."""
LOCKS = "moves"
"""The directory, beside the record, of what says which process carries an order."""


class _Said(NamedTuple):
    """Something that has happened and is not on the record yet. `when`: monotonic seconds. `key`: it is there once."""

    body: Body
    when: float
    key: str


class Carried:
    """One order under way.

    Args:
        order: what is known of it; changed as more is.
        room: the incident; None while it is still being declared.
        changed: called whenever more is known.

    Attributes:
        course: how it goes at the targets.
        judged: set with the verdict.
        known: set once everything was heard of or looked at that a verdict needs.
        trouble: why the record does not have it, one sentence; empty when it does.
    """

    def __init__(self, order: Order, room: Room | None, changed: Callable[[], None]) -> None:
        self.order, self.room = order, room
        self.course: Course
        self.judged, self.known = asyncio.Event(), asyncio.Event()
        self.trouble = ""
        self._changed = changed
        self._open_gate: Callable[[], None] = lambda: None
        self._pending: deque[_Said] = deque()
        self._wake, self._written, self._settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._written.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: Lock | None = None
        self._mark, self._count = secrets.token_hex(4), 0

    def attend(
        self, room: Room | Awaitable[Room], open_gate: Callable[[], None], lock: Lock | None = None
    ) -> None:
        """Write what happens from now on, and say the verdict when it is due.

        Args:
            room: as for `Carried`, or what declares it.
            open_gate: called once the order is on the record, or cannot get there now.
            lock: what says that this process carries it, if it has it already.
        """
        self._open_gate, self._lock = open_gate, lock
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write(room))]
        if self.order.judged is None:
            self._tasks.append(loop.create_task(self._judge()))
        else:
            self.judged.set()

    @property
    def ahead(self) -> bool:
        """Whether more is known here than on the record."""
        return not self.judged.is_set() or bool(self._pending)

    def say(self, *bodies: Body) -> None:
        """Take in what has happened, and have it written."""
        for body in bodies:
            match body:
                case MoveExtended():
                    self.order.extend(body.targets)
                    self.order.epoch = max(self.order.epoch, body.epoch)
                case MoveSeen():
                    self.order.see(body.seen)
                case MoveJudged():
                    self.order.judged = body
                case MoveAnswered():
                    if (standing := self.order.standing(body.target)) is not None:
                        standing.answered = body
                case _:
                    pass
            self.write(body, time.monotonic())
        if self.course.whole:
            self.known.set()
            if self.order.settled:
                self._settled.set()
        self._changed()

    def write(self, body: Body, when: float) -> None:
        """Have something written that is known already. `when`: monotonic seconds at which it happened."""
        name = f"move:{self.order.body.order}"
        if isinstance(body, MoveJudged):
            key = f"{name}:judged"
        elif isinstance(body, MoveOrdered):
            key = name
        else:
            self._count += 1
            key = f"{name}:{self._mark}:{self._count}"
        self._pending.append(_Said(body, when, key))
        self._written.clear()
        self._wake.set()

    def catch_up(self, recorded: Order, room: Room) -> list[str]:
        """Take in what others put on the record about it. Returns the targets that are to be left alone by that."""
        if self.room is not room:
            self.room = room  # left and entered again meanwhile
            self._wake.set()
        gone = []
        for mine, theirs in zip(self.order.targets, recorded.targets, strict=False):
            if (theirs.lifted and not mine.lifted) or (theirs.answered and not mine.answered):
                mine.lifted, mine.answered = theirs.lifted, theirs.answered
                gone.append(mine.target.id)
        self.order.lifted = recorded.lifted
        return gone

    async def written(self) -> None:
        """Wait until everything that is known is on the record, or a moment if it takes nothing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._written.wait(), LAST)

    async def close(self) -> None:
        """Write what is left, and let another process carry it."""
        await self.written()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lock is not None:
            self._lock.release()

    async def _judge(self) -> None:
        """Say the verdict: as soon as everything is proven, and when the time is over in any case."""
        rest = self.course.began + self.order.body.budget - EARLY - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(rest if rest > 0 else ROUND):
                while not (self.course.whole and self.order.settled):
                    # What had settled may have been joined by further targets since.
                    self._settled.clear()
                    await self._settled.wait()
        self.judged.set()
        self.say(judge(self.order, self.course.elapsed))

    async def _write(self, room: Room | Awaitable[Room]) -> None:
        """Put on the record what happens, in its order, for as long as it takes."""
        if isinstance(room, Awaitable):
            try:
                self.room = await room
            except (StoreTrouble, Refused, OSError) as trouble:
                self._troubled(f"There is no record of order {self.order.body.order}: {trouble}")
                return
            self.order.rep = self.room.replica
        if self._lock is None and self.room is not None:
            # Before it is on the record, so that no other process here takes it for one that was left.
            self._lock = await asyncio.to_thread(take, self.room, self.order.body.order)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch = [self._pending[at] for at in range(min(len(self._pending), GROUP))]
                if not await self._append(batch):
                    await asyncio.sleep(RETRY)
                    continue
                for _ in batch:
                    self._pending.popleft()
            self.trouble = ""
            self._written.set()
            self._changed()

    async def _append(self, batch: Sequence[_Said]) -> bool:
        """Append some of what happened, once however often it is tried. Returns whether the record has it."""
        room = self.room
        assert room is not None  # noqa: S101 - set before anything is written
        try:
            entries = await asyncio.to_thread(_entries, room, batch)
            events = await room.append(*entries)
        except StoreTrouble as trouble:
            self._troubled(f"The record does not have order {self.order.body.order} yet. {trouble}")
            return False
        except RuntimeError:  # its case was closed
            self._troubled(
                f"The record does not have order {self.order.body.order} yet: its incident is not open."
            )
            return False
        if isinstance(batch[0].body, MoveOrdered):
            self.order.at, self.order.event = events[0].at, events[0].hash
        self._open_gate()
        return True

    def _troubled(self, why: str) -> None:
        """The record takes nothing: whoever waits for it goes on."""
        self._open_gate()
        self._written.set()
        if not self.trouble:
            self.trouble = why
            self._changed()


def take(room: Room, order: str) -> Lock | None:
    """Take the lock of an order, so that no two processes here carry it. None: another one has it."""
    place: Path = room.case.directory / LOCKS
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        return Lock.take(place / f"{order}.lock")
    except OSError:
        return None


def _entries(room: Room, batch: Sequence[_Said]) -> list[Entry]:
    made = []
    for said in batch:
        late = time.monotonic() - said.when
        at = room.clock.now() - int(late * 1e9) if late > RETRY else None
        made.append(entry(said.body, room.actor, role=room.role, at=at, key=said.key))
    return made
