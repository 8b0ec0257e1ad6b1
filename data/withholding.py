"""What a copy does not get: a bundle, or a remote that is masked, holds less than the record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from data.envelope import Ref, Sealed

if TYPE_CHECKING:
    from data.segment import Parcel  # its checks are a lot to load for whoever only draws


class Rendering(NamedTuple):
    """What a copy shows instead of something that is kept back.

    Attributes:
        shown: The masked text, or the masked body as canonical JSON.
        withheld: Which field, and what kind of thing was masked there.
    """

    shown: bytes
    withheld: Sequence[tuple[str, str]]


class Mask(Protocol):
    """Decides what a copy keeps back. `name`: for people; `id`: another policy has another one."""

    name: str
    id: str

    def event(self, event: Sealed) -> Rendering | None:
        """What to show of an event instead of its body; None if it may go as it is."""
        ...

    def blob(self, ref: Ref, data: bytes) -> Rendering | None:
        """What to show of a blob instead of its bytes; None if it may go as it is."""
        ...


class Policy(Mask, Protocol):
    """A mask that can spare others the wait for it."""

    def apart(self) -> AbstractContextManager[Mask]:
        """The same mask, which looks into big blobs without keeping the interpreter from other threads."""
        ...


def withhold(parcel: Parcel, mask: Mask | None) -> tuple[Parcel, dict[str, Rendering]]:
    """Take the bodies that are kept back out of a parcel: such an event travels as an erased one does.

    Returns:
        The parcel, and what to show instead, by hash of the event.
    """
    renderings: dict[str, Rendering] = {}
    if mask is None:
        return parcel, renderings
    events: list[Sealed] = []
    for event in parcel.events:
        rendering = mask.event(event) if event.salt else None
        if rendering is not None:
            renderings[event.hash.hex()] = rendering
            event = msgspec.structs.replace(event, salt=b"", body=b"")
        events.append(event)
    return replace(parcel, events=events), renderings
