"""What goes between the warden, the guards and the console: the bodies of requests and answers (docs/warden.md).

A lease answers one question of one guard, and names its nonce: it cannot be used twice, nor by somebody else, and no
clock has to agree with another. Its time runs from the moment the guard asked, on the guard's own clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events import HaltScope
from console.warden.epochs import Word

Named = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f-\\x9f]{1,128}$")]
"""A name that an agent may have: bounded, and printable as far as that goes; clean it before it is shown."""
Hex = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Maybe = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f-\\x9f]{0,128}$")]
"""A name, or nothing."""

GuardState = Literal[
    "running", "lapsed", "requested", "acked", "verified", "lease_expired", "unreachable", "leaking"
]
"""`running` and `lapsed`: no halt concerns it, and it has a lease, or has let it run out."""
Saw = Literal["verified", "leaking"]


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """A guard asks for a lease, or for the next one.

    Attributes:
        agent: for whom it stands.
        guard: its own random id; one for each process.
        nonce: fresh for every question.
        tools: those for which it asks.
        queues: the same for queues of actions.
        epoch: the highest that it obeys, which acknowledges every halt up to there.
    """

    agent: Named
    guard: Hex
    nonce: Hex
    tools: Annotated[tuple[Named, ...], Meta(max_length=256)] = ()
    queues: Annotated[tuple[Named, ...], Meta(max_length=64)] = ()
    epoch: Number = 0


class Lease(Struct, frozen=True, tag="lease", tag_field="kind"):
    """Leave to act for `valid_ms` from when it was asked for, with these tools and queues and no others."""

    agent: str
    guard: str
    nonce: str
    epoch: int
    valid_ms: int
    tools: tuple[str, ...]
    queues: tuple[str, ...]


class Notice(Struct, frozen=True):
    """A halt or a resume. A resume gives no leave: it is a reason to ask."""

    kind: Literal["halt", "resume"]
    scope: HaltScope
    subject: str
    epoch: int


class Signed(Struct, frozen=True):
    """What travels: the exact text that was signed, and the signature in hex."""

    signed: str
    signature: str


class GuardStanding(Struct, frozen=True, omit_defaults=True):
    """One guard as the warden knows it. Names come from agents: clean them before they are shown.

    Attributes:
        agent: whose guard it is.
        guard: its own id, 32 hex digits; an agent has one for each process.
        state: see `GuardState`; of the newest halt that concerns it: what holds for that one holds for those before.
        scope: of that halt; empty if none does.
        subject: of that halt.
        epoch: of that halt; 0 if none does.
        at: when that halt was ordered, nanoseconds UTC by the warden's clock.
        times: milliseconds since that halt at which each state was first seen.
        lease_ms: what is left of its lease, milliseconds; 0 = none. With a halt: of what was given before it.
        valid_ms: how long its leases are.
        longer: whether that is longer than usual, by the configuration.
        stream: whether it listens for halts.
        obeys: the highest epoch that it says it obeys.
        seen_ms: milliseconds since it last asked or acknowledged anything; -1 = not since the warden started.
    """

    agent: str
    guard: str
    state: GuardState
    scope: str = ""
    subject: str = ""
    epoch: int = 0
    at: int = 0
    times: dict[str, int] = {}
    lease_ms: int = 0
    valid_ms: int = 0
    longer: bool = False
    stream: bool = False
    obeys: int = 0
    seen_ms: int = -1


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """A halt. `order`: 16 hex digits, the same for every attempt."""

    scope: HaltScope
    order: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    subject: Maybe = ""
    reason: Annotated[str, Meta(max_length=2000)] = ""


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    """A halt is taken back. `epoch`: that of the halt that is meant."""

    scope: HaltScope
    epoch: Number
    subject: Maybe = ""
    reason: Annotated[str, Meta(max_length=2000)] = ""


class Settled(Struct, frozen=True):
    """What a halt or a resume came to. `durable`: it survives a restart of the warden."""

    epoch: int
    durable: bool = True
    guards: int = 0


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody who is not the guard saw of an agent that is halted."""

    agent: Named
    state: Saw
    epoch: Number
    guard: Annotated[str, Meta(pattern="^([0-9a-f]{32})?$")] = ""


class Ack(Struct, frozen=True, forbid_unknown_fields=True):
    """A guard says that it obeys an epoch."""

    agent: Named
    guard: Hex
    epoch: Number


class Standing(Struct, frozen=True):
    """What `GET /standing` answers. `trouble`: what is wrong, one sentence each."""

    epoch: int
    halts: list[Word]
    guards: list[GuardStanding]
    trouble: list[str] = []
