"""The review queue: looking at what is held, and carrying out what people decide about it, once.

A decision is on the record before it is sent, with a key that is the same for every attempt: a console that was
ended in between, or a second one, repeats it and changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from console.containment.actuator import Answer, Call, Declined, Unreachable
from console.events import (
    HELD_AT_ONCE,
    HeldAction,
    HeldResult,
    HeldWord,
    MoveOrdered,
    QuarantineCarriedOut,
    QuarantineDecided,
    QuarantineListed,
    Target,
)
from console.refusal import Refused

if TYPE_CHECKING:
    from console.containment.points import Points
    from console.containment.quarantine import Held
    from console.room import Room

HOLD = "quarantine_actions"
TIMEOUT = 10.0
"""Seconds for one request: nobody waits for it as for a halt."""
AT_ONCE = 8
"""Decisions under way at one queue."""
MOST = 5000
"""Actions of one queue that are taken in."""


@runtime_checkable
class Queue(Protocol):
    """What an actuator can beside, when its point holds actions back: say which, and carry out what was decided."""

    async def queued(self, call: Call) -> Sequence[HeldAction]:
        """Return what is held in the queue `call.target`, each with what it would do.

        Raises:
            Unreachable: no answer within `call.timeout` seconds.
            Declined: it answered that it will not.
        """
        ...

    async def decide(self, call: Call, action: str, word: HeldWord) -> Answer:
        """Release or drop one action; doing so again under the same `call.order` changes nothing (raises as above)."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A queue that can be looked into."""

    target: Target
    call: Call
    queue: Queue


