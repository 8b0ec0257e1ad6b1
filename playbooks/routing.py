"""Who must be told of an incident, and why. Rules that can be read; a person may always tell more people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class Row(Protocol):
    """One route, as the document has it or as an incident keeps it."""

    @property
    def types(self) -> Sequence[str]:
        """Types of incidents that it is for; none = all."""

    @property
    def severities(self) -> Sequence[int]:
        """Canonical severities that it is for; none = all."""

    @property
    def tripwires(self) -> Sequence[str]:
        """Tripwires that it is for; none = all."""

    @property
    def security(self) -> bool | None:
        """Whether it is only for incidents that security leads, or only for others; None = for both."""

    @property
    def tell(self) -> Sequence[str]:
        """Who is told."""

    @property
    def page(self) -> bool:
        """Whether they are woken."""

    @property
    def reason(self) -> str:
        """Why they are told."""


class Table(Protocol):
    """A routing table, as the document has it or as an incident keeps it."""

    @property
    def routes(self) -> Sequence[Row]:
        """Its routes, in order."""


class Told(NamedTuple):
    """Somebody who must be told: a contact of the routing table or a role of the incident.

    Attributes:
        page: whether one of the routes wakes them.
        reasons: one for each route that leads to them.
    """

    who: str
    page: bool
    reasons: tuple[str, ...]


def told(
    routing: Table,
    *,
    severity: int,
    types: Collection[str] = (),
    tripwires: Collection[str] = (),
    security: bool = False,
) -> tuple[Told, ...]:
    """Everybody who must be told, those who are woken first, otherwise in the order of the table.

    Args:
        routing: the table.
        severity: canonical, 1 to 5.
        types: the incident's types.
        tripwires: ids of the tripwires that set it off.
        security: whether it is led by the security lead.
    """
    found: dict[str, Told] = {}
    for route in routing.routes:
        if not fits(route, severity, types, tripwires, security):
            continue
        for who in route.tell:
            known = found.get(who, Told(who, False, ()))
            found[who] = Told(who, known.page or route.page, (*known.reasons, route.reason))
    return tuple(sorted(found.values(), key=lambda each: not each.page))


def fits(
    route: Row, severity: int, types: Collection[str], tripwires: Collection[str], security: bool
) -> bool:
    """Whether a route applies; the arguments are those of `told`."""
    return (
        (not route.types or bool(set(route.types) & set(types)))
        and (not route.severities or severity in route.severities)
        and (not route.tripwires or bool(set(route.tripwires) & set(tripwires)))
        and route.security in (None, security)
    )
