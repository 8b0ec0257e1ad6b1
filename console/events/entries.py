"""Lines of the timeline, and what becomes of any event: amended, retracted, disputed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from console.events.body import Body, Digest, Moment, Name, Text, kind

Style = Literal["note", "action", "decision", "hypothesis", "question", "comms"]


@kind("note.written")
class NoteWritten(Body, frozen=True):
    """A line of the scribe. The envelope's `at` is when typing began, or the back-dated time."""

    text: Annotated[str, Meta(min_length=1, max_length=16_384)]
    style: Style = "note"
    tags: tuple[Name, ...] = ()
    mentions: tuple[Name, ...] = ()
    typed: Moment = ""


@kind("update.sent")
class UpdateSent(NoteWritten, frozen=True):
    """A communication that went out; the next update is due from here on. Its style is always comms."""

    style: Style = "comms"


@kind("entry.amended")
class EntryAmended(Body, frozen=True):
    """A new version of a line's text. The original stays one key away.

    `over`: the amendments that its author saw and replaces; none = the line as it was written. Two versions
    of which neither was written over the other are contested, until one is written over both.
    """

    target: Digest
    text: Annotated[str, Meta(min_length=1, max_length=16_384)]
    reason: Text = ""
    over: Annotated[tuple[Digest, ...], Meta(max_length=100)] = ()


@kind("entry.retracted")
class EntryRetracted(Body, frozen=True):
    """The event no longer counts; it stays on the record, struck through. Undo is this."""

    target: Digest
    reason: Text = ""


@kind("entry.reinstated")
class EntryReinstated(Body, frozen=True):
    """A retracted event counts again."""

    target: Digest
    reason: Text = ""


@kind("entry.disputed")
class EntryDisputed(Body, frozen=True):
    """Somebody holds that an event is not so; it goes on counting, with a badge, until that is settled."""

    target: Digest
    reason: Text = ""


@kind("entry.settled")
class EntrySettled(Body, frozen=True):
    """The dispute about an event is over."""

    target: Digest
    reason: Text = ""
