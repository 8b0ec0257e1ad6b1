"""Live fire: a stop is tried on a canary, and what was tried is kept in a case of the home's own, `HOME/proving`.

Beside the incidents, because a trial is none, and its own record, because who tried what, when, and what came of it is
worth as much. What incidents of this home stopped proves the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console import authority
from console.containment.actuator import Declined, Unreachable
from console.containment.coverage import Cover, PointCover, coverage, point_covers
from console.containment.ordering import Containing
from console.containment.points import VERBS, Points
from console.containment.proof import Proof, tried
from console.containment.state import Moves
from console.containment.warding import warden
from console.events import (
    Declared,
    MoveAnswered,
    MoveExtended,
    MoveJudged,
    MoveOrdered,
    MoveSeen,
    entry,
    read,
)
from console.evidence.window import NAME as WINDOW
from console.readiness.observed import observe
from console.refusal import Refused
from console.room import Room
from console.timeline import project
from data.case import Case, CaseReader, found
from data.log import NAME as LOG
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.config import Config, Point
    from console.containment.state import Order
    from data.home import Home

NAME = "proving"
"""The directory of the case, under the home."""
LIVE_FIRE = "live fire"
WARDEN_WAIT = 2.0
"""Seconds that the warden is waited for, which says whom it guards."""
KINDS = frozenset(each.kind for each in (MoveOrdered, MoveExtended, MoveSeen, MoveJudged, MoveAnswered))


class Fired(NamedTuple):
    """One trial: the order and the one that took it back, as they ended.

    `restored` is None where the verb cannot be taken back.
    """

    verb: str
    order: Order
    restored: Order | None

    @property
    def works(self) -> bool:
        """Whether it was seen to stand still, and then to run again."""
        ends = [self.order] + ([self.restored] if self.restored is not None else [])
        return all(each.judged is not None and each.judged.verdict == "pass" for each in ends)


def directory(home: Home) -> Path:
    """Where a home keeps its trials; it need not exist."""
    return home.path / NAME


@asynccontextmanager
async def ground(home: Home, actor: str, role: str = "") -> AsyncIterator[Room]:
    """Open the record of trials like an incident, and make it with the first one.

    Raises:
        StoreTrouble: it cannot be written.
    """

    def case() -> Case:
        place = directory(home)
        if (place / LOG).exists():
            return Case.open(place, home, project)
        founding = Declared("Trials of stops on canaries", 5, "trial", mode=home.mode)
        return found(home, entry(founding, actor), project, directory=place)

    room = await Room.open(home, await asyncio.to_thread(case), actor, role)
    try:
        yield room
    finally:
        await room.close()


def canary(points: Points, name: str) -> Point:
    """Return the canary that is meant.

    Raises:
        Refused: there is no such point, or it is none: live fire stops nothing that works for people.
    """
    settings = {each.name: each for each in points.settings}
    canaries = [each.name for each in settings.values() if each.canary]
    known = f"Canaries: {', '.join(canaries)}." if canaries else "docs/stops.md says how to add one."
    if name not in settings:
        raise Refused(points.problems.get(name, f"No point {name} is configured."), known)
    if not settings[name].canary:
        raise Refused(f"{name} is no canary: live fire would stop what works for people.", known)
    return settings[name]


async def fire(
    room: Room, points: Points, names: Sequence[str], verb: str = "", budget: int = 30
) -> list[Fired]:
    """Try every stop that canaries carry out: order it, see it stand, let it go on, see it run.

    No warden takes part: what a point can is tried by itself, and nothing beside its canary is touched.

    Args:
        room: the record of trials (`ground`).
        points: made for this; let go of at the end.
        names: the canaries.
        verb: only this one; empty = its halts, or what it can beside if it has none.
        budget: seconds for the verdict of each halt.

    Raises:
        Refused: one is no canary, or carries out no such verb; nothing was tried.
        StoreTrouble: the record cannot be written.
    """
    containing = Containing(points, actor=room.actor, clock=room.clock)
    try:
        chosen = [
            (name, each) for name in names for each in await asyncio.to_thread(_stops, points, name, verb)
        ]
        return [await _fire(room, containing, name, each, budget) for name, each in chosen]
    finally:
        await containing.close()


def _stops(points: Points, name: str, verb: str) -> list[str]:
    """What is tried on a canary."""
    from playbooks import load

    able, moves = points.verbs(canary(points, name).name), load.moves()
    restores = {move.restore for move in moves.values()}
    stops = [each for each in moves if each in able and each not in restores]
    if verb not in ("", *stops):
        raise Refused(f"{name} carries out no {verb}.", f"It carries out {', '.join(stops) or 'nothing'}.")
    # What cannot be taken back is tried only by its name: a canary that is gone proves nothing the next time.
    halts = [each for each in stops if each in VERBS.values()]
    chosen = [verb] if verb else halts or [each for each in stops if moves[each].reversible]
    if not chosen:
        raise Refused(
            f"{name} carries out nothing that could be tried and taken back.", "Name it with --verb."
        )
    return chosen


async def _fire(room: Room, containing: Containing, name: str, verb: str, budget: int) -> Fired:
    from playbooks import load

    order = await containing.order(
        room, verb, subject=name, reason=f"live fire on canary {name}", budget=budget
    )
    await containing.finished(order)
    back = None
    if (await asyncio.to_thread(load.moves))[verb].restore in containing.points.verbs(name):
        back = await containing.restore(room, order, (), f"live fire on canary {name} is over")
        await containing.finished(back)
    known = {found.body.order: found for found in containing.orders(room)}
    return Fired(verb, known[order], known.get(back or ""))


async def proofs(home: Home) -> list[Proof]:
    """Return everything that was tried in this home: on canaries, and in its incidents.

    A record that cannot be read is left out; `doctor` says so.
    """
    places = [(LIVE_FIRE, directory(home))]
    places += [(f"INC-{case[:4].upper()}", home.case_dir(case)) for case in home.cases()]
    made: list[Proof] = []
    for how, place in places:
        if (place / LOG).exists():
            try:
                made += await _proofs(how, place)
            except StoreTrouble:
                continue
    return made


class Survey(NamedTuple):
    """How well everything is covered.

    Attributes:
        covers: agents and tools, the worst covered first.
        points: the points, with when each was last tried.
    """

    covers: list[Cover]
    points: list[PointCover]


async def survey(points: Points, config: Config, home: Home | None, now: int) -> Survey:
    """Look at the configuration, at telemetry of late and at what was tried. `now`: ns UTC.

    Reads files, and takes up to a second where much was seen.
    """
    seen: dict[str, set[str]] = {}
    if home is not None:
        for each in (await asyncio.to_thread(observe, home.watch_dir / WINDOW)).agents.values():
            seen.setdefault(each.agent, set()).update(each.tools)
    known = await asyncio.to_thread(authority.standing, config.authority)
    made = await proofs(home) if home is not None else []
    guards = await _guarded(points, home) if home is not None else ()
    return Survey(
        await asyncio.to_thread(coverage, points, config.agent, seen, known, made, now, guards),
        point_covers(points, made, now),
    )


async def _guarded(points: Points, home: Home) -> Collection[str]:
    """The agents that have a guard which asks the warden for leave; nobody, while it gives no answer."""
    with suppress(Refused, Unreachable, Declined, TimeoutError):
        made = warden(points.config, str(home.path))
        if made is not None:
            client = made()
            try:
                async with asyncio.timeout(WARDEN_WAIT):
                    return {each.agent for each in await client.standing()}
            finally:
                await client.close()
    return ()


async def _proofs(how: str, place: Path) -> list[Proof]:
    reader = await CaseReader.open(place)
    try:
        events = await reader.of(KINDS)
    finally:
        await reader.close()
    moves = Moves()
    for event in events:
        moves.apply(event, read(event))
    return tried(moves, how)
