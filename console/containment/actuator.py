"""What an actuator is: one way to tell a system to stop, to see from elsewhere that it did, and to let it go on.

An actuator keeps no state of its own and writes nothing on the record: whoever calls it does. It is given the time
that it has, and returns or raises within it; it is cancelled when the order is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Observed = Literal["stopped", "running", "unknown"]
PATIENCE = 2.0
"""Seconds that one attempt takes at most, unless an actuator needs more."""


class Unreachable(Exception):
    """The system did not answer, or asks to come later: nobody knows what it does. The message says why, in words.

    Attributes:
        after: seconds for which it asks to be left alone; 0 = it asked nothing.
    """

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Declined(Exception):
    """The system answered, and will not do it: wrong credentials, no such target, a rule of its own."""


@dataclass(frozen=True, slots=True)
class Call:
    """One verb on one target.

    Attributes:
        order: 16 hex digits: the same for every attempt, so that a repeat is harmless (idempotency key).
        verb: of `moves.yaml`, such as `halt_agent`.
        target: name of the target within its point.
        agent: the agent that it belongs to; may be empty.
        args: what the verb needs beside, by the names in `moves.yaml`.
        epoch: fencing token; whatever has seen a higher one must ignore this call. 0 = none.
        timeout: seconds for this attempt.
        reason: why, for systems that keep a comment.
    """

    order: str
    verb: str
    target: str
    agent: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0
    timeout: float = 2.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the system said. `effective`: it says that it has stopped already, not merely that it will."""

    effective: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What somebody saw who does not take the system's word. `stopped` needs a reason in `note`."""

    observed: Observed
    note: str = ""


class Actuator(Protocol):
    """One configured way to reach a system. Made once for each point, closed with the console."""

    verbs: frozenset[str]
    """Those that it can carry out as it is configured."""

    def plan(self, call: Call) -> str:
        """Return what would be sent, in a line or a few, secrets masked: the dry run. What would be declined says so."""
        ...

    async def apply(self, call: Call) -> Answer:
        """Carry the verb out; doing so again under the same order changes nothing.

        Raises:
            Unreachable: no answer within `call.timeout` seconds.
            Declined: it answered that it will not.
        """
        ...

    async def probe(self, call: Call) -> Reading:
        """See by another way than the one that was told whether the verb holds: never raises but on cancellation."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def patience(actuator: Actuator) -> float:
    """Return the seconds for one attempt: those that an actuator asks for by an attribute `patience`, else `PATIENCE`."""
    return float(getattr(actuator, "patience", PATIENCE))
