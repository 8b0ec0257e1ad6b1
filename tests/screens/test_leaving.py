"""Leaving at any moment, also while the record is being opened: no traceback, and nothing keeps the process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from textual.events import DescendantFocus, Resize
from textual.geometry import Size

from console.desk import Desk
from console.room import Room
from screens.console_screen import ConsoleScreen
from screens.evidence import EvidenceScreen
from screens.home import HomeScreen
from screens.messages import MessagesScreen
from screens.room import RoomScreen
from screens.warroom import WarRoomApp
from screens.widgets.rows import Rows
from screens.widgets.timeline import Timeline
from screens.widgets.writer import Writer
from tests.screens.stage import facts, home, staged, watch
from tests.screens.test_room import Opened, Stage


@pytest.mark.parametrize("turns", [3, 9, 12, 15, 18, 21, 24, 27, 30, 45, 60])
async def test_whoever_leaves_while_the_record_is_opened_leaves(tmp_path: Path, turns: int) -> None:
    """`turns`: of the event loop until it is left; together they hit the opening at every stage."""
    home_ = home(tmp_path)
    watch(home_, facts(1))
    before = set(threading.enumerate())

    async def open_desk() -> Desk:
        return await Desk.open(home_, "ana")

    async def leave() -> None:
        while not console.is_running:  # noqa: ASYNC110 - turns of the loop are what is counted here
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        console.exit()

    console = WarRoomApp(open_desk, expect_room=False)
    leaving = asyncio.ensure_future(leave())
    await console.run_async(headless=True, size=(100, 30))
    await leaving
    assert console.return_code == 0
    assert console.desk is None
    readers = [
        each for each in threading.enumerate() if "connection_worker" in each.name and each not in before
    ]
    for reader in readers:
        reader.join(10)  # it may still be on its way out
    assert not any(each.is_alive() for each in readers), "a thread that reads keeps the process from ending"


@pytest.mark.parametrize("kind", [EvidenceScreen, HomeScreen, MessagesScreen, RoomScreen])
async def test_a_screen_that_has_lost_widgets_on_its_way_out_ends_nothing(
    tmp_path: Path, kind: type[ConsoleScreen]
) -> None:
    """It still gets the messages that were under way: where the focus went, what its size is, what was selected."""
    async with Opened(tmp_path) as stage:
        screen = kind()
        stage.console.push_screen(screen)
        await stage.until(lambda: stage.console.screen is screen and bool(screen.query(Rows)))
        rows = screen.query(Rows).first()
        await screen.query_children().exclude(".-textual-system").remove()
        screen.post_message(DescendantFocus(rows))
        screen.post_message(Rows.Moved(rows))
        screen.post_message(Resize(Size(100, 30), Size(100, 30)))
        screen.say("nobody reads this")
        await stage.pilot.pause()
        stage.console.pop_screen()
        await stage.press("i")
        await stage.until(lambda: stage.console.screen.query_one(Writer).box.has_focus)


async def test_a_key_pressed_while_the_incident_is_entered_leads_nowhere_that_is_taken_away_again(
    tmp_path: Path,
) -> None:
    home_, entered, go = staged(tmp_path), asyncio.Event(), asyncio.Event()

    async def open_desk() -> Desk:
        desk = await Desk.open(home_, "ana")
        enter = desk.enter

        async def slow(name: str = "") -> Room:
            room = await enter(name)
            entered.set()
            await go.wait()
            return room

        monkeypatch.setattr(desk, "enter", slow)
        return desk

    console = WarRoomApp(open_desk)
    with pytest.MonkeyPatch.context() as monkeypatch:
        async with console.run_test(size=(120, 40)) as pilot:
            stage = Stage(pilot, console)
            await entered.wait()
            await stage.press("5")
            await stage.until_said("The record is being opened")
            go.set()
            await stage.until(lambda: stage.console.desk is not None)
            await stage.press("5")
            await stage.until(lambda: isinstance(console.screen, EvidenceScreen))
            await stage.until(lambda: console.screen_stack[-2].query_one(Timeline).count > 0)
            assert isinstance(console.screen, EvidenceScreen)
