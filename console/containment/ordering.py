"""Orders: a halt or another move, carried out and proven, with everything that becomes of it on the record.

The order is on the disk before the first request leaves, if the disk answers within `FIRST` seconds. Containment
waits no longer for it: what could not be written is written later, with the times at which it happened.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from console.containment.actuator import Declined, Unreachable
from console.containment.points import VERBS, Points
from console.containment.state import HELD
from console.events import (
    Body,
    HaltScope,
    MoveAnswered,
    MoveExtended,
    MoveJudged,
    MoveOrdered,
    MoveSeen,
    Reached,
    Seen,
    Target,
)
from console.refusal import Refused

if TYPE_CHECKING:
    from console.containment.state import Order
    from console.room import Room

GROUP = 2000
"""Targets in one event."""


class Containing:
    """Carries orders out; one for each console, or each call of the command line.

    Args:
        points: what can be stopped.
        authority: who holds a standing authority, by its id.
    """

    def __init__(self, points: Points, *, authority: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.points = points
        self._authority = authority or {}
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether an order waits for its verdict."""
        return any(not task.done() for task in self._running.values())

    async def prepare(self) -> None:
        """Do beforehand what an order would have to wait for; harmless to repeat."""

    def plan(
        self, verb: str, subject: str = "", args: Mapping[str, str] | None = None
    ) -> list[tuple[Target, str]]:
        """Return what would be sent to each target, secrets masked; nothing is sent and nothing written."""
        order = MoveOrdered("0" * 16, verb, subject=subject, args=dict(args or {}))
        return [
            (target, self.points.actuator(target.point).plan(self.points.call(order, target)))
            for target in self.points.targets(verb, subject)
        ]

    async def order(
        self,
        room: Room | Awaitable[Room],
        verb: str,
        *,
        scope: HaltScope | str = "",
        subject: str = "",
        args: Mapping[str, str] | None = None,
        reason: str = "",
        advice: str = "",
        dry: bool = False,
        budget: int = 30,
    ) -> str:
        """Carry out a verb on everything that it means. Returns the id of the order once it is under way.

        Args:
            room: the incident; or what declares it, which is awaited beside the first requests.
            verb: of the catalogue.
            scope: of a halt: all, agent, tool or queue.
            subject: which agent, tool, queue or other thing; empty = all.
            args: what the verb needs beside.
            reason: why, in the words of whoever orders it.
            advice: what the decision aid said of the scope.
            dry: only put on the record what would be reached.
            budget: seconds until the verdict.

        Raises:
            Refused: others are named for it, nothing is configured that could do it, or a drill meets real points.
        """
        entered = room if not isinstance(room, Awaitable) else await room
        self._refuse_other_mode(entered)
        targets = self.points.targets(verb, subject)
        if not targets:
            raise Refused(f"No point carries out {verb} for {subject or 'anything'}.", "Do it by hand.")
        named = scope or next((name for name, halt in VERBS.items() if halt == verb), "")
        body = MoveOrdered(
            secrets.token_hex(8), verb, named, subject, dict(args or {}), reason, advice,  # type: ignore[arg-type]
            tuple(targets[:GROUP]), 0, budget, "", dry,
        )  # fmt: skip
        await self._begin(entered, body, targets)
        return body.order

    async def finished(self, order: str) -> None:
        """Wait until the verdict of an order is on the record, or cannot get there."""
        if (task := self._running.get(order)) is not None:
            await asyncio.shield(task)

    async def answer(self, room: Room, order: str, target: str, how: str, evidence: str = "") -> None:
        """Record that a person dealt with a target that could not be held.

        Raises:
            Refused: no such order or target, or not a word of how.
        """
        if _order(room, order).standing(target) is None:
            raise Refused(f"Order {order} has no target {target}.", "`warroom containment` lists them.")
        if not how.strip():
            raise Refused("Say in one line how it was dealt with.")
        await room.record(MoveAnswered(order, target, how.strip(), evidence))

    async def restore(self, room: Room, order: str, targets: Sequence[str] = (), reason: str = "") -> str:
        """Take an order back, for some of its targets or for all, and see that they run. Returns the new order.

        Raises:
            Refused: no such order, it was taken back, its verb cannot be, there is no reason, or others decide it.
        """
        from playbooks import load

        self._refuse_other_mode(room)
        found = _order(room, order)
        if not reason.strip():
            raise Refused(
                "Letting something go on needs a reason.", "Say in one line what is known to be right."
            )
        verbs = await asyncio.to_thread(load.moves)
        back = verbs[found.body.verb].restore if found.body.verb in verbs else None
        if back is None:
            raise Refused(f"{found.body.verb} cannot be taken back.")
        chosen = [each.target for each in found.targets if not targets or each.target.id in targets]
        body = MoveOrdered(
            secrets.token_hex(8), back, found.body.scope, found.body.subject, found.body.args, reason.strip(),
            targets=tuple(chosen[:GROUP]), lifts=found.body.order,
        )  # fmt: skip
        await self._begin(room, body, chosen)
        return body.order

    async def resume(self, room: Room) -> list[str]:
        """Go on with orders that a console left behind when it ended. Returns their ids."""
        return []

    async def close(self) -> None:
        """End what goes on, and let go of the actuators."""
        for task in self._running.values():
            task.cancel()
        for task in self._running.values():
            with suppress(asyncio.CancelledError):
                await task
        await self.points.close()

    def _refuse_other_mode(self, room: Room) -> None:
        if room.incident.mode != self.points.mode:
            raise Refused("A drill reaches no real actuator, and a real incident none of a drill.")

    async def _begin(self, room: Room, body: MoveOrdered, targets: Sequence[Target]) -> None:
        rest: list[Body] = [
            MoveExtended(body.order, tuple(targets[at : at + GROUP]))
            for at in range(GROUP, len(targets), GROUP)
        ]
        await room.record(body, *rest)
        if not body.dry:
            self._running[body.order] = asyncio.create_task(self._carry(room, body, targets))

    async def _carry(self, room: Room, body: MoveOrdered, targets: Sequence[Target]) -> None:
        began = time.monotonic()
        ends = await asyncio.gather(*(self._one(body, each) for each in targets))
        ms = int((time.monotonic() - began) * 1000)
        seen = [Seen(at, state, ms, note) for at, (state, note) in enumerate(ends)]
        for at in range(0, len(seen), GROUP):
            await room.record(MoveSeen(body.order, tuple(seen[at : at + GROUP])))
        held = sum(state in HELD for state, _ in ends)
        still = tuple(each.id for each, (state, _) in zip(targets, ends, strict=True) if state not in HELD)
        verdict = MoveJudged(body.order, "fail" if still else "pass", ms, len(targets), held, still[:100])
        await room.record(verdict)

    async def _one(self, body: MoveOrdered, target: Target) -> tuple[Reached, str]:
        call = self.points.call(body, target)
        actuator = self.points.actuator(target.point)
        try:
            answer = await actuator.apply(call)
        except Unreachable as error:
            return "unreachable", str(error)[:512]
        except Declined as error:
            return "refused", str(error)[:512]
        reading = await actuator.probe(call)
        if reading.observed == ("running" if body.lifts else "stopped"):
            return "verified", reading.note[:512]
        return ("effective" if answer.effective else "accepted"), reading.note[:512]


def _order(room: Room, name: str) -> Order:
    found = [
        each for each in room.incident.moves.orders.values() if name and each.body.order.startswith(name)
    ]
    if len(found) != 1:
        raise Refused(f"{len(found) or 'No'} orders begin with {name}.", "`warroom containment` lists them.")
    return found[0]
