"""Orders against agents that obey, hang, refuse, lie, are slow, come back and come late."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.config import Config, Point
from console.containment import fanout
from console.containment.points import Points
from console.containment.verdict import receipt
from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from data.envelope import Entry
from data.home import Home
from data.trouble import StoreTrouble
from tests.containment.conftest import Made, Opened, points, until
from tests.containment.fleet import Wire


@pytest.mark.req("S003-KS-1")
async def test_what_is_seen_to_stand_still_passes(fleet: Made, room: Room, containing: Opened) -> None:
    agents = fleet("good", "good", "slow")
    carries = await containing(points(agents))
    name = await carries.order(room, "halt_all", scope="all", reason="refunds in a loop")
    await carries.finished(name)
    order = room.incident.moves.orders[name]
    assert order.judged is not None
    assert (order.judged.verdict, order.judged.held, order.judged.open) == ("pass", 3, ())
    assert order.judged.ms < 5000
    assert not any(each.running for each in agents.agents.values())
    assert {each.asked[0] for each in agents.agents.values()} == {("halt_agent", name)}
    for standing in order.targets:
        assert list(standing.times) == ["requested", "effective", "verified"]
    assert "PASS" in receipt(order)


@pytest.mark.req("S003-KS-1")
async def test_at_the_end_of_the_budget_the_verdict_falls_whatever_is_open(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "GRACE", 0.5)
    monkeypatch.setattr(fanout, "ATTEMPT", 0.5)
    agents = fleet("good", "hangs", "refuses", "lies", "forbids")
    carries = await containing(points(agents))
    name = await carries.order(room, "halt_all", reason="refunds in a loop", budget=6)
    await carries.finished(name)
    order = room.incident.moves.orders[name]
    assert order.judged is not None
    assert order.judged.verdict == "fail"
    assert order.judged.ms >= 5000
    assert set(order.judged.open) == {"fleet/a1", "fleet/a2", "fleet/a3", "fleet/a4"}
    states = {each.target.id: each.state for each in order.targets}
    assert states == {
        "fleet/a0": "verified",
        "fleet/a1": "unreachable",
        "fleet/a2": "refused",
        "fleet/a3": "leaking",
        "fleet/a4": "refused",
    }
    unreachable = order.standing("fleet/a1")
    assert unreachable is not None
    assert unreachable.times["unreachable"] < order.judged.ms, "it is named at its first attempt"
    assert "wrong credentials" in receipt(order)


async def test_who_comes_back_after_the_halt_is_stopped_again(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "WATCH", 0.2)
    agents = fleet("good", "good")
    carries = await containing(points(agents))
    name = await carries.order(room, "halt_all", reason="refunds in a loop")
    await carries.finished(name)
    agents.agents["a1"].running = True
    order = room.incident.moves.orders[name]
    await until(lambda: "leaking" in order.targets[1].times)
    await until(lambda: order.targets[1].state == "verified")
    assert not agents.agents["a1"].running
    assert set(agents.agents["a1"].asked) == {("halt_agent", name)}
    assert order.judged is not None
    assert order.judged.verdict == "pass", "what was judged stays judged"


async def test_who_appears_during_the_halt_is_stopped_too(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fanout, "NEW", 0.05)
    agents = fleet("good", "good", "good")
    names = tmp_path / "names"
    names.write_text("a0\na1\n")
    setting = Point("fleet", "wire", targets_file=str(names))
    known = Points(Config(points=(setting,)), lambda point, directory: Wire(agents.port))
    carries = await containing(known)
    name = await carries.order(room, "halt_all", reason="refunds in a loop")
    await carries.finished(name)
    names.write_text("a0\na1\na2\n")
    order = room.incident.moves.orders[name]
    await until(lambda: len(order.targets) == 3 and order.targets[2].state == "verified")
    assert not agents.agents["a2"].running


async def test_nobody_is_asked_twice_before_everybody_was_asked_once(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "LEAST", 10)
    monkeypatch.setattr(fanout, "SHARE", 0.0)
    agents = fleet(*["refuses"] * 30, *["good"] * 170)
    carries = await containing(points(agents))
    name = await carries.order(room, "halt_all", reason="refunds in a loop", budget=5)
    await carries.finished(name)
    halts = [agent for verb, agent in agents.log if verb == "halt_agent"]
    assert len(set(halts[:200])) == 200
    assert agents.most <= 11
    order = room.incident.moves.orders[name]
    assert order.states["verified"] == 170


async def test_two_commanders_halt_at_once_and_both_have_to_let_go(
    fleet: Made, desk: Desk, room: Room, containing: Opened
) -> None:
    agents = fleet(*["good"] * 5)
    other = await Desk.open(Home.open(desk.home.path), "ben")
    bens = await other.enter(room.code)
    first, second = await containing(points(agents)), await containing(points(agents))
    one, two = await asyncio.gather(
        first.order(room, "halt_all", reason="refunds in a loop"),
        second.order(bens, "halt_all", reason="I see it too"),
    )
    await asyncio.gather(first.finished(one), second.finished(two))
    await room.refresh()
    orders = room.incident.moves.orders
    assert [orders[each].judged.verdict for each in (one, two)] == ["pass", "pass"]  # type: ignore[union-attr]
    assert {orders[one].by, orders[two].by} == {"ana", "ben"}

    back = await first.restore(room, one, reason="the loop is fixed")
    await first.finished(back)
    assert not any(each.running for each in agents.agents.values())
    assert all(each.answered and two in each.answered.how for each in orders[back].targets)
    assert orders[one].lifted == back

    await bens.refresh()
    again = await second.restore(bens, two, reason="the loop is fixed")
    await second.finished(again)
    assert all(each.running for each in agents.agents.values())
    assert bens.incident.moves.orders[again].judged.verdict == "pass"  # type: ignore[union-attr]
    assert bens.incident.moves.in_force == []
    await other.close()


async def test_what_is_let_go_on_is_chosen_and_proven_and_not_stopped_again(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "WATCH", 0.1)
    agents = fleet("good", "good", "good")
    carries = await containing(points(agents))
    name = await carries.order(room, "halt_all", reason="refunds in a loop")
    await carries.finished(name)
    with pytest.raises(Refused, match="reason"):
        await carries.restore(room, name, ["fleet/a1"])
    back = await carries.restore(room, name, ["fleet/a1"], "a1 never paid out anything")
    await carries.finished(back)
    order, restored = room.incident.moves.orders[name], room.incident.moves.orders[back]
    assert restored.judged is not None
    assert (restored.judged.verdict, restored.judged.targets) == ("pass", 1)
    looks = agents.counts["look"]
    await until(lambda: agents.counts["look"] > looks + 10)
    assert [each.running for each in agents.agents.values()] == [False, True, False]
    assert [each.lifted for each in order.targets] == ["", back, ""]
    assert not order.lifted
    assert not order.open


async def test_a_drill_reaches_no_real_actuator(
    fleet: Made, room: Room, containing: Opened, tmp_path: Path
) -> None:
    agents = fleet("good")
    real = Config(points=(Point("fleet", "http", targets=("a0",), options={"stop": {"url": "http://x"}}),))
    drill = Home.open(tmp_path / "drill", "drill")
    assert Points.of(real, drill).targets("halt_all") == []
    rehearsing = await Desk.open(drill, "ana")
    drills = await rehearsing.declare("a drill", 1)
    carries = await containing(points(agents))
    with pytest.raises(Refused, match="drill"):
        await carries.order(drills, "halt_all", reason="rehearsal")
    own = await containing(Points.of(real, drill))
    with pytest.raises(Refused, match="drill"):
        await own.order(room, "halt_all", reason="a mistake")
    name = await own.order(drills, "halt_all", reason="rehearsal", budget=1)
    await own.finished(name)
    assert [each.target.actuator for each in drills.incident.moves.orders[name].targets] == ["manual"]
    assert agents.log == []
    await rehearsing.close()


@pytest.mark.req("S003-KS-3")
async def test_others_are_named_or_nobody_is(fleet: Made, room: Room, containing: Opened) -> None:
    agents = fleet("good")
    named = {"halt-all": ("ben", "chi")}
    carries = await containing(points(agents), authority=named)
    with pytest.raises(Refused) as refused:
        await carries.order(room, "halt_all", reason="refunds in a loop")
    assert "ben" in refused.value.next_step
    assert agents.log == []
    nobody = await containing(points(agents), authority={"halt-tool": ("ben",)})
    name = await nobody.order(room, "halt_all", reason="refunds in a loop")
    await nobody.finished(name)
    assert not agents.agents["a0"].running


async def test_what_nothing_reaches_is_done_by_hand_with_the_stopwatch_running(
    room: Room, containing: Opened
) -> None:
    carries = await containing(Points(Config()))
    name = await carries.order(room, "halt_agent", subject="refunds", reason="it pays twice")
    await until(lambda: name in room.incident.moves.orders)
    order = room.incident.moves.orders[name]
    assert [each.target.id for each in order.open] == ["refunds"]
    await carries.answer(
        room, name, "refunds", "pulled the plug of its host", "its host does not answer a ping"
    )
    await carries.finished(name)
    assert order.judged is not None
    assert order.judged.verdict == "pass"
    assert "pulled the plug" in receipt(order)
    with pytest.raises(Refused, match="no move"):
        await carries.order(room, "halt_agnet", subject="refunds")


async def test_a_name_that_is_nearly_one_is_asked_about(fleet: Made, room: Room, containing: Opened) -> None:
    setting = Point("refunds", "wire", agent="refunds")
    agents = fleet("good")
    carries = await containing(Points(Config(points=(setting,)), lambda point, directory: Wire(agents.port)))
    with pytest.raises(Refused) as refused:
        await carries.order(room, "halt_agent", subject="refnds")
    assert "refunds" in refused.value.next_step


async def test_containment_waits_for_no_record(
    fleet: Made, desk: Desk, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = fleet("good", "good")
    carries = await containing(points(agents))
    append = room.case.append
    full = StoreTrouble("There is no room on the disk.", "Nothing was written.", "Make room.")

    def fails(*entries: Entry) -> Any:
        raise full

    monkeypatch.setattr(room.case, "append", fails)
    name = await carries.order(room, "halt_all", reason="refunds in a loop")
    await carries.finished(name)
    (order,) = carries.orders(room)
    assert order.judged is not None
    assert order.judged.verdict == "pass"
    assert not any(each.running for each in agents.agents.values())
    assert "no room on the disk" in carries.trouble
    assert name not in room.incident.moves.orders

    monkeypatch.setattr(room.case, "append", append)
    await until(lambda: not carries.trouble)
    recorded = room.incident.moves.orders[name]
    assert recorded.judged == order.judged
    assert [each.times for each in recorded.targets] == [each.times for each in order.targets]
    assert len(room.incident.moves.orders) == 1


async def test_the_order_is_on_the_record_before_the_first_request(
    fleet: Made, room: Room, containing: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "FIRST", 30.0)
    agents = fleet("good")
    carries = await containing(points(agents))
    there: list[bool] = []
    agents.before = lambda: there.append(bool(room.incident.moves.orders))
    name = await carries.order(room, "halt_all", reason="refunds in a loop")
    await carries.finished(name)
    assert there[0]


async def test_a_dry_run_sends_nothing(fleet: Made, room: Room, containing: Opened) -> None:
    agents = fleet("good", "good")
    carries = await containing(points(agents))
    assert [what for _, what in carries.plan("halt_all")] == [
        f"GET /halt_agent/a{at}/0000000000000000" for at in (0, 1)
    ]
    name = await carries.order(room, "halt_all", dry=True)
    assert room.incident.moves.in_force == []
    assert "DRY RUN" in receipt(room.incident.moves.orders[name])
    assert agents.log == []
