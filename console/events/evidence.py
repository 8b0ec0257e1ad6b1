"""What is preserved, held, looked at and handed out."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Digest, Moment, Name, Short, Text, Whole, kind


class Known(Struct, frozen=True, omit_defaults=True):
    """One name under which something is known: `trace_id` and its value, as the evidence schema has them."""

    name: Name
    value: Short


@kind("evidence.requested")
class EvidenceRequested(Body, frozen=True):
    """What is to be preserved, by its ids. Stands on the record before the work begins, so none is lost."""

    ids: Annotated[tuple[Known, ...], Meta(max_length=200)]
    reason: Text = ""


@kind("evidence.captured")
class EvidenceCaptured(Body, frozen=True):
    """Material that is kept from now on: the envelope's refs are its blobs.

    Custody stands here: from where, with what, between which moments, and why; who and when are on the
    envelope. `missing`: fields of the evidence schema that nothing had; each is an observability finding.
    """

    what: Literal["telemetry", "file", "paste", "command", "import"]
    title: Short
    request: Digest | Literal[""] = ""
    ids: Annotated[tuple[Known, ...], Meta(max_length=200)] = ()
    fields: Annotated[tuple[Known, ...], Meta(max_length=200)] = ()
    missing: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    count: Count = 0
    since: Moment = ""
    until: Moment = ""
    source: Short = ""
    tool: Short = ""
    command: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    exit: Whole | None = None
    reason: Text = ""


@kind("evidence.failed")
class EvidenceFailed(Body, frozen=True):
    """A request that found nothing, or could not be carried out; it stays open to another try."""

    request: Digest
    reason: Text


@kind("evidence.unchanged")
class EvidenceUnchanged(Body, frozen=True):
    """A request that found just what an exhibit keeps already: it was looked again, and nothing is added."""

    request: Digest
    exhibit: Digest


@kind("observability.found")
class ObservabilityFound(Body, frozen=True):
    """Something that should have been recorded and was not; work for afterwards, with an owner (S001-RV-6)."""

    what: Text
    field: Name = ""
    owner: Name = ""


@kind("hold.set")
class HoldSet(Body, frozen=True):
    """Legal hold: while it stands nothing of `scope` may be erased, here or on any console that knows of it."""

    scope: Literal["case", "event", "subject"]
    reason: Text
    target: Short = ""
    authority: Short = ""


@kind("hold.lifted")
class HoldLifted(Body, frozen=True):
    """A hold is over. `hold`: the event that set it."""

    hold: Digest
    reason: Text = ""


@kind("evidence.unmasked")
class Unmasked(Body, frozen=True):
    """Somebody looked at what the policy masks."""

    target: Digest
    reason: Text


@kind("evidence.exported")
class Exported(Body, frozen=True):
    """A copy left: what it was, under which policy, how much was withheld, and for whom."""

    what: Literal["bundle", "report", "events", "timesketch", "iris", "exhibit"]
    digest: Digest
    size: Count
    policy: Name = ""
    withheld: Count = 0
    recipients: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    reason: Text = ""
