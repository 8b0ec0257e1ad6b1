"""The record itself: what was verified, what remotes do, and what the log writes about itself (data/record.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from console.events.body import Body, Count, Name, Short, Whole, kind
from data import record


@kind("record.verified")
class RecordVerified(Body, frozen=True):
    """The record was checked byte by byte."""

    events: Count
    damage: Count = 0
    missing: Count = 0


@kind("remote.probed")
class RemoteProbed(Body, frozen=True):
    """What a remote was found to do. Decides what the screen may claim, never whether the record is right."""

    remote: Name
    url: Short
    create: Literal["atomic", "sequential", "none"]
    reads_back: bool
    lists: bool
    skew_ms: Whole | None = None
    durable: Short = ""
    locked: Short = ""
    warnings: Annotated[tuple[Short, ...], Meta(max_length=20)] = ()


@kind("remote.alarmed")
class RemoteAlarmed(Body, frozen=True):
    """A remote gave back something else than what its name says. `kept`: its bytes are in quarantine here."""

    remote: Name
    name: Short
    reason: Short
    kept: bool = False


@kind(record.CHECKPOINT)
class Checkpointed(Body, record.Checkpoint, frozen=True):
    """A checkpoint: where every strand ended that this console had seen."""


@kind(record.FORKED)
class Forked(Body, record.Forked, frozen=True):
    """Somebody else wrote in this console's name; it goes on in a new incarnation."""


@kind(record.ERASED)
class Erased(Body, record.Erased, frozen=True):
    """Bodies that are gone for good, by duty or by right."""


@kind(record.WITHHELD)
class RemoteWithheld(Body, record.Withheld, frozen=True):
    """What a policy keeps from a remote: the text of events, and whole files."""
