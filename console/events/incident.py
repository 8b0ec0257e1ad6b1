"""What an incident is: declared, how bad, who has which role, when what happened, when it was contained."""

from __future__ import annotations

from typing import Literal

from console.events.body import Body, Mode, Moment, Name, Seconds, Severity, Short, Text, Title, kind

MomentName = Literal[
    "action",
    "signal",
    "trigger",
    "page",
    "acknowledgement",
    "harm_confirmed",
    "contained",
    "recovered",
    "resolved",
]
Confidence = Literal["recorded", "claimed", "estimated"]


@kind("incident.declared")
class Declared(Body, frozen=True):
    """Founds an incident's case. `label` is the severity as the profile named it then (X-1).

    Who commands and how often updates go out (seconds, 0 = no clock) are part of it, so that no crash can
    come between the declaration and them.
    """

    title: Title
    severity: Severity
    label: Name
    profile: Name = "merged"
    mode: Mode = "live"
    clock_basis: Literal["action", "consequence"] = "action"
    reason: Text = ""
    commander: Name = ""
    cadence: Seconds = 0


@kind("incident.titled")
class Titled(Body, frozen=True):
    """A better title."""

    title: Title


@kind("incident.closed")
class Closed(Body, frozen=True):
    """The incident is over for the responders; the record stays open for corrections."""

    reason: Text


@kind("incident.reopened")
class Reopened(Body, frozen=True):
    """A closed incident goes on."""

    reason: Text


@kind("severity.set")
class SeveritySet(Body, frozen=True):
    """A confirmed change of severity, with the label shown at the time."""

    severity: Severity
    label: Name
    reason: Text = ""


@kind("impact.stated")
class ImpactStated(Body, frozen=True):
    """Whom it reaches and what they see (S002-TK-4, S002-TK-5); an empty field leaves what was said before."""

    scope: Text = ""
    """Tenants, regions, features."""
    impact: Text = ""
    """What users see, or the share of traffic."""


@kind("role.assigned")
class RoleAssigned(Body, frozen=True):
    """A role in this incident goes to a person.

    Handover is the same event with `previous`, who gives the role up by it, and `summary`, what they handed over.
    """

    role: Name
    person: Name
    reason: Text = ""
    previous: Name = ""
    summary: Text = ""


@kind("role.released")
class RoleReleased(Body, frozen=True):
    """A person gives up a role that nobody else takes."""

    role: Name
    person: Name
    reason: Text = ""


@kind("moment.recorded")
class MomentRecorded(Body, frozen=True):
    """One time of the detection chain or of the response, with how sure we are of it (A.7)."""

    moment: MomentName
    at: Moment
    confidence: Confidence = "claimed"
    source: Short = ""


@kind("containment.confirmed")
class ContainmentConfirmed(Body, frozen=True):
    """The harm is contained, a person says. The envelope's `at` starts the rollback clocks (S003-KS-9)."""

    how: Text


@kind("cadence.set")
class CadenceSet(Body, frozen=True):
    """How often an update goes out; the next one is due that long after the last (S002-CK-2)."""

    every: Seconds
    channel: Short = ""


@kind("update.promised")
class UpdatePromised(Body, frozen=True):
    """The time that somebody was told for the next update; wins over the cadence until an update went out."""

    due: Moment
    channel: Short = ""
