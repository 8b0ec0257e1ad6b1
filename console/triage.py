"""What the events about triage add up to: tags, forms, who was told, who leads, and who handed over to whom.

`Triage.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from console.events import (
    Body,
    EscalationTold,
    EscalationWaived,
    FormAnswered,
    LegalClock,
    RoleAssigned,
    RoutingAdopted,
    SecurityLedSet,
    TagRemoved,
    TagSet,
    Unknown,
    instant,
)
from data.envelope import Event


@dataclass(slots=True)
class Said:
    """Something that a person said: who, when (ns UTC), and why."""

    by: str
    at: int
    reason: str = ""


@dataclass(slots=True)
class Answered:
    """A form as it was answered last."""

    body: FormAnswered
    by: str
    at: int

    @property
    def answers(self) -> dict[str, str]:
        """Question to answer."""
        return {each.question: each.answer for each in self.body.answers}


@dataclass(slots=True)
class Told:
    """Somebody was told: whom in person, how, by whom and when (ns UTC)."""

    body: EscalationTold
    by: str
    at: int


@dataclass(slots=True)
class Handover:
    """A role went from one person to another, with what was handed over."""

    hash: str
    body: RoleAssigned
    by: str
    at: int


@dataclass(slots=True)
class Led:
    """The security lead leads: since when, on whose word, and the legal clocks that run."""

    body: SecurityLedSet
    by: str
    at: int

    @property
    def aware_at(self) -> int:
        """Since when it is known, ns UTC: what legal clocks run from."""
        return instant(self.body.aware) or self.at

    @property
    def clocks(self) -> tuple[LegalClock, ...]:
        """The time limits that were switched on with it."""
        return self.body.clocks


@dataclass(slots=True)
class Triage:
    """The state of an incident's triage. Times are ns UTC."""

    tags: dict[str, dict[str, Said]] = field(default_factory=dict)
    """Axis to its tags."""
    forms: dict[str, Answered] = field(default_factory=dict)
    """Form to how it was answered last."""
    routing: RoutingAdopted | None = None
    told: dict[str, list[Told]] = field(default_factory=dict)
    """Contact, role or legal clock to each time that somebody was told."""
    waived: dict[str, Said] = field(default_factory=dict)
    """Who was to be told and need not be."""
    led: Led | None = None
    """None: the incident commander leads."""
    handovers: list[Handover] = field(default_factory=list)
    severities: list[tuple[int, int]] = field(default_factory=list)
    """Every severity that it had, with the time from which it had it."""
    tripwires: dict[str, int] = field(default_factory=dict)
    """Tripwire to when the first alert of it was linked."""

    @property
    def types(self) -> tuple[str, ...]:
        """The incident's types, as people confirmed them."""
        return tuple(self.tags.get("type", ()))

    def apply(self, event: Event, body: Body | Unknown) -> None:
        """Change the state by one event."""
        match body:
            case TagSet():
                # The first word about a tag is kept: a second console that sets it again adds nothing.
                known = self.tags.setdefault(body.axis, {})
                known.setdefault(body.tag, Said(event.actor, event.at, body.reason))
            case TagRemoved():
                left = self.tags.get(body.axis, {})
                left.pop(body.tag, None)
                if not left:
                    self.tags.pop(body.axis, None)
            case FormAnswered():
                self.forms[body.form] = Answered(body, event.actor, event.at)
            case RoutingAdopted():
                self.routing = body
            case EscalationTold():
                self.told.setdefault(body.who, []).append(Told(body, event.actor, event.at))
                self.waived.pop(body.who, None)
            case EscalationWaived():
                self.waived[body.who] = Said(event.actor, event.at, body.reason)
            case SecurityLedSet(led=True):
                # Legal clocks run from the first word; one that comes later may only add clocks to them.
                self.led = Led(body, event.actor, event.at) if self.led is None else _more(self.led, body)
            case SecurityLedSet():
                self.led = None
            case RoleAssigned() if body.summary or body.previous:
                self.handovers.append(Handover(event.hash, body, event.actor, event.at))


def _more(led: Led, body: SecurityLedSet) -> Led:
    known = {clock.id for clock in led.body.clocks}
    clocks = (*led.body.clocks, *(clock for clock in body.clocks if clock.id not in known))
    first = led.body
    return Led(SecurityLedSet(first.reason, True, first.aware or body.aware, clocks), led.by, led.at)
