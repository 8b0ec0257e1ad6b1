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

from data.clock import ManualClock
from data.home import Home
from data.identity import Identity, keep
from screens.dialogs.search import Hits
from screens.room import RoomScreen
from screens.widgets.timeline import Timeline
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
    "home": ("0",),
    "severity": ("S",),
    "roles": ("R",),
    "item": ("3", "enter"),
    "amend": ("f4",),
    "retract": ("2", "t"),
    "find": ("f5", *"hold"),
    "palette": ("ctrl+p",),
    "drill": (),
}


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
        elif view == "typing":
            assert isinstance(before, RoomScreen)
            await until(pilot, lambda: before.typed == "!hold @ben")
        await pilot.pause()

    assert snap_compare(app(fixed), terminal_size=size, run_before=arrange)
