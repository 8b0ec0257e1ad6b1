"""The checklist that an incident adopts, and what becomes of its items."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Name, Seconds, Short, Text, kind

CheckState = Literal["open", "done", "not_applicable", "waived"]


class Item(Struct, frozen=True, omit_defaults=True):
    """One checklist item as it stood when the incident adopted it.

    `due`: seconds after `since`; 0 = no clock, but before the incident is closed.
    """

    id: Name
    text: Short
    phase: Name = ""
    due: Seconds = 0
    since: Literal["declared", "harm_confirmed"] = "declared"
    help: Annotated[str, Meta(max_length=1000)] = ""
    role: Name = ""
    evidence: bool = False
    sources: tuple[Name, ...] = ()


@kind("checklist.adopted")
class ChecklistAdopted(Body, frozen=True):
    """The items that hold for this incident, copied so that the record needs no library to be read."""

    profile: Name
    version: Name
    items: Annotated[tuple[Item, ...], Meta(max_length=500)]


@kind("item.set")
class ItemSet(Body, frozen=True):
    """An item is done, not applicable, waived (with a reason), or open again. `evidence`: what shows it."""

    item: Name
    state: CheckState
    reason: Text = ""
    evidence: Short = ""


@kind("item.claimed")
class ItemClaimed(Body, frozen=True):
    """Somebody works on an item; an empty person gives it back."""

    item: Name
    person: Name = ""
