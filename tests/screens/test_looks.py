"""How every screen looks at three sizes, on a record in which nothing is left to chance."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Input

from console.desk import Desk
from console.events import (
    EntryAmended,
    EvidenceCaptured,
    EvidenceRequested,
    Forked,
    HoldSet,
    ItemSet,
    Known,
    ObservabilityFound,
    RemoteAlarmed,
    RosterAsked,
    entry,
)
from data.blobs import Blobs
from data.clock import ManualClock
from data.home import Home
from data.identity import Identity, keep
from screens.dialogs.form import Form
from screens.dialogs.page import Page
from screens.dialogs.search import Hits
from screens.room import RoomScreen
from screens.widgets.timeline import Timeline
from tests.screens.consoles import Console, carry
from tests.screens.stage import NOW, app, incident, ready, until

SIZES = ((80, 24), (120, 40), (200, 50))
VIEWS: dict[str, tuple[str, ...]] = {
    "room": (),
    "typing": ("i", *"!hold", "space", *"@ben"),
    "alert": ("enter",),
    "entry": ("2", "enter"),
    "class": ("4", "enter"),
    "declare": ("D",),
    "rollback": ("4", "r"),
    "help": ("question_mark",),
    "home": ("less_than_sign",),
    "severity": ("S",),
    "roles": ("R",),
    "item": ("3", "enter"),
    "amend": ("f4",),
    "retract": ("2", "t"),
    "find": ("f5", *"hold"),
    "palette": ("ctrl+p",),
    "drill": (),
    "evidence": ("5",),
    "exhibit": ("5", "right", "down", "enter"),
    "console": ("5", *["right"] * 4, "enter"),
    "compare": ("5", *["right"] * 4, "M"),
    "attach": ("F",),
    "contested": ("2", "k", "k", "enter"),
}
EVIDENCE = ("evidence", "exhibit", "console", "compare", "contested")
"""Views of a record on which there is more to see."""


async def evidence(opened: Home, path: Path) -> None:
    """Put on the record what the evidence screen shows."""
    desk = await Desk.open(opened, "ana")
    try:
        room = await desk.enter()
        put = Blobs(room.case.directory).put
        refs = tuple(put(text, "application/x-ndjson") for text in (b'{"tool":"pay.refund"}\n' * 90, b"{}\n"))
        captured = EvidenceCaptured(
            "telemetry", "planner-3, 90 actions", count=90, missing=("approval_id",),
            since="2026-11-21T13:50:00Z", until="2026-11-21T14:01:00Z",
            source="a window", tool="warroom", reason="automatic",
        )  # fmt: skip
        ids = (Known("session_id", "s-771"),)
        await room.append(entry(captured, "warroom", refs=refs))
        await room.record(
            EvidenceRequested(ids, "the other half"),
            ObservabilityFound("which approval let the refunds through (approval_id)", "approval_id"),
            HoldSet("case", "counsel asks", authority="letter of 2026-11-21"),
            RemoteAlarmed("usb", "7qf2/x.seg", "what came back is not what was put"),
            Forked(1, 14, "0" * 64),
        )
        keep(path, Identity(Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))))
        with Console(path.parent, room.case, home=path) as ben:
            ben.write(RosterAsked("ben"), ItemSet("nothing", "done"))
            carry(ben.case, room.case)
        note = await room.note("12 refunds went out")
        await room.record(EntryAmended(note.hash, "13 refunds went out: one was booked at noon", "recounted"))
        await room.record(EntryAmended(note.hash, "14 refunds went out", "finance counted"))
    finally:
        await desk.close()


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str) -> Home:
    """A home with an incident under way whose ids are the same in every run."""
    mode: Literal["live", "drill"] = "drill" if view == "drill" else "live"
    (tmp_path / "home").mkdir()
    keep(tmp_path / "home", Identity(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    opened = Home.open(tmp_path / "home", mode, ManualClock(NOW))
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", bytes)
        asyncio.run(incident(opened))
        if view in EVIDENCE:
            (tmp_path / "ben").mkdir()
            asyncio.run(evidence(opened, tmp_path / "ben"))
    return opened


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", VIEWS)
def test_looks(fixed: Home, snap_compare: Callable[..., bool], view: str, size: tuple[int, int]) -> None:
    async def arrange(pilot: Pilot[Any]) -> None:
        console = await ready(pilot)
        await until(pilot, lambda: console.screen.query_one(Timeline).selected is not None)
        before = console.screen
        await pilot.press(*VIEWS[view])
        if view not in ("room", "typing", "drill"):
            await until(pilot, lambda: console.screen is not before)
        if view == "home":
            await until(pilot, lambda: console.screen.query_one("#incidents").count == 1)  # type: ignore[attr-defined]
        elif view == "find":
            await until(pilot, lambda: bool(console.screen.query_one(Hits).all_rows))
        elif view == "palette":
            await until(pilot, lambda: bool(console.screen.query_one(CommandList).option_count))
            console.screen.query_one(Input).cursor_blink = False  # how long this took is not to be seen
        elif view in ("exhibit", "console", "compare"):
            await until(pilot, lambda: isinstance(console.screen, Page | Form))
        elif view == "typing":
            assert isinstance(before, RoomScreen)
            await until(pilot, lambda: before.typed == "!hold @ben")
        await pilot.pause()

    assert snap_compare(app(fixed), terminal_size=size, run_before=arrange)
