"""Leaving at any moment, also while the record is being opened: no traceback, and nothing keeps the process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from console.desk import Desk
from screens.warroom import WarRoomApp
from tests.screens.stage import facts, home, watch


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
