"""Orders that a warden has a part in: its guards are targets, and what nobody reaches is held by its lease."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from console.config import Config, Point
from console.containment.points import Points
from console.room import Room
from tests.containment.conftest import Made, Opened, until
from tests.containment.fleet import Wire
from tests.warden.conftest import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    place = tmp_path / "warding"
    place.mkdir()
    started = Daemon(place).start()
    yield started
    started.stop()


async def lease(daemon: Daemon, agent: str) -> int:
    """Ask for a lease as a guard does; returns the status."""
    body = {"agent": agent, "guard": secrets.token_hex(16), "nonce": secrets.token_hex(16)}
    async with aiohttp.ClientSession() as session, session.post(f"{daemon.url}/lease", json=body) as answer:
        return answer.status


@pytest.mark.req("S003-KS-1")
async def test_whom_nobody_reaches_is_held_by_its_lease_and_let_go_with_the_others(
    fleet: Made, room: Room, containing: Opened, daemon: Daemon
) -> None:
    agents = fleet("good", "hangs")
    setting = Point("fleet", "wire", targets=("a0", "a1"))
    known = Points(Config(points=(setting,)), lambda point, directory: Wire(agents.port))
    carries = await containing(known, warden=daemon.client)
    for name in ("a0", "a1", "deaf"):
        assert await lease(daemon, name) == 200
    name = await carries.order(room, "halt_all", scope="all", reason="refunds in a loop")
    await carries.finished(name)
    order = room.incident.moves.orders[name]
    assert order.judged is not None
    assert order.judged.verdict == "pass", order.targets
    states = {
        each.target.agent if each.target.point == "warden" else each.target.id: each.state
        for each in order.targets
    }
    assert states["fleet/a0"] == "verified"
    assert states["fleet/a1"] == "lease_expired"
    assert states["deaf"] == "lease_expired"
    assert order.epoch > 0
    assert {verb for verb, _ in agents.agents["a0"].asked} == {"halt_agent"}

    back = await carries.restore(room, name, reason="the loop is fixed")
    agents.agents["a1"].manner = "good"
    client = daemon.client()
    for _ in range(200):
        if not (await client.report()).halts:
            break
        await asyncio.sleep(0.02)
    assert (await client.report()).halts == []
    await client.close()
    await until(lambda: agents.agents["a0"].running)
    await carries.close()
    assert back in room.incident.moves.orders


async def test_a_warden_that_is_gone_is_named_and_keeps_nobody_from_stopping(
    fleet: Made, room: Room, containing: Opened, daemon: Daemon
) -> None:
    agents = fleet("good")
    setting = Point("fleet", "wire", targets=("a0",))
    known = Points(Config(points=(setting,)), lambda point, directory: Wire(agents.port))
    carries = await containing(known, warden=daemon.client)
    daemon.kill()
    name = await carries.order(room, "halt_all", scope="all", reason="refunds in a loop", budget=3)
    await carries.finished(name)
    order = room.incident.moves.orders[name]
    assert order.judged is not None
    assert (order.judged.verdict, order.judged.open) == ("fail", ("warden",))
    assert not agents.agents["a0"].running
    daemon.start()
    await until(lambda: room.incident.moves.orders[name].held == 2)
    assert order.judged.verdict == "fail", "what was judged stays judged"
