"""The warden's part in an order: it takes the leave to act away from every agent it guards, whoever else is reached.

Its guards are targets of the order like others. Their word counts for nothing here either: a guard is held once its
lease has run out, or once a probe of the same agent has seen it stand still. And what nobody can reach is held by
that: an agent whose every guard has no leave any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Protocol, cast

from console.config import Config
from console.containment.actuator import Declined, Unreachable
from console.containment.fanout import WARDEN, Course
from console.containment.points import VERBS
from console.containment.state import HELD
from console.events import HaltScope, Reached, Target

if TYPE_CHECKING:
    from console.warden.guards import GuardStanding

PACE = 0.5
"""Seconds between questions while there is no verdict; later ones come every `SLOW` seconds."""
SLOW = 5.0
BUSY = 40.0
STATES: dict[str, Reached] = {
    "requested": "requested",
    "acked": "effective",
    "verified": "verified",
    "lease_expired": "lease_expired",
    "unreachable": "unreachable",
    "leaking": "leaking",
}
"""What the warden says of a guard, and what that means here."""
BACK: dict[str, Reached] = {"running": "verified", "lapsed": "accepted"}
"""The same once a halt was taken back: it has a lease again, or has not asked for one yet."""


class Warden(Protocol):
    """What is asked of a warden; `console.warden.client.Warden` is one."""

    async def raise_epoch(self, scope: HaltScope, subject: str, order: str, reason: str) -> int:
        """Halt, durably; return the fencing token. Raises `Unreachable` and `Declined`."""
        ...

    async def resume(self, scope: HaltScope, subject: str, epoch: int, reason: str) -> int:
        """Take a halt back; return the token of that. Raises `Unreachable` and `Declined`."""
        ...

    async def saw(
        self, agent: str, epoch: int, state: Literal["verified", "leaking"], guard: str = ""
    ) -> None:
        """Tell it what somebody else saw."""
        ...

    async def standing(self) -> Sequence[GuardStanding]:
        """Return how far every guard is."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class Warding:
    """Goes on beside one order, on the thread of the fan-out.

    Args:
        warden: makes the client, on the first call, on that thread.
        selected: of an order that takes another back: the agents that it lets go on; None = all that was halted.
    """

    def __init__(self, warden: Callable[[], Warden], selected: Sequence[str] | None = None) -> None:
        self._made = warden
        self._selected = selected
        self._told: set[tuple[str, str]] = set()

    async def run(self, course: Course) -> None:
        """Halt or resume at the warden, then follow its guards until the order is over."""
        course.waiting.add(WARDEN)
        warden = self._made()
        while True:
            try:
                if course.body.lifts:
                    await self._resume(warden, course)
                else:
                    epoch = await warden.raise_epoch(
                        cast("HaltScope", course.body.scope),
                        course.body.subject,
                        course.body.order,
                        course.body.reason,
                    )
                    course.fenced(epoch)
                break
            except (Unreachable, Declined) as error:
                self._say(
                    course,
                    WARDEN,
                    "",
                    "unreachable" if isinstance(error, Unreachable) else "refused",
                    str(error),
                )
                if isinstance(error, Declined) and course.body.lifts:
                    course.knows(WARDEN)
                    return
                # Whoever cannot be told is named; the other ways to the agents do not wait for it.
                course.knows(WARDEN)
                await asyncio.sleep(1.0)
        if course.place(WARDEN) is not None:
            self._say(course, WARDEN, "", "verified", "it has the order now")
        while True:
            with suppress(Unreachable, Declined):
                self._follow(course, await warden.standing())
                await self._tell(warden, course)
            course.knows(WARDEN)
            busy = time.monotonic() - course.began < BUSY
            await asyncio.sleep(PACE if busy else SLOW)

    async def _resume(self, warden: Warden, course: Course) -> None:
        body = course.body
        if self._selected is None:
            await warden.resume(cast("HaltScope", body.scope), body.subject, body.epoch, body.reason)
            return
        for agent in self._selected:
            await warden.resume("agent", agent, body.epoch, body.reason)

    def _follow(self, course: Course, guards: Sequence[GuardStanding]) -> None:
        """Take in how far the guards are that this order concerns."""
        back = bool(course.body.lifts)
        states: dict[str, list[Reached]] = {}
        for each in guards:
            if back and (
                course.place(_name(each)) is None or each.agent not in (self._selected or [each.agent])
            ):
                continue
            state = (BACK if back else STATES).get(each.state)
            if state is None or (not back and each.epoch < course.epoch):
                continue  # no halt concerns it
            left = f"its lease runs out in {each.lease_ms / 1000:.0f} s" if each.lease_ms and not back else ""
            note = left if state in ("requested", "effective", "unreachable") else "as the warden has it"
            self._say(course, _name(each), each.agent, state, note)
            states.setdefault(each.agent, []).append(state)
        if back:
            return
        gone = {agent for agent, all_ in states.items() if all(each in HELD for each in all_)}
        for at, progress in enumerate(course.progress):
            # Whoever asks it gets no answer, or only its word; but it has no leave to act any more.
            held = progress.target.point == WARDEN or progress.state in (*HELD, "leaking")
            if progress.running:
                continue  # it is seen to act, with leave or without
            if progress.target.agent in gone and not held:
                course.see(at, "lease_expired", "the lease of every guard of this agent has run out")

    async def _tell(self, warden: Warden, course: Course) -> None:
        """Tell the warden what the probes of this order saw of agents that it guards."""
        if course.body.lifts:
            return
        guarded = {each.target.agent for each in course.progress if each.target.point == WARDEN}
        for progress in course.progress:
            agent, state = progress.target.agent, progress.state
            if progress.target.point == WARDEN or agent not in guarded or (agent, state) in self._told:
                continue
            if state in ("verified", "leaking"):
                await warden.saw(agent, course.epoch, state)
                self._told.add((agent, state))

    def _say(self, course: Course, name: str, agent: str, state: Reached, note: str) -> None:
        if course.place(name) is None:
            course.extend([Target(name, WARDEN, agent[:128], WARDEN)])
        at = course.place(name)
        if at is not None and course.progress[at].state != state:
            course.see(at, state, note)


def warden(config: Config, home: str) -> Callable[[], Warden] | None:
    """Return what makes the client of the configured warden; None if there is none.

    Args:
        config: that of the points, so that a drill asks its own warden only.
        home: the home directory.

    Raises:
        Refused: its token cannot be read.
    """
    if not config.warden.url:
        return None
    from console.warden.client import Warden as Client

    client = Client.configured(config, home)
    return None if client is None else lambda: client


def halts(scope: str) -> bool:
    """Whether a warden has a part in orders of a scope."""
    return scope in VERBS


def _name(guard: GuardStanding) -> str:
    return f"{WARDEN}/{guard.agent[:100]}/{guard.guard[:8]}"
