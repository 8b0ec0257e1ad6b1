"""A fleet to stop, an incident to stop it in, and what carries the orders out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from console.config import Config, Point
from console.containment.ordering import Containing
from console.containment.points import Points
from console.desk import Desk
from console.room import Room
from data.home import Home
from tests.cli.conftest import Warroom
from tests.containment.fleet import Fleet, Manner, Wire

Made = Callable[..., Fleet]


@pytest.fixture
def fleet() -> Iterator[Made]:
    fleets: list[Fleet] = []

    def make(*manners: Manner) -> Fleet:
        fleets.append(Fleet(manners))
        return fleets[-1]

    yield make
    for each in fleets:
        each.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = await Desk.open(Home.open(tmp_path / "home"), "ana")
    yield opened
    await opened.close()


@pytest.fixture
async def room(desk: Desk) -> Room:
    return await desk.declare("refunds in a loop", 1)


def points(fleet: Fleet, **more: object) -> Points:
    """One point through which all agents of a fleet are reached."""
    setting = Point("fleet", "wire", targets=tuple(fleet.agents), **more)  # type: ignore[arg-type]
    return Points(Config(points=(setting,)), lambda point, directory: Wire(fleet.port))


Opened = Callable[..., Awaitable[Containing]]


@pytest.fixture
async def containing() -> AsyncIterator[Opened]:
    opened: list[Containing] = []

    async def make(known: Points, **more: object) -> Containing:
        opened.append(Containing(known, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


async def until(fits: Callable[[], bool]) -> None:
    """Wait for something that will come; the suite's own time limit ends what does not."""
    for _ in range(6000):
        if fits():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)
