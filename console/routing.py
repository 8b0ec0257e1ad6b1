"""Who must be told of an incident, why, and for how long they have been waiting to hear. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from playbooks.routing import fits

if TYPE_CHECKING:
    from console.events import LegalClock, Route
    from console.incident import Incident
    from console.triage import Said, Told

SECOND = 1_000_000_000
DAY = 86_400
OWNER = "owner"
"""The contact who owns the agent: an alert names them where the inventory does."""


class Escalation(NamedTuple):
    """Somebody who must be told.

    Attributes:
        who: id of a contact or of a role.
        title: the same for people.
        page: whether one of the routes wakes them.
        reasons: one for each route that leads to them.
        since: from when on they had to be told, ns UTC.
        told: the newest time that they were; None: nobody says so.
        waived: why they need not be.
    """

    who: str
    title: str
    page: bool
    reasons: tuple[str, ...]
    since: int
    told: Told | None
    waived: Said | None

    @property
    def outstanding(self) -> bool:
        """Whether somebody still has to tell them."""
        return self.told is None and self.waived is None


class Limit(NamedTuple):
    """A legal clock that runs. `due`: ns UTC, None for one without a number ("without delay")."""

    clock: LegalClock
    since: int
    due: int | None
    told: Told | None
    waived: Said | None

    @property
    def outstanding(self) -> bool:
        """Whether the authority still has to be told."""
        return self.told is None and self.waived is None


def escalations(incident: Incident) -> list[Escalation]:
    """Everybody who must be told, those who are woken first, then in the order of the table."""
    triage = incident.triage
    if triage.routing is None:
        return []
    titles = {contact.id: contact.title for contact in triage.routing.contacts}
    found: dict[str, Escalation] = {}
    led = triage.led is not None
    for route in triage.routing.routes:
        if not fits(route, incident.severity, triage.types, triage.tripwires, led):
            continue
        since = _since(route, incident)
        for who in route.tell:
            told = triage.told.get(who, [])
            new = Escalation(
                who,
                titles.get(who, who),
                route.page,
                (route.reason,),
                since,
                told[-1] if told else None,
                triage.waived.get(who),
            )
            known = found.get(who, new._replace(reasons=()))
            found[who] = new._replace(
                page=known.page or route.page,
                reasons=(*known.reasons, route.reason),
                since=min(known.since, since),
            )
    return sorted(found.values(), key=lambda each: not each.page)


def people(who: str, incident: Incident, contacts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Who is behind a contact or a role: as it is configured, who holds the role, or who owns the agents of the alerts.

    Args:
        who: id of the contact or of the role.
        incident: says who holds a role, and by its alerts whom the inventory names as owner.
        contacts: who is behind a contact, as the configuration has it.
    """
    if who in contacts or who != OWNER:
        return contacts.get(who) or tuple(incident.roles.get(who, ()))
    routed = (each for facts in incident.alerts.values() for each in facts.route)
    return tuple(dict.fromkeys(each.partition(":")[2] for each in routed if each.startswith(f"{OWNER}:")))


def outstanding(incident: Incident) -> list[Escalation]:
    """Those who still have to be told; of a closed incident nobody."""
    return [each for each in escalations(incident) if each.outstanding] if incident.open else []


def limits(incident: Incident) -> list[Limit]:
    """The legal clocks that run in this incident, what ends first first."""
    led = incident.triage.led
    if led is None:
        return []
    found = [
        Limit(
            clock,
            led.aware_at,
            _due(clock, led.aware_at),
            next(reversed(incident.triage.told.get(clock.id, ())), None),
            incident.triage.waived.get(clock.id),
        )
        for clock in led.clocks
    ]
    return sorted(found, key=lambda each: each.due if each.due is not None else each.since)


class Headline(NamedTuple):
    """What the header says of escalation; all empty when nobody waits.

    Attributes:
        waiting: how many still have to be told: `tell 3`.
        clock: the legal clock that ends first: `gdpr-33 71 h left`.
        longest: who has waited longest of those who are to be woken, else of all: `security 4 min`.
    """

    waiting: str = ""
    clock: str = ""
    longest: str = ""

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def __str__(self) -> str:
        return f"{self.waiting}: {', '.join(filter(None, self[1:]))}" if self else ""


def headline(incident: Incident, now: int) -> Headline:
    """Return what the header says of escalation at `now` (ns UTC)."""
    waiting = outstanding(incident)
    late = [limit for limit in limits(incident) if limit.outstanding and incident.open]
    if not waiting and not late:
        return Headline()
    who = ""
    if waiting:
        longest = min(waiting, key=lambda each: (not each.page, each.since))
        who = f"{longest.who} {minutes(now - longest.since)}"
    return Headline(f"tell {len(waiting) + len(late)}", _ending(late, now), who)


def minutes(span: int) -> str:
    """A span in ns as people say it: `4 min`, `71 h`, `5 d`."""
    seconds = max(span, 0) // SECOND
    if seconds < 120 * 60:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 4 * DAY else f"{seconds // DAY} d"


def _ending(late: list[Limit], now: int) -> str:
    with_number = [limit for limit in late if limit.due is not None]
    if with_number:
        first = with_number[0]
        left = (first.due or 0) - now
        return f"{first.clock.id} " + (f"{minutes(left)} left" if left >= 0 else f"LATE by {minutes(-left)}")
    return f"{late[0].clock.id} without delay" if late else ""


def _since(route: Route, incident: Incident) -> int:
    """From when on all conditions of a route that holds now held without a break."""
    triage = incident.triage
    times = [incident.declared_at]
    if route.severities:
        for at, severity in reversed(triage.severities):
            if severity not in route.severities:
                break
            begun = at
        times.append(begun)
    if route.types:
        times.append(min(said.at for tag, said in triage.tags["type"].items() if tag in route.types))
    if route.tripwires:
        times.append(min(at for rule, at in triage.tripwires.items() if rule in route.tripwires))
    if route.security and triage.led is not None:
        times.append(triage.led.at)
    return max(times)


def _due(clock: LegalClock, since: int) -> int | None:
    if clock.seconds:
        return since + clock.seconds * SECOND
    if not clock.business_days:
        return None
    # Saturdays and Sundays only: holidays differ from place to place, and too early is the safe side.
    day, left = since // (DAY * SECOND), clock.business_days
    while left:
        day += 1
        left -= (day + 3) % 7 < 5  # day 0, 1 January 1970, was a Thursday
    return (day + 1) * DAY * SECOND - SECOND
