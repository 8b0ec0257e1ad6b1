"""Triage: what kind of incident it is, who must be told, who leads."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from console.events.body import Body, Moment, Name, Seconds, Severity, Short, Text, kind


class Answer(Struct, frozen=True):
    """The answer to one question of a form; `unknown` answers every question."""

    question: Name
    answer: Annotated[str, Meta(max_length=2000)]


@kind("form.answered")
class FormAnswered(Body, frozen=True):
    """The answers to a form, what its rules propose and why (`because`), and what a person decided.

    `decided` is empty while nobody has; `reason` is needed where it is not what was proposed.
    """

    form: Name
    answers: Annotated[tuple[Answer, ...], Meta(max_length=100)]
    proposal: Short = ""
    rule: Name = ""
    because: Short = ""
    also: Annotated[tuple[Name, ...], Meta(max_length=20)] = ()
    decided: Short = ""
    reason: Text = ""
    version: Name = ""


@kind("tag.set")
class TagSet(Body, frozen=True):
    """The incident has a tag on an axis; it may have several on each, and none follows from another (X-24)."""

    axis: Name
    tag: Name
    reason: Text = ""


@kind("tag.removed")
class TagRemoved(Body, frozen=True):
    """The incident has a tag no longer."""

    axis: Name
    tag: Name
    reason: Text = ""


class Contact(Struct, frozen=True):
    """Somebody outside the incident's roles who may have to be told."""

    id: Name
    title: Short


class Route(Struct, frozen=True, omit_defaults=True):
    """Who must be told, and why. All conditions that are given must hold; an empty one always holds."""

    id: Name
    tell: Annotated[tuple[Name, ...], Meta(max_length=50)]
    reason: Short
    types: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    severities: Annotated[tuple[Severity, ...], Meta(max_length=5)] = ()
    tripwires: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    security: bool | None = None
    page: bool = True


@kind("routing.adopted")
class RoutingAdopted(Body, frozen=True):
    """The routing table that holds for this incident, copied like the checklist."""

    version: Name
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=200)]
    routes: Annotated[tuple[Route, ...], Meta(max_length=500)]


@kind("escalation.told")
class EscalationTold(Body, frozen=True):
    """A contact, a role or an authority was told: `who` as the routing table or a legal clock names it."""

    who: Name
    how: Short
    person: Name = ""
    reason: Text = ""


@kind("escalation.waived")
class EscalationWaived(Body, frozen=True):
    """Somebody who was to be told need not be."""

    who: Name
    reason: Text


class LegalClock(Struct, frozen=True, omit_defaults=True):
    """A legal time limit that somebody switched on; `seconds` or `business_days`, neither: without delay."""

    id: Name
    regime: Short
    article: Short
    starts: Short
    tell: Short
    seconds: Seconds = 0
    business_days: Annotated[int, Meta(ge=0, le=90)] = 0


@kind("security_led.set")
class SecurityLedSet(Body, frozen=True):
    """The security lead leads from here on, or no longer (S000-CL-4, X-29). `aware`: since when it is known."""

    reason: Text
    led: bool = True
    aware: Moment = ""
    clocks: Annotated[tuple[LegalClock, ...], Meta(max_length=50)] = ()
