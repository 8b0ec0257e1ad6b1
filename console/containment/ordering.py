"""Orders: a halt or another move, carried out and proven, with everything that becomes of it on the record.

The order is on the disk before the first request leaves, if the disk answers at once. Containment waits no longer for
it: what could not be written is written later, with the times at which it happened, and until then `trouble` says so.
Whatever the record does, `orders` shows what is known.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import msgspec

from console.containment.carrying import ROUND, Carried, take
from console.containment.fanout import GROUP, Course, Fanout
from console.containment.points import BY_HAND, VERBS, Points
from console.containment.state import Order
from console.containment.warding import Warden, Warding, halts, warden
from console.events import (
    Body,
    HaltScope,
    MoveAnswered,
    MoveExtended,
    MoveOrdered,
    MoveSeen,
    Reached,
    Seen,
    Target,
    entry,
)
from console.refusal import Refused
from data.clock import Clock, SystemClock
from data.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

    from console.authority import Standing
    from console.config import Config
    from console.events import Mode
    from console.room import Room


class Containing:
    """Carries orders out; one for each console, or each call of the command line.

    Args:
        points: what can be stopped.
        authority: who holds a standing authority, by its id.
        actor: who orders something while no incident is open yet.
        clock: the time until then.
        warden: makes the client of the warden; None = there is none.

    Attributes:
        points: what can be stopped.
        problems: what is wrong with the points and the warden, by name; those are not used.
    """

    def __init__(
        self,
        points: Points,
        *,
        authority: Mapping[str, tuple[str, ...]] | None = None,
        actor: str = "",
        clock: Clock | None = None,
        warden: Callable[[], Warden] | None = None,
    ) -> None:
        self.points = points
        self._warden, self._wardens = warden, list[Warden]()
        self._authority, self._actor, self._clock = (
            authority or {},
            actor or "console",
            clock or SystemClock(),
        )
        self._standing: Standing | None = None
        self._fanout = Fanout()
        self._under: dict[str, Carried] = {}
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self.problems = dict(points.problems)

    @classmethod
    def configured(
        cls,
        config: Config,
        directory: Path,
        mode: Mode,
        *,
        actor: str = "",
        clock: Clock | None = None,
    ) -> Containing:
        """Return what carries orders out for the home in `directory`, as it is configured; reads files.

        What is wrong with the configuration is in `problems` and keeps nobody from stopping the rest.
        """
        points = Points.at(config, directory, mode)
        asked, trouble = None, ""
        try:
            asked = warden(points.config, str(directory))
        except Refused as refused:
            trouble = f"{refused.what} {refused.next_step}".strip()
        made = cls(points, authority=config.authority, actor=actor, clock=clock, warden=asked)
        if trouble:
            made.problems["warden"] = trouble
        return made

    # -- state out ---------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an order waits for its verdict."""
        return any(not under.judged.is_set() for under in self._under.values())

    @property
    def guarded(self) -> bool:
        """Whether a warden takes part in halts."""
        return self._warden is not None

    @property
    def trouble(self) -> str:
        """What the record does not take, one sentence; empty when it takes everything."""
        return next((under.trouble for under in self._under.values() if under.trouble), "")

    def orders(self, room: Room) -> list[Order]:
        """Return the orders of an incident, the newest first, each as it is known here: the record may be behind."""
        known = dict(room.incident.moves.orders)
        for name, under in self._under.items():
            if under.room is room and (name not in known or under.ahead):
                known[name] = under.order
        return sorted(known.values(), key=lambda each: -each.at)

    def under_way(self, order: str) -> Order | None:
        """Return an order that this console carries, as it is known here."""
        under = self._under.get(order)
        return None if under is None else under.order

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop whenever something is known of an order that was not."""
        self._listeners.append(listener)

    # -- commands in -------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Do beforehand what an order would have to wait for; harmless to repeat."""
        from console import authority
        from playbooks import load

        await asyncio.to_thread(self._fanout.start)
        await asyncio.to_thread(load.moves)
        if self._authority and self._standing is None:
            self._standing = await asyncio.to_thread(authority.standing, self._authority)

    def plan(
        self, verb: str, subject: str = "", args: Mapping[str, str] | None = None
    ) -> list[tuple[Target, str]]:
        """Return what would be sent to each target, secrets masked; nothing is sent and nothing written.

        Raises:
            Refused: as `order` would for want of targets.
        """
        order = MoveOrdered("0" * 16, verb, subject=subject, args=dict(args or {}))
        return [
            (target, self.points.actuator(target.point).plan(self.points.call(order, target)))
            for target in self._targets(verb, subject)
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
            scope: of a halt: all, agent, tool or queue; empty = by its verb.
            subject: which agent, tool, queue or other thing; empty = all.
            args: what the verb needs beside.
            reason: why, in the words of whoever orders it.
            advice: what the decision aid said of the scope.
            dry: only put on the record what would be reached.
            budget: seconds until the verdict.

        Raises:
            Refused: others are named for it, nothing is called so, or a drill meets real points.
        """
        began = time.monotonic()
        entered = None if isinstance(room, Awaitable) else room
        if entered is not None:
            self._refuse_other_mode(entered)
            self._refuse_reading(entered)
        await self._refuse_others(verb, entered, reason)
        targets = self._targets(verb, subject)
        named = scope or next((name for name, halt in VERBS.items() if halt == verb), "")
        body = MoveOrdered(
            secrets.token_hex(8), verb, cast("HaltScope", named), subject, dict(args or {}), reason.strip(), advice,
            budget=budget, dry=dry,
        )  # fmt: skip
        entry(body, self._actor)  # what is out of its bounds is refused while nothing has left
        if dry:
            entered = entered or await cast("Awaitable[Room]", room)
            await entered.record(*_founding(body, targets))
            return body.order
        repeats = await self._repeatable(verb)
        self._begin(room, body, targets, began, grows=True, repeats=repeats)
        return body.order

    async def restore(self, room: Room, order: str, targets: Collection[str] = (), reason: str = "") -> str:
        """Take an order back, for some of its targets or for all, and see that they run. Returns the new order.

        What another order holds as well stays stopped: nothing is sent there before that one is taken back too.

        Raises:
            Refused: no such order, it was taken back, its verb cannot be, there is no reason, or others decide it.
        """
        from playbooks import load

        began = time.monotonic()
        self._refuse_other_mode(room)
        self._refuse_reading(room)
        found = find(room, order)
        if not reason.strip():
            raise Refused(
                "Letting something go on needs a reason.", "Say in one line what is known to be right."
            )
        known = await asyncio.to_thread(load.moves)
        back = known[found.body.verb].restore if found.body.verb in known else None
        if back is None or found.body.lifts or found.body.dry:
            raise Refused(f"{found.body.verb} cannot be taken back.", "What it changed is changed by hand.")
        await self._refuse_others(back, room, reason)
        unknown = [each for each in targets if found.standing(each) is None]
        if unknown:
            raise Refused(
                f"Order {found.body.order} has no target {unknown[0]}.", "`warroom containment` lists them."
            )
        chosen = [
            each.target
            for each in found.targets
            if not each.lifted and (not targets or each.target.id in targets)
        ]
        if not chosen:
            raise Refused(f"Order {found.body.order} holds nothing of this any more.")
        held = room.incident.moves.holding(but=found.body.order)
        names = {each.id for each in chosen}
        body = MoveOrdered(
            secrets.token_hex(8), back, found.body.scope, found.body.subject, found.body.args, reason.strip(),
            epoch=_newest(room, found), lifts=found.body.order,
        )  # fmt: skip
        entry(body, self._actor)
        if (carried := self._under.get(found.body.order)) is not None:
            # Before anything leaves: what runs again must not look like a leak to whoever watches it.
            carried.course.let_go(names)
            for standing in carried.order.targets:
                standing.lifted = standing.lifted or (body.order if standing.target.id in names else "")
        kept = [each.id for each in chosen if each.id in held]
        whole = not kept and len(chosen) == sum(not each.lifted for each in found.targets)
        agents = {each.agent: None for each in chosen if each.agent and each.id not in held}
        under = self._begin(room, body, chosen, began, agents=None if whole else list(agents))
        under.course.let_go(kept)
        for each in kept:
            under.say(MoveAnswered(body.order, each, f"stays stopped: order {held[each]} holds it too"))
        return body.order

    async def answer(self, room: Room, order: str, target: str, how: str, evidence: str = "") -> None:
        """Record that a person dealt with a target that could not be held.

        Where the stop is a person's deed anyway, their word with what shows it is the proof.

        Raises:
            Refused: no such order or target, or not a word of how.
        """
        found = find(room, order)
        under = self._under.get(found.body.order)
        place = next(
            (at for at, each in enumerate(found.targets) if each.target.id == target or f"{at}" == target),
            None,
        )
        if place is None:
            raise Refused(
                f"Order {found.body.order} has no target {target}.", "`warroom containment` lists them."
            )
        if not how.strip():
            raise Refused("Say in one line how it was dealt with.")
        standing = found.targets[place]
        bodies: list[Body] = [
            MoveAnswered(found.body.order, standing.target.id, how.strip(), evidence.strip())
        ]
        if standing.target.actuator == "manual":
            # Who did it by hand is the one who sees it; without anything that shows it, it is their word only.
            ms = max((room.clock.now() - found.at) // 1_000_000, standing.ms)
            said = f"{room.actor}: {how.strip()}"[:300]
            state: Reached = "verified" if evidence.strip() else "effective"
            bodies.append(MoveSeen(found.body.order, (Seen(place, state, ms, said),)))
        if under is None:
            await room.record(*bodies)
            return
        under.course.let_go([standing.target.id])
        under.say(*bodies)
        await under.written()

    async def resume(self, room: Room) -> list[str]:
        """Go on with the orders of this home that nobody carries: after a crash, or when who carried them has ended.

        Everything is looked at anew; asked again is only who said nothing, and only where a repeat is harmless. To be
        called whenever a room is entered and whenever it has changed; returns the ids of those that were taken up.
        """
        if room.read_only or room.incident.mode != self.points.mode or self._closed:
            return []
        taken = []
        for order in list(room.incident.moves.orders.values()):
            name = order.body.order
            if (under := self._under.get(name)) is not None:
                under.course.let_go(under.catch_up(order, room))
                continue
            over = order.judged is not None and (order.lifted or order.body.lifts)
            if order.rep != room.replica or order.body.dry or over or not room.incident.open:
                continue
            if (lock := take(room, name)) is None:
                continue
            await self._take_up(room, order, lock)
            taken.append(name)
        return taken

    async def finished(self, order: str) -> None:
        """Wait for the verdict of an order, and a moment for the record to have it.

        Of one that was taken up with its verdict: until all of it was looked at again.
        """
        if (under := self._under.get(order)) is not None:
            await under.judged.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(under.known.wait(), ROUND)
            await under.written()

    async def close(self) -> None:
        """End what goes on, and let go of the actuators. What is still held is watched by nobody from here on."""
        self._closed = True
        for under in self._under.values():
            self._fanout.call(under.course.stop)
        await asyncio.to_thread(self._fanout.close, self._let_go)
        await asyncio.sleep(0)  # what the thread said last
        for under in self._under.values():
            await under.close()

    # -- what is refused ---------------------------------------------------------------------------------

    def _refuse_other_mode(self, room: Room) -> None:
        if room.incident.mode != self.points.mode:
            raise Refused(
                "A drill reaches no real system, and a real incident none of a drill.",
                "A drill has the points of the configuration in its own home.",
            )

    def _refuse_reading(self, room: Room) -> None:
        if room.read_only:
            raise Refused("This was opened for reading only.", "Open it without --read-only to act.")

    async def _refuse_others(self, verb: str, room: Room | None, reason: str) -> None:
        """Refuse what the organisation names others for; where it names nobody, everybody may."""
        if not self._authority:
            return
        from console import authority

        if self._standing is None:
            self._standing = await asyncio.to_thread(authority.standing, self._authority)
        if verb in self._standing.moves:
            actor = self._actor if room is None else room.actor
            authority.refuse(verb, actor, None if room is None else room.incident, self._standing, reason)

    def _targets(self, verb: str, subject: str) -> list[Target]:
        """What an order reaches; where nothing is configured for it, a person does it and the stopwatch runs."""
        found = self.points.targets(verb, subject)
        if found:
            return found
        from difflib import get_close_matches

        from playbooks import load

        moves = load.moves()
        if verb not in moves or moves[verb].family == "record":
            near = get_close_matches(verb, [name for name in moves if moves[name].family != "record"], n=1)
            raise Refused(
                f"There is no move {verb}.",
                f"Did you mean {near[0]}?" if near else "`warroom move` lists them.",
            )
        known = [name for scope in ("agent", "tool", "queue") for name in self.points.subjects(scope)]
        if near := get_close_matches(subject, known, n=1, cutoff=0.7):
            raise Refused(f"No point knows {subject}.", f"Did you mean {near[0]}?")
        name = (subject or verb.replace("_", " "))[:128]
        return [Target(name, BY_HAND, subject[:128], "manual")]

    async def _repeatable(self, verb: str) -> bool:
        """Whether a second request of the same order is harmless: what is set stays set, what is used up is not."""
        if verb in VERBS.values():
            return True
        from playbooks import load

        moves = await asyncio.to_thread(load.moves)
        return verb not in moves or moves[verb].reversible

    # -- under way ---------------------------------------------------------------------------------------

    def _begin(
        self,
        room: Room | Awaitable[Room],
        body: MoveOrdered,
        targets: Sequence[Target],
        began: float,
        *,
        grows: bool = False,
        repeats: bool = True,
        agents: Sequence[str] | None = None,
    ) -> Carried:
        entered = None if isinstance(room, Awaitable) else room
        actor, replica = (self._actor, "") if entered is None else (entered.actor, entered.replica)
        order = Order(body, (self._clock if entered is None else entered.clock).now(), actor, replica, "")
        order.extend(targets)
        carried = Carried(order, entered, self._tell)
        carried.course = Course(
            body, self.points, targets, began, self._deliver(carried), grows=grows, repeats=repeats,
            beside=self._beside(body, agents),
        )  # fmt: skip
        self._under[body.order] = carried
        self._fanout.submit(carried.course)
        for founding in _founding(body, targets):
            carried.write(founding, began)
        carried.attend(room, lambda: self._fanout.call(carried.course.gate.set))
        return carried

    async def _take_up(self, room: Room, order: Order, lock: Lock) -> None:
        """Carry an order on that another process left."""
        kept = replace(order, targets=[replace(each, times=dict(each.times)) for each in order.targets])
        began = time.monotonic() - max(room.clock.now() - order.at, 0) / 1e9
        carried = Carried(kept, room, self._tell)
        carried.course = Course(
            order.body, self.points, [each.target for each in order.targets], began, self._deliver(carried),
            grows=not order.body.lifts, repeats=await self._repeatable(order.body.verb), epoch=order.epoch,
            beside=None if order.body.lifts else self._beside(order.body),
        )  # fmt: skip
        carried.course.resume(order.targets)
        carried.course.gate.set()
        self._under[order.body.order] = carried
        self._fanout.submit(carried.course)
        carried.attend(room, lambda: None, lock)

    def _beside(
        self, body: MoveOrdered, agents: Sequence[str] | None = None
    ) -> Callable[[Course], Coroutine[None, None, None]] | None:
        """What goes on at the warden; `agents`: those that go on, where it is not all that was halted."""
        made = self._warden
        if made is None or not halts(body.scope):
            return None

        def shared() -> Warden:
            # On the thread of the fan-out, for all orders.
            if not self._wardens:
                self._wardens.append(made())
            return self._wardens[0]

        return Warding(shared, agents).run

    async def _let_go(self) -> None:
        """Close what was used on the thread of the fan-out."""
        for each in self._wardens:
            await each.close()
        await self.points.close()

    def _deliver(self, carried: Carried) -> Callable[[list[Body]], None]:
        """What the thread of the fan-out calls with news."""
        loop = asyncio.get_running_loop()

        def deliver(bodies: list[Body]) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever could be told
                loop.call_soon_threadsafe(carried.say, *bodies)

        return deliver

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def find(room: Room, name: str) -> Order:
    """Return an order of an incident by its id or the beginning of it.

    Raises:
        Refused: none or several fit.
    """
    orders = room.incident.moves.orders
    found = [each for each in orders.values() if name and each.body.order.startswith(name.lower())]
    if len(found) != 1:
        raise Refused(
            f"{len(found) or 'No'} orders begin with {name}." if found else f"There is no order {name}.",
            "`warroom containment` lists them.",
        )
    return found[0]


def _newest(room: Room, order: Order) -> int:
    """The newest fencing token that is known of what an order halted: a warden takes back no older halt."""
    same = (order.body.scope, order.body.subject)
    known = [
        each for each in room.incident.moves.orders.values() if (each.body.scope, each.body.subject) == same
    ]
    return max(each.epoch for each in known)


def _founding(body: MoveOrdered, targets: Sequence[Target]) -> list[Body]:
    """What puts an order with its targets on the record."""
    first = msgspec.structs.replace(body, targets=tuple(targets[:GROUP]))
    rest = range(GROUP, len(targets), GROUP)
    return [first, *(MoveExtended(body.order, tuple(targets[at : at + GROUP])) for at in rest)]
