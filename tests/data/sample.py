"""A small vocabulary for tests: notes with text, and corrections of them."""

from collections.abc import Sequence
from typing import Any

from data.canonical import decode, encode
from data.clock import ManualClock
from data.envelope import Entry, Event
from data.line import SYSTEM, Patch, Put

START = 1_795_000_000_000_000_000


def note(text: str, *, at: int | None = None, actor: str = "mira", key: str = "", **more: Any) -> Entry:
    return Entry("note", encode({"text": text, **more}), actor, at=at, key=key)


def correction(target: str, *, key: str = "", **changes: Any) -> Entry:
    return Entry("correction", encode({"target": target, **changes}), "mira", key=key)


FOUNDING = Entry("founded", encode({"title": "refund loop"}), "mira", "IC")


def project(event: Event) -> Sequence[Put | Patch]:
    """Notes become lines, corrections patch them, everything else is bookkeeping."""

    body = decode(event.body or b"{}")
    if event.kind == "note":
        return (
            Put(
                body["text"],
                mark=body.get("mark", "-"),
                level=body.get("level", 0),
                tags=body.get("tags", ""),
            ),
        )
    if event.kind == "correction":
        at = body.get("at")
        return (
            Patch(
                body["target"],
                text=body.get("text"),
                mark=body.get("mark"),
                tags=body.get("tags"),
                at=None if at is None else START + at * 1_000_000,
                set_flags=body.get("set", 0),
                clear_flags=body.get("clear", 0),
            ),
        )
    return (Put(event.kind, mark="*", flags=SYSTEM),)


def clock() -> ManualClock:
    return ManualClock(START)
