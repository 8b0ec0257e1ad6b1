"""What a timeline is made of, and what a projection may ask for."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from data.envelope import Event

SYSTEM = 1
"""Bit of `flags`: the line is bookkeeping of the program, which a filter can leave out."""


class Line(NamedTuple):
    """One line of the timeline.

    Attributes:
        id: Arrival number of its event.
        at: When it happened, nanoseconds UTC.
        hash: Hash of its event, 64 hex digits.
        kind: Kind of its event.
        actor: Who.
        mark: The sign in front of it.
        level: How loud it is.
        flags: Bits; `SYSTEM` is one, the others belong to the projection.
        text: What it says, as it was written: not yet safe for a terminal.
        tags: Words separated by one space.
        rep: The replica that wrote its event, 32 hex digits.
        hlc: The hybrid clock of its event, 16 hex digits.
        editor: Who put the text there that it has now, as people know them; empty if that is who wrote the line.
    """

    id: int
    at: int
    hash: str
    kind: str
    actor: str
    mark: str
    level: int
    flags: int
    text: str
    tags: str
    rep: str
    hlc: str
    editor: str = ""


class Put(msgspec.Struct, frozen=True):
    """A line for the event at hand; an event has at most one."""

    text: str
    mark: str = ""
    level: int = 0
    flags: int = 0
    tags: str = ""


class Patch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of another event's line. None leaves a part as it is.

    Patches of one line take effect in the total order of their events, whenever they arrive.

    Args:
        target: Hash of the other event, 64 hex digits.
        text: New text.
        mark: New sign.
        level: New loudness.
        tags: New tags.
        at: New time, nanoseconds UTC; the line moves there.
        set_flags: Bits to set.
        clear_flags: Bits to clear, before those to set.
        unless: It takes no effect while patches of its own event's line, of those without such a condition,
            leave one of these bits set: a correction that was itself taken back corrects nothing.
        author: Actor and replica that the new text is by; None leaves that as it is.
    """

    target: str
    text: str | None = None
    mark: str | None = None
    level: int | None = None
    tags: str | None = None
    at: int | None = None
    set_flags: int = 0
    clear_flags: int = 0
    unless: int = 0
    author: tuple[str, str] | None = None


def editor(author: tuple[str, str], writer: tuple[str, str]) -> str:
    """Who corrected a line (actor, replica) of somebody (actor, replica), as people know them; empty = the same one."""
    if author == writer:
        return ""
    # Anybody can give any name: where only the console differs, it is the console that tells them apart.
    return author[0] if author[0] != writer[0] else f"{author[0]} ({author[1][:8]})"


Projector = Callable[[Event], Sequence[Put | Patch]]
"""Pure. An attribute `version` (int) may say which projection this is; another one rebuilds the view. An
attribute `trust` (`Trust`) may say whose patches take effect; without it everybody's do."""

Counts = Callable[[Event], bool]


class Trust(NamedTuple):
    """Whose patches take effect. Lines are shown whoever wrote them.

    Attributes:
        kinds: Kinds of the events that decide it.
        judge: Given all of those events, in their total order, returns what says whether an event counts. Pure.
    """

    kinds: frozenset[str]
    judge: Callable[[Sequence[Event]], Counts]


class Filter(msgspec.Struct, frozen=True):
    """Which lines of a timeline to show.

    Args:
        text: Words that must all occur, the last one perhaps unfinished.
        marks: The sign must be one of these; empty allows all.
        actor: Exactly this actor.
        tag: One of the line's tags.
        inverse: Show what the parts above do not match (if there are any).
        system: Whether to show lines with the `SYSTEM` flag.
    """

    text: str = ""
    marks: frozenset[str] = frozenset()
    actor: str = ""
    tag: str = ""
    inverse: bool = False
    system: bool = True


ALL = Filter()
