"""Steps that run by themselves: only under a grant on the record, announced before, stoppable until and during.

A grant holds on the console that wrote it, and there for one process: nothing runs twice because two were looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from console.events import AutomationAnnounced, entry, moment
from console.refusal import Refused
from console.runner.player import AUTOMATION, LOOK, SECOND
from console.runner.refusal import Hindered
from console.runner.rules import by_itself, obstacles
from console.runner.run import unbroken
from data.clock import SystemClock
from data.lock import Lock
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.runner.output import Tell
    from console.runner.player import Player
    from console.runner.state import Play, Run, StepState
    from data.clock import Clock

LOCK = "automation.lock"
STALE = 30 * SECOND
"""ns after which an announcement that did not come true is made again: nobody may remember it."""
ASLEEP = 10 * SECOND
"""ns between two looks from which on nobody could see the countdown between them: what was announced is so again."""
MACHINE = SystemClock()


class Trouble(NamedTuple):
    """Why something does not run by itself. `state`: the step, if one is to blame."""

    error: Refused | StoreTrouble
    play: Play | None = None
    state: StepState | None = None

    def __str__(self) -> str:
        return f"{self.state.step.id} does not run by itself: {self.error}" if self.state else str(self.error)


class Automation:
    """Carries out what may run by itself in one incident.

    Args:
        player: the playbooks of the incident.
        tell: gets the output of what runs.
        announced: called with what was announced, once it is on the record.
        machine: real time, by which a machine is found to have slept; that of a drill may run faster.
    """

    def __init__(
        self,
        player: Player,
        tell: Tell | None = None,
        announced: Callable[[Play, StepState], None] = lambda *_: None,
        machine: Clock = MACHINE,
    ) -> None:
        self._player, self._tell, self._announced = player, tell, announced
        self._machine, self._looked = machine, machine.now()
        self._lock: Lock | None = None
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._made: dict[tuple[str, str], tuple[int, str]] = {}
        """What was announced here, to whoever was there since: an earlier process, or a machine that slept, told nobody."""
        self._store: Trouble | None = None
        self._hindered: dict[tuple[str, str], Trouble] = {}

    @property
    def trouble(self) -> Trouble | None:
        """Why something does not run; it stays until that is gone, however often it is tried."""
        return self._store or next(iter(self._hindered.values()), None)

    @property
    def busy(self) -> bool:
        """Whether something runs by itself now."""
        return any(not task.done() for task in self._running.values())

    @property
    def waiting(self) -> bool:
        """Whether a grant of this console stands, so that something may come."""
        now = self._player.room.clock.now()
        grants = self._player.plays.grants.values()
        return any(grant.rep == self._player.replica and now < grant.until for grant in grants)

    async def attend(self, say: Callable[[Trouble | None], None]) -> None:
        """Tend for as long as something may run by itself. To be left with `leave`, also when this was cancelled.

        Args:
            say: gets what is in the way each time that it changes; None: nothing is any more.
        """
        said = ""
        while self.waiting or self.busy:
            try:
                await self._player.room.refresh()
                await self.tend()
                self._store = None
            except (Refused, StoreTrouble) as error:
                self._store = Trouble(error)
            if str(self.trouble or "") != said:
                said = str(self.trouble or "")
                say(self.trouble)
            await asyncio.sleep(LOOK)

    async def tend(self) -> None:
        """Announce what will run, and start what was announced and is due. To be called about once a second."""
        looked, self._looked = self._looked, self._machine.now()
        if self._looked - looked > ASLEEP:
            self._made.clear()
        if self._player.room.read_only or not self.waiting or not await self._ours():
            return
        for play in list(self._player.plays.opened.values()):
            for state in list(play.steps.values()):
                if play.open and self._may(play, state):
                    await self._tend(play, state)
                elif not self._runs(play, state):
                    self._hindered.pop((play.id, state.step.id), None)

    async def leave(self) -> list[Run]:
        """End what runs by itself, however often somebody cancels, and let another process take over.

        Returns:
            What was cut short by this.
        """
        cut = {place: task for place, task in self._running.items() if not task.done()}
        for task in cut.values():
            task.cancel()
        if cut:
            await unbroken(asyncio.wait(cut.values()))
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        runs = (self._player.step(step, play)[1].real for play, step in cut)
        return [run for run in runs if run is not None]

    def _may(self, play: Play, state: StepState) -> bool:
        player, now = self._player, self._player.room.clock.now()
        if self._runs(play, state) or state.settled:
            return False
        granted = player.plays.grant(play, state.step, now)
        if granted is None or granted[1].rep != player.replica:
            return False
        return by_itself(play, state, player.incident, now) is None

    def _runs(self, play: Play, state: StepState) -> bool:
        going = self._running.get((play.id, state.step.id))
        return going is not None and not going.done()

    async def _tend(self, play: Play, state: StepState) -> None:
        player, now = self._player, self._player.room.clock.now()
        granted = player.plays.grant(play, state.step, now)
        refusals = obstacles(play, state, player.incident, player.asked(real=True, automatic=True), now)
        if refusals or granted is None:
            self._hindered[play.id, state.step.id] = Trouble(Hindered(*refusals), play, state)
            return
        name, key = granted[0], (play.id, state.step.id)
        announced = state.announced
        ours = announced is not None and announced == self._made.get(key)
        if announced is None or not ours or announced[1] != name or now > announced[0] + STALE:
            self._hindered.pop(key, None)
            at = moment(now + player.settings.announce)
            body = AutomationAnnounced(play.id, state.step.id, at, name)
            await player.room.append(entry(body, AUTOMATION))
            if state.announced is not None:
                self._made[key] = state.announced
            self._announced(play, state)
        elif now >= announced[0]:
            self._running[key] = asyncio.ensure_future(self._run(play, state, name))

    async def _run(self, play: Play, state: StepState, grant: str) -> None:
        try:
            await self._player.run(state.step.id, play.id, real=True, grant=grant, tell=self._tell)
        except (Refused, StoreTrouble) as error:
            self._hindered[play.id, state.step.id] = Trouble(error, play, state)

    async def _ours(self) -> bool:
        if self._lock is None:
            place = self._player.room.case.directory / LOCK
            self._lock = await asyncio.to_thread(Lock.take, place)
        return self._lock is not None
