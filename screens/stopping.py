"""What the console stops: it knows what can be reached, and orders go on whatever is looked at."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from data.trouble import StoreTrouble
from screens.own_room import own_room

if TYPE_CHECKING:
    from console.alerts import Alert
    from console.containment.advice import Advice
    from console.containment.catalogue import Offer
    from console.containment.ordering import Containing
    from console.containment.proving import Fired, Survey
    from console.containment.quarantine import Held
    from console.containment.review import Review
    from console.containment.state import Moves, Order
    from console.desk import Desk
    from console.events import HaltScope, HeldWord, MoveOrdered
    from console.incident import Incident
    from console.room import Room

WORST = 1
"""The severity of an incident that begins with a halt."""
SAMPLES = 6
"""Points of which the dry run shows what would be sent."""


class Foreseen(NamedTuple):
    """What an order would reach.

    Attributes:
        targets: how many.
        points: through which points, and how many of them through each.
        unreached: agents of the incident that it means and that no point stops.
        troubles: what is wrong with points, in words.
        sends: what would be sent to the first target of each point, secrets masked.
    """

    targets: int
    points: tuple[tuple[str, int], ...] = ()
    unreached: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()


class _Later:
    """Work that begins when somebody awaits it, and never when nobody does."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Room]]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, Room]:
        return self._work().__await__()


