"""A console that is killed in the middle of a halt, and what the next one makes of it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import pytest

from console.desk import Desk
from console.room import Room
from data.home import Home
from tests.cli.conftest import Warroom
from tests.containment.conftest import Made, Opened, points, until
from tests.containment.test_cli import configure


@pytest.mark.req("S003-KS-1")
def test_after_kill_9_what_was_under_way_is_taken_up_and_judged(warroom: Warroom, fleet: Made) -> None:
    agents = fleet("good", "hangs", "good")
    warroom.environment["WARROOM_CONFIG"] = str(warroom.folder / "config.toml")
    configure(warroom, agents)
    halting = subprocess.Popen(
        [*warroom.command, "halt", "--yes", "--reason", "refunds in a loop"],
        env=warroom.environment,
        cwd=warroom.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        orders = warroom("containment", "--json").values if agents.log else []
        states = {each["target"]: each["state"] for order in orders for each in order["targets"]}
        if states.get("fleet/a0") == states.get("fleet/a2") == "verified" and "fleet/a1" in states:
            break
    halting.send_signal(signal.SIGKILL)
    halting.wait()
    (order,) = warroom("containment", "--json").values
    assert order["verdict"] == ""
    asked = len(agents.agents["a0"].asked)
    agents.agents["a1"].manner = "good"
    agents.agents["a2"].running = True  # it came back while nobody looked

    done = warroom("containment", "--watch")
    assert done.code == 0, done
    (after,) = warroom("containment", "--json").values
    assert after["order"] == order["order"]
    assert after["verdict"] in ("pass", "fail")
    assert all(each["state"] == "verified" for each in after["targets"])
    assert not any(each.running for each in agents.agents.values())
    assert len(agents.agents["a0"].asked) == asked, "what was done is looked at, not done again"
    assert {name for each in agents.agents.values() for _, name in each.asked} == {order["order"]}


async def test_what_a_live_process_carries_is_taken_up_by_no_other(
    fleet: Made, desk: Desk, room: Room, containing: Opened
) -> None:
    agents = fleet("good", "lies")
    carries, other = await containing(points(agents)), await containing(points(agents))
    name = await carries.order(room, "halt_all", reason="refunds in a loop", budget=2)
    await until(lambda: name in room.incident.moves.orders)
    second = await Desk.open(Home.open(desk.home.path), "ben")
    bens = await second.enter(room.code)
    assert await other.resume(bens) == []
    await carries.finished(name)
    assert await other.resume(bens) == [], "it is watched by who ordered it for as long as that runs"
    await carries.close()
    await bens.refresh()
    assert await other.resume(bens) == [name]
    agents.agents["a1"].manner = "good"
    await until(lambda: bens.incident.moves.orders[name].held == 2)
    await second.close()


async def test_what_another_process_lets_go_on_is_not_stopped_again_by_who_watches(
    fleet: Made, desk: Desk, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.containment import fanout

    monkeypatch.setattr(fanout, "WATCH", 0.2)
    agents = fleet("good")
    watches, lets_go = await containing(points(agents)), await containing(points(agents))
    name = await watches.order(room, "halt_all", reason="refunds in a loop")
    await watches.finished(name)
    second = await Desk.open(Home.open(desk.home.path), "ben")
    bens = await second.enter(room.code)
    back = await lets_go.restore(bens, name, reason="the loop is fixed")

    async def polling() -> None:
        while True:
            await room.refresh()
            await watches.resume(room)
            await asyncio.sleep(0.1)

    poll = asyncio.create_task(polling())
    await lets_go.finished(back)
    await until(lambda: bool(room.incident.moves.orders[name].lifted))
    looks = agents.counts["look"]
    await lets_go.close()
    await asyncio.sleep(0)
    poll.cancel()
    assert agents.agents["a0"].running
    assert [verb for verb, _ in agents.agents["a0"].asked] == ["halt_agent", "restore_agent"]
    assert agents.counts["look"] <= looks + 2
    await second.close()
