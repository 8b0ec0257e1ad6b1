"""The review queue: actions that were held in a quarantine, and what people decided about each (S003-KS-8, X-8)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Moment, Name, Short, Text, kind

HeldWord = Literal["release", "drop", "hold"]
"""What is decided: it is carried out once, it never is, or it goes on waiting."""
HELD_AT_ONCE = 200
"""Actions in one event."""


class HeldAction(Struct, frozen=True, omit_defaults=True):
    """An action that waits. `what`: what it would do, as its queue says; `since`: since when it waits, if that is known."""

    id: Name
    what: Short = ""
    agent: Name = ""
    tool: Name = ""
    since: Moment = ""


class HeldResult(Struct, frozen=True, omit_defaults=True):
    """What became of a decision about one action. `unknown`: the answer got lost, and it may have happened."""

    id: Name
    outcome: Literal["done", "refused", "unknown"]
    note: Short = ""


@kind("quarantine.listed")
class QuarantineListed(Body, frozen=True):
    """Actions that the queue of a point was seen to hold, and others that it holds no more. Only what is new."""

    point: Name
    queue: Name
    actions: Annotated[tuple[HeldAction, ...], Meta(max_length=HELD_AT_ONCE)] = ()
    gone: Annotated[tuple[Name, ...], Meta(max_length=HELD_AT_ONCE)] = ()


@kind("quarantine.decided")
class QuarantineDecided(Body, frozen=True):
    """Somebody decided about held actions. On the record before anything is sent."""

    point: Name
    queue: Name
    word: HeldWord
    actions: Annotated[tuple[Name, ...], Meta(max_length=HELD_AT_ONCE)]
    reason: Text = ""


@kind("quarantine.carried_out")
class QuarantineCarriedOut(Body, frozen=True):
    """What became of a decision, action by action."""

    point: Name
    queue: Name
    word: HeldWord
    results: Annotated[tuple[HeldResult, ...], Meta(max_length=HELD_AT_ONCE)]
    ms: Count = 0
