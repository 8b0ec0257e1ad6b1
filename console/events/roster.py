"""Who may write. The founder's key is on the roster from the founding event on."""

from __future__ import annotations

from typing import Literal

from console.events.body import Body, Moment, Name, Replica, Text, kind


@kind("roster.asked")
class RosterAsked(Body, frozen=True):
    """A console that is not on the roster begins to write, and says whose it is. Nobody needs to believe it."""

    person: Name


@kind("roster.added")
class RosterAdded(Body, frozen=True):
    """The events of a replica count from now on, the earlier ones too.

    `how`: trusted on first sight, words compared by two people, or named by a signed list of the team.
    """

    replica: Replica
    person: Name = ""
    how: Literal["first-use", "compared", "list"] = "compared"


@kind("roster.removed")
class RosterRemoved(Body, frozen=True):
    """A replica leaves; what it wrote before goes on counting, what it writes after does not."""

    replica: Replica
    reason: Text = ""


@kind("roster.revoked")
class RosterRevoked(Body, frozen=True):
    """A key is not its owner's alone: nothing counts that was written with it from `since` on."""

    replica: Replica
    since: Moment
    reason: Text = ""


@kind("roster.rotated")
class RosterRotated(Body, frozen=True):
    """The replica that writes this goes on under a new key; the old one leaves the roster."""

    replica: Replica
    reason: Text = ""
