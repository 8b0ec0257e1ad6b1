"""How every screen looks at three sizes, on a record in which nothing is left to chance."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from data.home import Home
from screens.room import RoomScreen
from screens.widgets.timeline import Timeline
from tests.screens.stage import app, home, incident, ready, until

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
}


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with an incident under way whose ids are the same in every run."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "home.json").write_text(f'{{"v":1,"mode":"live","replica":"{"0" * 32}"}}')
    opened = home(tmp_path)
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
        if view not in ("room", "typing"):
            await until(pilot, lambda: console.screen is not before)
        if view == "home":
            await until(pilot, lambda: console.screen.query_one("#incidents").count == 1)  # type: ignore[attr-defined]
        elif view == "typing":
            assert isinstance(before, RoomScreen)
            await until(pilot, lambda: before.typed == "!hold @ben")
        await pilot.pause()

    assert snap_compare(app(fixed), terminal_size=size, run_before=arrange)
