"""Steps of playbooks that halt or contain: orders like any other, and the verdict is how the step ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from console.containment.actuator import Declined
from console.containment.points import INSTEAD, VERBS
from console.containment.verdict import spoken
from console.events import MoveOrdered
from console.plain import many
from console.refusal import Refused
from console.runner.run import Ended

if TYPE_CHECKING:
    from console.containment.ordering import Containing
    from console.containment.state import Order
    from console.room import Room
    from playbooks.guidance import Move

Args = Mapping[str, str]
SHOWN = 20
"""Targets of a plan that are shown one by one."""
ALL = "*"
_WARDED = frozenset(VERBS.values()) | {"restore_all", "restore_agent", "restore_tool", "release_actions"}
"""What a warden has a part in."""
NO_SUBJECT = frozenset({"mode"})
"""Arguments that say how, and not what."""


class Steps:
    """What carries out the verbs of playbook steps through the configured points (`Actuators` of the runner).

    What nothing configured reaches is refused before anything is on the record: then a person does it and ticks it.

    Args:
        room: the incident.
        containing: what carries orders out.
    """

    def __init__(self, room: Room, containing: Containing) -> None:
        self._room, self._containing = room, containing

    def verbs(self) -> frozenset[str]:
        """Return the verbs that a point carries out; what a canary can does not count."""
        points = self._containing.points
        able = frozenset[str]().union(
            *(points.verbs(each.name) for each in points.settings if not each.canary)
        )
        able |= {verb for verb, instead in INSTEAD.items() if able.intersection(instead)}
        return able | _WARDED if self._containing.guarded else able

    def ready(self, verb: str, args: Args) -> None:
        """Refuse what would reach nothing.

        Raises:
            Refused: no point knows what it is about, or nothing is held that it could let go.
        """
        subject = _subject(_move(verb), args)
        if _stops(verb) is None:
            self._targets(verb, subject)
        elif not list(self._held(verb, subject)):
            raise Refused(
                f"No order of {self._room.code} holds {subject or 'anything'} that {verb} could let go.",
                "Where it was stopped by hand, let it go by hand and tick the step.",
            )

    def plan(self, verb: str, args: Args) -> str:
        """Return what would be sent, target by target, secrets masked: the dry run."""
        subject = _subject(_move(verb), args)
        try:
            self.ready(verb, args)
        except Refused as refused:
            return str(refused)
        if _stops(verb) is None:
            head, lines, count = self._planned(verb, subject, args)
        else:
            orders = list(self._held(verb, subject))
            held = [
                f"{each.target.id}: let go on"
                for order in orders
                for each in order.targets
                if not each.lifted
            ]
            head = f"{', '.join(each.body.order for each in orders)} would be taken back"
            lines, count = held[:SHOWN], len(held)
        more = [f"and {count - SHOWN:,} more"] if count > SHOWN else []
        return "\n".join([f"{head}:", *lines, *more])[:16_000]

    def _planned(self, verb: str, subject: str, args: Args) -> tuple[str, list[str], int]:
        """What would be told: in a sentence, the first targets by name, and how many there are."""
        points = self._containing.points
        order = MoveOrdered("0" * 16, verb, subject=subject, args=dict(args))
        targets = points.targets(verb, subject)
        lines: list[str] = []
        if self._containing.guarded and verb in _WARDED:
            lines.append(f"the warden: {verb} {subject}".rstrip())
        for target in targets[:SHOWN]:
            try:
                what = points.actuator(target.point).plan(points.call(order, target))
            except Declined as declined:
                what = f"it could not be told: {declined}"
            lines.append(f"{target.id}: {what}")
        return f"{many(len(targets), 'target')} would be told", lines, len(targets)

    async def act(self, verb: str, args: Args, run: str) -> Ended:
        """Carry it out and wait for the verdict: `done` is a pass.

        Whoever stops the run stops waiting: the order goes on, because a halt that is half sent is none.

        Raises:
            Refused: as `ready`, and what an order is refused for.
        """
        self.ready(verb, args)
        subject, reason = _subject(_move(verb), args), self._reason(args, run)
        if _stops(verb) is None:
            ordered = [
                await self._containing.order(
                    self._room, verb, subject=subject, args=dict(args), reason=reason
                )
            ]
        else:
            held = [order.body.order for order in self._held(verb, subject)]
            ordered = [await self._containing.restore(self._room, each, (), reason) for each in held]
        try:
            for each in ordered:
                await self._containing.finished(each)
        except asyncio.CancelledError:
            return Ended("cancelled", note=f"Nobody waits for it any more; {_said(ordered)} on.")
        orders = {each.body.order: each for each in self._containing.orders(self._room)}
        ends = [orders[each] for each in ordered if each in orders]
        passed = len(ends) == len(ordered) and all(
            each.judged is not None and each.judged.verdict == "pass" for each in ends
        )
        note = " ".join(f"Order {each.body.order}: {spoken(each)}.{_open(each)}" for each in ends)
        return Ended("done" if passed else "failed", exit=0 if passed else 1, note=note)

    def _targets(self, verb: str, subject: str) -> None:
        if self._containing.points.targets(verb, subject) or (self._containing.guarded and verb in _WARDED):
            return
        known = [
            name for scope in ("agent", "tool", "queue") for name in self._containing.points.subjects(scope)
        ]
        names = f"They know {', '.join(known[:5])}." if known else ""
        raise Refused(
            f"No point carries out {verb} for {subject or 'anything'}. {names}".strip(),
            "Do it by hand and tick it.",
        )

    def _held(self, verb: str, subject: str) -> Iterator[Order]:
        """The orders that hold what a verb lets go on."""
        stops = _stops(verb)
        for order in self._containing.orders(self._room):
            body = order.body
            if (
                body.verb == stops
                and body.subject == subject
                and not (body.dry or body.lifts or order.lifted)
            ):
                yield order

    def _reason(self, args: Args, run: str) -> str:
        going = self._room.incident.plays.runs.get(run)
        where = (
            f"playbook {going.playbook}, step {going.step}" if going is not None else "a step of a playbook"
        )
        return f"{args['reason']} ({where})" if args.get("reason") else where


def _move(verb: str) -> Move | None:
    from playbooks import load

    return load.moves().get(verb)


def _stops(verb: str) -> str | None:
    """The verb that `verb` takes back; None: it takes none back."""
    from playbooks import load

    return next((move.verb for move in load.moves().values() if move.restore == verb), None)


def _subject(move: Move | None, args: Args) -> str:
    """What a step is about: its first argument, unless that says how; empty = all."""
    first = move.args[0] if move is not None and move.args else ""
    said = "" if first in NO_SUBJECT else args.get(first, "").strip()
    return "" if said == ALL else said


def _said(ordered: list[str]) -> str:
    return f"order {ordered[0]} goes" if len(ordered) == 1 else f"orders {', '.join(ordered)} go"


def _open(order: Order) -> str:
    names = [f"{each.target.id} ({each.state.replace('_', ' ')})" for each in order.open]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f" Open: {', '.join(names[:5])}{more}." if names else ""
