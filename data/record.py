"""What the log itself writes on the record: its own kinds of events, beside those that a console brings.

They are ordinary events; only their meaning is known here, because the log acts on it: a checkpoint is a
witness of other strands, a fork starts a new incarnation, an erasure takes a body away, and what was
withheld may be missing where it did not get.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

import msgspec

from data.canonical import encode
from data.envelope import Entry

CHECKPOINT = "record.checkpoint"
FORKED = "record.forked"
ERASED = "record.erased"
WITHHELD = "remote.withheld"
ACTOR = "warroom"
"""Who writes what nobody decided."""

MAX_HEADS = 4000
"""So many heads fit into the body of an event."""
MAX_WITHHELD = 1000
"""Events, and as many blobs, that one entry names as withheld."""
CHECKPOINT_EVENTS = 1000
CHECKPOINT_SECONDS = 60.0

Reason = Literal["count", "time", "push", "handover", "close", "asked"]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Replica = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class Head(msgspec.Struct, frozen=True, order=True):
    """Where a strand (or a branch of it) ends: its last event's number and hash (64 hex digits)."""

    rep: Replica
    inc: Number
    seq: Number
    hash: Digest


class Checkpoint(msgspec.Struct, frozen=True):
    """The heads of every strand that this replica has seen: each console is a witness of all the others."""

    heads: Annotated[tuple[Head, ...], msgspec.Meta(max_length=MAX_HEADS)]
    reason: Reason = "time"


class Forked(msgspec.Struct, frozen=True):
    """This replica's strand was continued by somebody else: a copied identity, or a restored backup.

    Both continuations are kept; this incarnation starts anew. `seq`: where in incarnation `inc`. `theirs`: the
    event that gave it away: the first one that is not ours, or another copy's own `record.forked`.
    """

    inc: Number
    seq: Number
    theirs: Digest
    ours: str = ""
    """Hash of our event with that number; empty when ours had ended before."""
    seen: Literal["write", "apply"] = "apply"


class Erased(msgspec.Struct, frozen=True):
    """The bodies of `targets` are gone, by duty or by right; headers, hashes and chain stay."""

    targets: Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=10_000)]
    reason: Annotated[str, msgspec.Meta(max_length=16_384)]
    authority: Annotated[str, msgspec.Meta(max_length=512)] = ""


class Withheld(msgspec.Struct, frozen=True):
    """A policy kept these from a remote: it has the events without their text, and the blobs not at all.

    `kinds`: what was masked, and in how many of them.
    """

    remote: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    policy: Annotated[str, msgspec.Meta(max_length=128)]
    events: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_WITHHELD)] = ()
    blobs: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_WITHHELD)] = ()
    kinds: Annotated[dict[str, Number], msgspec.Meta(max_length=100)] = {}


def entry(kind: str, body: msgspec.Struct, actor: str = ACTOR, role: str = "") -> Entry:
    """Return one of these bodies as an entry for the log."""
    return Entry(kind=kind, body=encode(msgspec.to_builtins(body)), actor=actor, role=role)


def checkpoint(heads: Iterable[Head], reason: Reason) -> Entry:
    """Return a checkpoint over `heads` as an entry for the log."""
    return entry(CHECKPOINT, Checkpoint(tuple(sorted(heads)), reason))


T = TypeVar("T")
_checkpoint = msgspec.json.Decoder(Checkpoint)
_erased = msgspec.json.Decoder(Erased)
_forked = msgspec.json.Decoder(Forked)
_withheld = msgspec.json.Decoder(Withheld)


def read_checkpoint(body: bytes | None) -> Checkpoint | None:
    """Return what a checkpoint's body says, or None if it cannot be read (it may come from anybody)."""
    return _tolerant(_checkpoint, body)


def read_forked(body: bytes | None) -> Forked | None:
    """Return what a fork's body says, or None if it cannot be read."""
    return _tolerant(_forked, body)


def read_erased(body: bytes | None) -> Erased | None:
    """Return what an erasure's body says, or None if it cannot be read."""
    return _tolerant(_erased, body)


def read_withheld(body: bytes | None) -> Withheld | None:
    """Return what was kept from a remote, or None if it cannot be read."""
    return _tolerant(_withheld, body)


def _tolerant(decoder: msgspec.json.Decoder[T], body: bytes | None) -> T | None:
    try:
        return None if body is None else decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
