"""What the events about halts and other moves add up to: how far each target is, and what nobody dealt with yet.

`Moves.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from console.events import (
    Body,
    MoveAnswered,
    MoveExtended,
    MoveJudged,
    MoveOrdered,
    MoveSeen,
    Reached,
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
    """One target of an order. `times`: the first milliseconds since the order at which each state was seen."""

    target: Target
    state: Reached = "requested"
    ms: int = 0
    note: str = ""
    times: dict[Reached, int] = field(default_factory=dict)
    answered: MoveAnswered | None = None

    @property
    def held(self) -> bool:
        """Whether it is proven to stand still."""
        return self.state in HELD

    @property
    def open(self) -> bool:
        """Whether somebody has to deal with it."""
        return not self.held and self.answered is None


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
    """Id of the order that took it back; empty while it holds."""

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
                    _extend(order, body.targets)
                    order.epoch = max(order.epoch, body.epoch)
            case MoveSeen():
                if (order := self.orders.get(body.order)) is not None:
                    _see(order, body)
            case MoveJudged():
                if (order := self.orders.get(body.order)) is not None and order.judged is None:
                    order.judged = body
            case MoveAnswered():
                standing = order.standing(body.target) if (order := self.orders.get(body.order)) else None
                if standing is not None:
                    standing.answered = body
            case _:
                pass

    def _order(self, event: Event, body: MoveOrdered) -> None:
        if body.order in self.orders:
            return
        order = Order(body, event.at, event.actor, event.rep, event.hash, epoch=body.epoch)
        _extend(order, body.targets)
        self.orders[body.order] = order
        lifted = self.orders.get(body.lifts)
        if lifted is not None and not body.dry:
            lifted.lifted = body.order


def _extend(order: Order, targets: tuple[Target, ...]) -> None:
    order.targets += [Standing(each) for each in targets[: TARGETS - len(order.targets)]]


def _see(order: Order, body: MoveSeen) -> None:
    for seen in body.seen:
        if seen.target >= len(order.targets):
            continue
        standing = order.targets[seen.target]
        standing.times.setdefault(seen.state, seen.ms)
        if seen.ms >= standing.ms:
            standing.state, standing.ms, standing.note = seen.state, seen.ms, seen.note