class Review:
    """The held actions of whatever is configured; one for each console, or each call of the command line.

    Args:
        points: what can be stopped.

    Attributes:
        troubles: queue to why the last look at it failed.
    """

    def __init__(self, points: Points) -> None:
        self._points = points
        self._turn = asyncio.Lock()
        self.troubles: dict[str, str] = {}

    def places(self, queue: str = "") -> list[Place]:
        """Return the queues that can be looked into; `queue`: only this one."""
        order = MoveOrdered("0" * 16, HOLD)
        found: list[Place] = []
        for target in self._points.targets(HOLD, queue):
            actuator = self._points.actuator(target.point)
            if isinstance(actuator, Queue):
                found.append(Place(target, self._points.call(order, target, timeout=TIMEOUT), actuator))
        return found

    def blind(self) -> list[str]:
        """Return the points that hold actions back and cannot say which: people look there themselves."""
        seen = {place.target.point for place in self.places()}
        points = dict.fromkeys(target.point for target in self._points.targets(HOLD))
        return [point for point in points if point not in seen]

    async def look(self, room: Room, queue: str = "") -> list[Held]:
        """Ask the queues what they hold, put what is new on the record, and return what waits.

        A queue that does not answer keeps what was known of it, and stands in `troubles`.

        Raises:
            Refused: a drill meets real points, or a real incident those of a drill.
            StoreTrouble: the record does not take it.
        """
        async with self._working(room):
            for place in self.places(queue):
                await self._look(room, place)
        names = {(place.target.point, place.call.target) for place in self.places(queue)}
        return [
            each
            for each in room.incident.quarantine.waiting
            if not queue or (each.point, each.queue) in names or queue == each.queue
        ]

    async def decide(
        self, room: Room, actions: Iterable[str], word: HeldWord, reason: str = ""
    ) -> list[Held]:
        """Decide about held actions and carry it out. Returns them as they stand then.

        Args:
            room: the incident.
            actions: `QUEUE/ID` or the id alone.
            word: release, drop, or hold on.
            reason: why; needed but to hold on.

        Raises:
            Refused: an action is not held, or several are called so; there is no reason; others decide it.
            StoreTrouble: the record does not take the decision: then nothing was sent.
        """
        if word != "hold" and not reason.strip():
            raise Refused(
                f"To {word} a held action needs a reason.", "Say in one line what is known about it."
            )
        async with self._working(room):
            chosen = [self.find(room, name) for name in dict.fromkeys(actions)]
            if not chosen:
                raise Refused("No held action is meant.", "`warroom quarantine` lists them.")
            chosen = list({each.place: each for each in chosen}.values())
            for each in chosen:
                if each.state == "unknown" and each.word != word:
                    raise Refused(
                        f"Nobody knows whether the decision to {each.word} {each.id} took effect.",
                        "`warroom quarantine` asks its queue; if it still waits there, decide again.",
                    )
            fresh = [each for each in chosen if each.word != word or each.outcome == "refused"]
            bodies = [
                QuarantineDecided(point, queue, word, tuple(each.action.id for each in some), reason.strip())
                for (point, queue), some in _grouped(fresh)
            ]
            if bodies:
                await room.record(*bodies)
            await self._carry_out(room, chosen)
        known = room.incident.quarantine.actions
        return [known[each.place] for each in chosen]

    async def carry_out(self, room: Room) -> list[Held]:
        """Carry out what was decided and is not known to have happened: a console was ended, or an answer got lost.

        Returns:
            The actions that this was about, as they stand then.
        """
        async with self._working(room):
            left = [
                each for each in room.incident.quarantine.waiting if each.state in ("deciding", "unknown")
            ]
            await self._carry_out(room, left)
        known = room.incident.quarantine.actions
        return [known[each.place] for each in left]

    def find(self, room: Room, name: str) -> Held:
        """Return the waiting action that `name` means.

        Raises:
            Refused: none or several fit, or it does not wait any more.
        """
        every = list(room.incident.quarantine.actions.values())
        fits = [each for each in every if name in (each.id, each.action.id, "/".join(each.place))]
        if len(fits) > 1 and len(waiting := [each for each in fits if each.open]) == 1:
            fits = waiting
        if not fits:
            raise Refused(f"No action {name} is held.", "`warroom quarantine` lists them.")
        if len(fits) > 1:
            raise Refused(
                f"Several queues hold an action {name}.",
                f"Say which: {', '.join('/'.join(each.place) for each in fits)}.",
            )
        if not fits[0].open:
            by = f" by {fits[0].by}" if fits[0].by else ""
            raise Refused(f"{fits[0].id} is {fits[0].state}{by} already.", "It cannot be decided again.")
        return fits[0]

    @asynccontextmanager
    async def _working(self, room: Room) -> AsyncIterator[None]:
        if room.incident.mode != self._points.mode:
            raise Refused("A drill reaches no real actuator, and a real incident none of a drill.")
        async with self._turn:
            await room.refresh()
            yield

    async def _look(self, room: Room, place: Place) -> None:
        point, queue = place.target.point, place.call.target
        began = room.clock.now()
        try:
            async with asyncio.timeout(TIMEOUT + 1):
                held = {each.id: each for each in (await place.queue.queued(place.call))[:MOST]}
        except (Unreachable, Declined) as error:
            self.troubles[place.target.id] = str(error)[:500]
            return
        except TimeoutError:
            self.troubles[place.target.id] = f"It gave no answer within {TIMEOUT:g} s."
            return
        self.troubles.pop(place.target.id, None)
        known = {
            each.action.id: each
            for each in room.incident.quarantine.actions.values()
            if (each.point, each.queue) == (point, queue)
        }
        fresh = [
            each
            for each in held.values()
            if (old := known.get(each.id)) is None
            or not old.open
            or old.state == "unknown"
            or old.action != each
        ]
        gone = [name for name, each in known.items() if each.open and name not in held]
        for at in range(0, max(len(fresh), len(gone)), HELD_AT_ONCE):
            upto = at + HELD_AT_ONCE
            body = QuarantineListed(point, queue, tuple(fresh[at:upto]), tuple(gone[at:upto]))
            # As of when it was asked: what was carried out meanwhile is not back.
            await room.record(body, at=began)

    async def _carry_out(self, room: Room, chosen: Collection[Held]) -> None:
        places = {(each.target.point, each.call.target): each for each in self.places()}
        for (point, queue), some in _grouped([each for each in chosen if each.word in ("release", "drop")]):
            word, began = some[0].word, time.monotonic()
            assert word in ("release", "drop")  # noqa: S101 - those that were chosen
            place = places.get((point, queue))
            if place is None:
                missing = f"Point {point} is not configured here any more, or cannot say what it holds."
                results = [HeldResult(each.action.id, "refused", missing[:500]) for each in some]
            else:
                at_once = asyncio.Semaphore(AT_ONCE)
                results = await asyncio.gather(
                    *(_decide(place, each, room.incident.case, word, at_once) for each in some)
                )
            ms = int((time.monotonic() - began) * 1000)
            await room.record(QuarantineCarriedOut(point, queue, word, tuple(results), ms))


def _grouped(chosen: Iterable[Held]) -> Iterable[tuple[tuple[str, str], list[Held]]]:
    """By point, queue and word, as many as one event takes."""
    groups: dict[tuple[str, str, str], list[Held]] = {}
    for each in chosen:
        groups.setdefault((each.point, each.queue, each.word), []).append(each)
    for (point, queue, _), some in groups.items():
        for at in range(0, len(some), HELD_AT_ONCE):
            yield (point, queue), some[at : at + HELD_AT_ONCE]


async def _decide(
    place: Place, held: Held, case: str, word: HeldWord, at_once: asyncio.Semaphore
) -> HeldResult:
    call = replace(place.call, order=held.key(case, word), reason=held.reason, agent=held.action.agent)
    async with at_once:
        try:
            async with asyncio.timeout(TIMEOUT + 1):
                answer = await place.queue.decide(call, held.action.id, word)
        except Declined as error:
            return HeldResult(held.action.id, "refused", str(error)[:500])
        except (Unreachable, TimeoutError) as error:
            # It may have been taken: only the same decision, under the same key, may be sent again.
            return HeldResult(held.action.id, "unknown", (str(error) or "There was no answer in time.")[:500])
    return HeldResult(held.action.id, "done", answer.note[:500])
