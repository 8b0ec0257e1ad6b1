"""The roster: whose events count in a case.

The founder's key is on it from the founding event on. Whoever is on it may add, remove, revoke. An event of a
key that is not on it is kept, verified, synced and shown as such; it changes nothing until the key is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from console.events import (
    Body,
    Declared,
    ReadinessFounded,
    RosterAdded,
    RosterRemoved,
    RosterRevoked,
    RosterRotated,
    Unknown,
    WatchFounded,
    instant,
)
from data.envelope import Event, case_id

ROSTER = (RosterAdded, RosterRemoved, RosterRevoked, RosterRotated)
FOUNDING = (Declared, WatchFounded, ReadinessFounded)
DECIDING = (*FOUNDING, *ROSTER)
"""What decides whose events count."""


def founds(event: Event) -> bool:
    """Whether `event` is the one that its case is named after: nobody can make a second one of which that is true.

    That it is the first of a strand says nothing: so is the first event of whoever joins, or breaks in.
    """
    return event.seq == 1 and not event.prev and case_id(bytes.fromhex(event.hash)) == event.case


@dataclass(slots=True)
class Member:
    """A console on the roster. `how`: `founder`, or as the event says; `at`: ns UTC.

    `left`: the place in the total order from which its events count no more; `revoked`: the time (ns UTC). Both
    go by what the console's own clock wrote, and whoever has its key can write any time: only a revocation from 0
    on holds against a thief who dates back.
    """

    person: str
    how: str
    by: str
    at: int
    left: tuple[str, str, int, int, str] | None = None
    revoked: int | None = None


@dataclass(slots=True)
class Roster:
    """Replica id to member."""

    members: dict[str, Member] = field(default_factory=dict)

    def counts(self, event: Event) -> bool:
        """Whether `event` counts: its key is on the roster and was neither removed nor revoked by then."""
        member = self.members.get(event.rep)
        if member is None:
            return False
        if member.left is not None and event.order > member.left:
            return False
        return member.revoked is None or event.wall < member.revoked

    def add(self, event: Event, body: Body | Unknown) -> None:
        """Take in one event; only those that found a case or concern the roster do anything."""
        if isinstance(body, FOUNDING) and founds(event):
            self.members[event.rep] = Member(event.actor, "founder", event.actor, event.at)
            return
        if not isinstance(body, ROSTER) or not self.counts(event):
            return
        match body:
            case RosterAdded():
                known = self.members.get(body.replica)
                # Adding again takes a removal back, never a revocation: a key that was copied stays copied.
                revoked = known.revoked if known else None
                person = body.person or (known.person if known else "")
                self.members[body.replica] = Member(person, body.how, event.actor, event.at, None, revoked)
            case RosterRemoved():
                if (member := self.members.get(body.replica)) is not None:
                    member.left = event.order
            case RosterRevoked():
                member = self.members.get(body.replica)
                since = instant(body.since)
                if member is not None and since is not None:
                    member.revoked = since if member.revoked is None else min(since, member.revoked)
            case RosterRotated():
                old = self.members[event.rep]
                self.members.setdefault(body.replica, Member(old.person, "rotated", event.actor, event.at))
                old.left = event.order


def roster(events: Iterable[tuple[Event, Body | Unknown]]) -> Roster:
    """Return the roster that events, in their total order, add up to."""
    made = Roster()
    for event, body in events:
        made.add(event, body)
    return made
