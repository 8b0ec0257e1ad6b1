"""Halts and other containment moves: what was ordered, how far each target got, and what was proven (S003-KS)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from console.events.body import Body, Count, Name, Seconds, Short, Text, kind

OrderId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
HaltScope = Literal["all", "agent", "tool", "queue"]
Reached = Literal[
    "requested",
    "accepted",
    "effective",
    "verified",
    "lease_expired",
    "refused",
    "unreachable",
    "leaking",
]
"""How far a target got. `accepted`: it said so. `effective`: it says that it stopped. `verified`: somebody else saw it.
`lease_expired`: nobody reached it, and its leave to act has run out. `leaking`: it acts although it was stopped."""


class Target(Struct, frozen=True, omit_defaults=True):
    """What is to be stopped, and through which configured point it is reached."""

    id: Name
    point: Name
    agent: Name = ""
    actuator: Name = ""


class Seen(Struct, frozen=True, omit_defaults=True):
    """What became of a target `ms` milliseconds after the order. `target`: its place among those of the order."""

    target: Count
    state: Reached
    ms: Count
    note: Short = ""


@kind("move.ordered")
class MoveOrdered(Body, frozen=True):
    """A halt or another move is carried out from here on. On the disk before anything leaves, where the disk lets it.

    `verb`: of the catalogue. `subject`: the agent, tool, workflow or other thing; empty = all. `epoch`: the fencing
    token under which the warden knows it; 0 = no warden took part. `lifts`: the order that this one takes back.
    `advice`: what the decision aid said of the scope (X-7). `budget`: seconds after which the verdict is due.
    """

    order: OrderId
    verb: Name
    scope: HaltScope | Literal[""] = ""
    subject: Short = ""
    args: dict[Name, Short] = field(default_factory=dict)
    reason: Text = ""
    advice: Short = ""
    targets: Annotated[tuple[Target, ...], Meta(max_length=2000)] = ()
    epoch: Count = 0
    budget: Seconds = 30
    lifts: OrderId | Literal[""] = ""
    dry: bool = False


@kind("move.extended")
class MoveExtended(Body, frozen=True):
    """Further targets of an order: beyond the first 2,000, or found while it ran. `epoch`: once the warden gave it."""

    order: OrderId
    targets: Annotated[tuple[Target, ...], Meta(max_length=2000)] = ()
    epoch: Count = 0


@kind("move.seen")
class MoveSeen(Body, frozen=True):
    """How far targets got."""

    order: OrderId
    seen: Annotated[tuple[Seen, ...], Meta(max_length=2000)]


@kind("move.judged")
class MoveJudged(Body, frozen=True):
    """The verdict when the budget was over, whatever was still open: pass or fail, nothing between (S003-KS-1).

    `held`: targets that were verified or whose lease had run out. `open`: names of others, the first hundred.
    """

    order: OrderId
    verdict: Literal["pass", "fail"]
    ms: Count
    targets: Count
    held: Count
    open: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()


@kind("move.answered")
class MoveAnswered(Body, frozen=True):
    """A person dealt with a target that the console could not hold: how, and what shows it."""

    order: OrderId
    target: Name
    how: Text
    evidence: Short = ""
