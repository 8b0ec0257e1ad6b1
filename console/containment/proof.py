"""What proves that a stop works: it was carried out, and somebody else saw that it held. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from data.clock import iso

if TYPE_CHECKING:
    from console.containment.state import Moves, Order

MILLISECOND = 1_000_000


class Proof(NamedTuple):
    """One time that a point was told something, and what came of it.

    Attributes:
        point: name of the configured point.
        verb: what it was told.
        at: when it was over, ns UTC.
        held: whether it was seen to hold, for everything that the point reaches.
        ms: milliseconds from the order until the last of it held; 0 when it did not.
        how: on which occasion: `live fire`, `by hand`, or an incident.
        by: who gave the order.
        note: what did not hold, or what a person saw.
    """

    point: str
    verb: str
    at: int
    held: bool
    ms: int
    how: str
    by: str
    note: str = ""

    @property
    def value(self) -> dict[str, object]:
        """The same for programs."""
        return self._asdict() | {"at": iso(self.at, 0)}


def latest(proofs: Iterable[Proof], verb: str = "", points: Iterable[str] | None = None) -> Proof | None:
    """Return the newest of what was tried. `verb`: only this one; `points`: only these; else any."""
    among = None if points is None else frozenset(points)
    fits = (
        each for each in proofs if (not verb or each.verb == verb) and (among is None or each.point in among)
    )
    return max(fits, key=lambda each: each.at, default=None)


def tried(moves: Moves, how: str) -> list[Proof]:
    """Return what the orders of one record prove of stops: of each order, every point by itself.

    A dry run proves nothing, nor does letting something go on, nor an order that has no verdict yet.
    """
    return [proof for order in moves.orders.values() for proof in _of(order, how)]


def _of(order: Order, how: str) -> list[Proof]:
    whole = bool(order.targets) and order.held == len(order.targets)
    if order.body.dry or order.body.lifts or not (whole or order.judged is not None):
        return []
    found: list[Proof] = []
    for point in dict.fromkeys(each.target.point for each in order.targets):
        own = [each for each in order.targets if each.target.point == point]
        open_ = [each for each in own if not each.held]
        ms = 0 if open_ else max(each.ms for each in own)
        took = max(each.ms for each in own)
        note = ", ".join(f"{each.target.id} {each.state}" for each in open_[:3])
        if len(open_) > 3:
            note += f" and {len(open_) - 3:,} more"
        at = order.at + took * MILLISECOND
        found.append(Proof(point, order.body.verb, at, not open_, ms, how, order.by, note))
    return found