class Stopping:
    """What this console can stop, and what it is stopping.

    Args:
        made: makes what carries orders out; it may read files. None = nothing is configured.
        changed: called when more is known of an order.
    """

    def __init__(
        self,
        made: Callable[[Desk], Containing] | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._made, self._changed = made, changed
        self._containing: Containing | None = None
        self._making: asyncio.Future[Containing] | None = None
        self._rooms: dict[str, Room] = {}
        self._turn = asyncio.Lock()
        self._tending = False
        self._review: Review | None = None
        self._told: dict[str, set[str]] = {}
        self._given: list[str] = []
        """Ids of the orders that were given here."""

    # -- what can be stopped -----------------------------------------------------------------------------

    @property
    def known(self) -> Containing | None:
        """What carries orders out; None while it is being made."""
        return self._containing

    async def ready(self, desk: Desk) -> Containing:
        """Return what carries orders out, made once, beside the keyboard.

        Raises:
            Refused: the configuration cannot be read.
        """
        if self._containing is None:
            if self._making is None or (self._making.done() and self._making.exception() is not None):
                self._making = asyncio.ensure_future(asyncio.to_thread(self._make, desk))
            made = await asyncio.shield(self._making)
            if self._containing is None:
                self._containing = made
                made.listen(self._changed)
                await made.prepare()
        return self._containing

    def _make(self, desk: Desk) -> Containing:
        if self._made is not None:
            return self._made(desk)
        from console.config import Config
        from console.containment.ordering import Containing

        home = desk.home
        return Containing.configured(Config(), home.path, home.mode, actor=desk.actor, clock=desk.clock)

    def subjects(self, scope: HaltScope, room: Room | None, alerts: Sequence[Alert]) -> list[str]:
        """Return what a halt of `scope` can be about: what the alerts name, then what points know."""
        facts = [each.facts for each in alerts if room is None or each.id in room.incident.alerts]
        if room is not None:
            known = {each.id for each in facts}
            facts += [each for id_, each in room.incident.alerts.items() if id_ not in known]
        named: list[str] = []
        if scope == "agent":
            named = [each.agent for each in facts]
        elif scope == "tool":
            named = [action.name for each in facts for action in each.sample if action.kind == "tool"]
        points = self._containing.points.subjects(scope) if self._containing is not None else []
        return [each for each in dict.fromkeys([*named, *points]) if each]

    def foresee(self, scope: HaltScope, subject: str, agents: Sequence[str]) -> Foreseen:
        """Return what an order would reach; nothing is sent. For a thread: it goes through all targets.

        `agents`: those of the incident.
        """
        from console.containment.points import VERBS

        containing = self._containing
        if containing is None:
            return Foreseen(0)
        points, verb = containing.points, VERBS[scope]
        targets = points.targets(verb, subject)
        firsts = {each.point: each for each in reversed(targets)}
        sends: list[str] = []
        order = self._dry(verb, subject)
        for point, target in [*firsts.items()][::-1][:SAMPLES]:
            # What cannot be shown may well be sent.
            with suppress(Exception):
                sends.append(f"{point}: {points.actuator(point).plan(points.call(order, target))}")
        meant = agents if scope == "all" else [subject] if scope == "agent" else ()
        reached = {each.agent for each in targets}
        whole = any(not each.agent for each in targets)
        unreached = tuple(each for each in meant if each not in reached and not whole)
        troubles = tuple(f"{name}: {why}" for name, why in containing.problems.items())
        return Foreseen(
            len(targets),
            tuple(Counter(each.point for each in targets).most_common()),
            unreached,
            troubles,
            tuple(sends),
        )

    def _dry(self, verb: str, subject: str) -> MoveOrdered:
        from console.events import MoveOrdered

        return MoveOrdered("0" * 16, verb, subject=subject)

    def advise(self, incident: Incident | None, agents: Sequence[str]) -> Advice | None:
        """Return what the decision aid says with what is known; None while points are not. For a thread: it reads the library."""
        from console.containment.advice import advise

        return advise(incident, self._containing.points, agents) if self._containing is not None else None

    async def offers(
        self, desk: Desk, incident: Incident, people: Mapping[str, tuple[str, ...]]
    ) -> list[Offer]:
        """Return the moves of the catalogue in the order of containment, with what carries each out.

        Args:
            desk: where the incident is open.
            incident: whose roles count, and whose orders prove something.
            people: who holds an authority, by its id.

        Raises:
            PlaybookTrouble: a document is broken.
        """
        from console import authority
        from console.containment.catalogue import catalogue
        from console.containment.proof import tried

        points = (await self.ready(desk)).points
        proofs = tried(incident.moves, incident.code)
        known = await asyncio.to_thread(authority.standing, people)
        return await asyncio.to_thread(catalogue, points, known, incident, proofs)

    async def survey(self, desk: Desk) -> Survey:
        """Return what has a working stop, and which points were tried and when.

        Raises:
            PlaybookTrouble: a document is broken.
        """
        from console.containment.proving import survey

        points = (await self.ready(desk)).points
        return await survey(points, points.config, desk.home, desk.clock.now())

    async def fire(self, desk: Desk, canary: str) -> list[Fired]:
        """Try every stop that a canary carries out, and let it go on; it is kept beside the incidents.

        Raises:
            Refused: it is no canary.
        """
        from console.containment.proving import fire, ground

        # Points of its own: they are let go of at the end.
        points = (await asyncio.to_thread(self._make, desk)).points
        async with ground(desk.home, desk.actor, desk.role) as room:
            return await fire(room, points, (canary,))

    # -- held actions ------------------------------------------------------------------------------------

    @property
    def unseen(self) -> list[str]:
        """Why some queues cannot be looked into, one sentence each."""
        if self._review is None:
            return []
        blind = [
            f"{name}: holds actions back and cannot say which; people look there."
            for name in self._review.blind()
        ]
        return [*(f"{name}: {why}" for name, why in self._review.troubles.items()), *blind]

    async def ask_queues(self, desk: Desk, shown: Room) -> None:
        """Ask every queue what it holds, and carry out what was decided and is not known to have happened.

        Raises:
            Refused: a drill meets real points, or a real incident those of a drill.
        """
        review = await self._reviewing(desk)
        if review.places():
            own = await self.own(desk, shown)
            await review.look(own)
            await review.carry_out(own)

    async def decide(
        self, desk: Desk, shown: Room, actions: Sequence[str], word: HeldWord, reason: str
    ) -> list[Held]:
        """Decide about held actions and carry it out. Returns them as they stand then.

        Raises:
            Refused: an action is not held any more; there is no reason; others decide it.
        """
        review = await self._reviewing(desk)
        return await review.decide(await self.own(desk, shown), actions, word, reason)

    async def _reviewing(self, desk: Desk) -> Review:
        from console.containment.review import Review

        if self._review is None:
            self._review = Review((await self.ready(desk)).points)
        return self._review

    # -- orders ------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an order of this console waits for its verdict."""
        return self._containing is not None and self._containing.busy

    async def halt(
        self,
        desk: Desk,
        scope: HaltScope,
        subject: str,
        *,
        reason: str,
        advice: str,
        opened: Callable[[], None],
    ) -> str:
        """Order a halt in the incident that is open; opens one when there is none. Returns the id of the order.

        The first requests leave before an incident is declared. `opened`: called when one was.

        Raises:
            Refused: nothing reaches it, or others are named for it.
        """
        from console.containment.points import VERBS

        containing = await self.ready(desk)

        async def room() -> Room:
            shown, declared = desk.room, False
            if shown is None or not shown.incident.open:
                declared = True
                shown = await desk.declare(
                    f"Halt of {what(scope, subject)}",
                    WORST,
                    alerts=desk.halted(scope, subject),
                    reason="agents were halted",
                )
            own = await self.own(desk, shown)
            if declared:
                opened()
            return own

        given = await containing.order(
            _Later(room), VERBS[scope], scope=scope, subject=subject, reason=reason, advice=advice
        )
        self._given.append(given)
        return given

    async def own(self, desk: Desk, shown: Room) -> Room:
        """Return the room in which orders of an incident are carried out: it stays when the screen leaves."""
        async with self._turn:
            room = self._rooms.get(shown.case.id)
            if room is None:
                room = self._rooms[shown.case.id] = await own_room(desk.home, shown)
            else:
                await room.refresh()
            return room

    # -- what is known -----------------------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """What the record does not take of the orders of this console, one sentence; empty when it takes everything."""
        return self._containing.trouble if self._containing is not None else ""

    def moves(self, room: Room | None) -> Moves:
        """Return the orders of an incident as they are known here, which may be more than is on the record.

        Without an incident: those that were given here.
        """
        from console.containment.state import Moves

        containing = self._containing
        known = dict(room.incident.moves.orders) if room is not None else {}
        if containing is not None:
            own = self._rooms.get(room.case.id) if room is not None else None
            carried = containing.orders(own) if own is not None else []
            names = [each.body.order for each in carried] if own is not None else self._given
            for name in names:
                order = containing.under_way(name)
                if order is not None and (room is None or any(each is order for each in carried)):
                    known[name] = order
        return Moves(dict(sorted(known.items(), key=lambda each: each[1].at)))

    def news(self, room: Room) -> list[Order]:
        """Return the orders whose verdict has come since the last look."""
        orders = self.moves(room).orders
        judged = {name for name, order in orders.items() if order.judged is not None}
        known = self._told.get(room.case.id)
        self._told[room.case.id] = judged
        # What was judged before this console looked for the first time is no news, unless it was ordered here.
        known = judged - set(self._given) if known is None else known
        return [orders[name] for name in orders if name in judged - known]

    async def tend(self, desk: Desk, shown: Room | None) -> list[str]:
        """Take in what others wrote about orders, and go on with those that a console left behind when it ended.

        What goes on here does so whatever is looked at. Returns the ids of the orders that were taken up.
        """
        containing = self._containing
        if self._tending or containing is None:
            return []
        self._tending, taken = True, []
        try:
            if shown is not None and shown.incident.moves.orders and not shown.read_only:
                await self.own(desk, shown)
            for room in list(self._rooms.values()):
                # A record that cannot be read now is read the next time; the order goes on without.
                with suppress(StoreTrouble):
                    await room.refresh()
                    taken += await containing.resume(room)
        finally:
            self._tending = False
        return taken

    async def close(self) -> None:
        """End what goes on here; the next console resumes it."""
        if self._making is not None:
            with suppress(Exception):
                await self._making
        if self._containing is not None:
            await self._containing.close()
        for room in self._rooms.values():
            with suppress(StoreTrouble):
                await room.close()
        self._rooms.clear()


def what(scope: str, subject: str) -> str:
    """Return what a halt is about, in words: `all agents`, `tool pay.refund`."""
    if scope == "queue":
        return f"queue {subject}" if subject else "queued actions"
    return f"{scope} {subject}" if scope != "all" else "all agents"
