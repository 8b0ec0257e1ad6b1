"""What the events about halts and other moves add up to: how far each target is, and what nobody dealt with yet.

`Moves.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from console.events import (
    Body,
    MoveAnswered,
    MoveExtended,
    MoveJudged,
    MoveOrdered,
    MoveSeen,
    Reached,
    Seen,
    Target,
    Unknown,
)
from data.envelope import Event

HELD: frozenset[Reached] = frozenset({"verified", "lease_expired"})
"""The only states that count towards the verdict: somebody else saw it, or its leave to act has run out."""
TARGETS = 20_000
"""Targets of one order that are kept; what a sender names beyond is not shown one by one."""


@dataclass(slots=True)
class Standing:
    """One target of an order.

    Attributes:
        times: the first milliseconds since the order at which each state was seen.
        answered: who dealt with it, where the console could not hold it.
        lifted: id of the order that let it go on; empty while this order holds it.
    """

    target: Target
    state: Reached = "requested"
    ms: int = 0
    note: str = ""
    times: dict[Reached, int] = field(default_factory=dict)
    answered: MoveAnswered | None = None
    lifted: str = ""

    @property
    def held(self) -> bool:
        """Whether it is proven to stand still."""
        return self.state in HELD

    @property
    def open(self) -> bool:
        """Whether somebody has to deal with it."""
        return not self.held and self.answered is None and not self.lifted


@dataclass(slots=True)
class Order:
    """One order. `at` and `by`: when it was given, ns UTC, and by whom; `rep`: the console that carries it out."""

    body: MoveOrdered
    at: int
    by: str
    rep: str
    event: str
    targets: list[Standing] = field(default_factory=list)
    epoch: int = 0
    judged: MoveJudged | None = None
    lifted: str = ""
    """Id of the order that took the last of it back; empty while it holds anything."""

    @property
    def open(self) -> list[Standing]:
        """The targets that somebody has to deal with, the worst first."""
        worst = ("leaking", "unreachable", "refused")
        rank = {state: place for place, state in enumerate(worst)}
        return sorted((each for each in self.targets if each.open), key=lambda each: rank.get(each.state, 9))

    @property
    def held(self) -> int:
        """How many targets are proven to stand still."""
        return sum(each.held for each in self.targets)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to wait for. What a person dealt with counts where something is let go on."""
        return not any(each.open if self.body.lifts else not each.held for each in self.targets)

    @property
    def states(self) -> Counter[Reached]:
        """How many targets are in each state."""
        return Counter(each.state for each in self.targets)

    def extend(self, targets: Sequence[Target]) -> None:
        """Take further targets in, as far as there is room."""
        self.targets += [Standing(each) for each in targets[: TARGETS - len(self.targets)]]

    def see(self, seen: Sequence[Seen]) -> None:
        """Take in how far targets got."""
        for each in seen:
            if each.target >= len(self.targets):
                continue
            standing = self.targets[each.target]
            standing.times.setdefault(each.state, each.ms)
            if each.ms >= standing.ms:
                standing.state, standing.ms, standing.note = each.state, each.ms, each.note

    def standing(self, target: str) -> Standing | None:
        """Return a target by its name."""
        return next((each for each in self.targets if each.target.id == target), None)


@dataclass(slots=True)
class Moves:
    """All orders of an incident by their id, the oldest first."""

    orders: dict[str, Order] = field(default_factory=dict)

    @property
    def in_force(self) -> list[Order]:
        """What holds now: real, not taken back, and not a taking back itself."""
        return [
            each
            for each in self.orders.values()
            if not each.lifted and not each.body.lifts and not each.body.dry
        ]

    def apply(self, event: Event, body: Body | Unknown) -> None:
        """Take one event in."""
        match body:
            case MoveOrdered():
                self._order(event, body)
            case MoveExtended():
                if (order := self.orders.get(body.order)) is not None:
                    order.extend(body.targets)
                    order.epoch = max(order.epoch, body.epoch)
                    self._lift(order, body.targets)
            case MoveSeen():
                if (order := self.orders.get(body.order)) is not None:
                    order.see(body.seen)
            case MoveJudged():
                if (order := self.orders.get(body.order)) is not None and order.judged is None:
                    order.judged = body
            case MoveAnswered():
                standing = order.standing(body.target) if (order := self.orders.get(body.order)) else None
                if standing is not None:
                    standing.answered = body
            case _:
                pass

    def holding(self, but: str = "") -> dict[str, str]:
        """Return each target that orders in force hold, by its id, with the id of such an order other than `but`."""
        return {
            each.target.id: order.body.order
            for order in self.in_force
            if order.body.order != but
            for each in order.targets
            if not each.lifted
        }

    def _order(self, event: Event, body: MoveOrdered) -> None:
        if body.order in self.orders:
            return
        order = Order(body, event.at, event.actor, event.rep, event.hash, epoch=body.epoch)
        order.extend(body.targets)
        self.orders[body.order] = order
        self._lift(order, body.targets)

    def _lift(self, order: Order, targets: Sequence[Target]) -> None:
        """Let go what an order takes back."""
        lifted = self.orders.get(order.body.lifts)
        if lifted is None or order.body.dry:
            return
        names = {each.id for each in targets}
        for each in lifted.targets:
            if each.target.id in names:
                each.lifted = each.lifted or order.body.order
        if all(each.lifted for each in lifted.targets):
            lifted.lifted = order.body.order
