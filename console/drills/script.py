"""A drill without a screen: alerts and timeline as plain lines, and a response that goes by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from data.clock import SECOND, iso
from data.envelope import Event
from data.reader import CaseReader

if TYPE_CHECKING:
    from console.drills.demo import Drill
    from console.events import CheckState, RollbackState
    from playbooks.schema import Response

STEP = 0.05


class Player:
    """Plays the response of a drill.

    Args:
        drill: the running drill.
        say: takes a line for people.
        arrived: takes every new event of the incident's record.
    """

    def __init__(self, drill: Drill, say: Callable[[str], None], arrived: Callable[[Event], None]) -> None:
        self._drill, self._say, self._arrived = drill, say, arrived
        self._steps = list(drill.scenario.response)
        self._told: set[str] = set()
        self._paged: dict[str, int] = {}
        self._first_page = 0
        self._reader: CaseReader | None = None
        self._read = 0

    async def play(self, give_up: Callable[[], bool]) -> str:
        """Play to the end.

        Args:
            give_up: asked between two steps.

        Returns:
            An empty text, or one sentence on what did not happen in time.
        """
        desk = await self._drill.desk("drill")
        try:
            while not (self._done() or give_up()):
                await desk.refresh()
                if desk.watch_trouble:
                    return desk.watch_trouble
                self._alerts(desk)
                await self._due(desk)
                await self._events(desk.room)
                await asyncio.sleep(STEP)
            await self._events(desk.room)
        finally:
            if self._reader is not None:
                await self._reader.close()
            await desk.close()
        missing = [rule for rule in self._drill.scenario.expects if rule not in self._paged]
        if missing:
            return f"These tripwires did not page in time: {', '.join(missing)}."
        return f"{len(self._steps)} steps of the response were not reached in time." if self._steps else ""

    def _done(self) -> bool:
        return not self._steps and all(rule in self._paged for rule in self._drill.scenario.expects)

    def _alerts(self, desk: Desk) -> None:
        now = desk.clock.now()
        for alert in desk.board.alerts.values():
            facts = alert.facts
            key = f"{alert.id} {facts.pages}"
            if key in self._told:
                continue
            self._told.add(key)
            word = "PAGES" if facts.pages else "opens"
            self._say(f"{iso(now, 0)}  ALERT {alert.id} {word}  {facts.sentence}")
            if facts.pages:
                self._paged.setdefault(facts.rule, now)
                self._first_page = self._first_page or now

    async def _due(self, desk: Desk) -> None:
        while self._first_page and self._steps:
            step = self._steps[0]
            if desk.clock.now() < self._first_page + step.after * SECOND:
                return
            await _act(desk, step)
            self._steps.pop(0)

    async def _events(self, room: Room | None) -> None:
        if room is None:
            return
        if self._reader is None:
            self._reader = await CaseReader.open(self._drill.home.case_dir(room.case.id))
        while events := await self._reader.since(self._read):
            for event in events:
                self._arrived(event)
            self._read = events[-1].n


async def _act(desk: Desk, step: Response) -> None:
    """Do one step as the person whom the script names."""
    desk.actor = step.actor
    args = list(step.args)
    if step.do == "declare":
        alerts = [alert.id for alert in desk.board.alerts.values() if alert.facts.pages]
        await desk.declare(args[0], int(args[1]), alerts=alerts[:20])
        return
    if step.do == "acknowledge":
        for alert in desk.board.asking(desk.clock.now()):
            await desk.acknowledge(alert.id, " ".join(args))
        return
    room = desk.room
    if room is None:
        raise Refused(
            "The script acts in an incident before it declares one.", "Mend the scenario's response."
        )
    room.actor = step.actor
    match step.do:
        case "note" | "update":
            await room.note(args[0])
        case "assign":
            await room.assign(args[0], args[1])
        case "tick":
            words, done = " ".join(args[2:]), args[1] == "done"
            await room.tick(
                args[0], cast("CheckState", args[1]), "" if done else words, words if done else ""
            )
        case "contain":
            await room.contain(args[0])
        case "rollback":
            effects = int(args[3]) if len(args) > 3 else None
            await room.move_rollback(args[0], cast("RollbackState", args[1]), args[2], effects)
        case "budget":
            await room.meet_budget(args[0], args[1], " ".join(args[2:]))
        case "close":
            await room.end(args[0])
