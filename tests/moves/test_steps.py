"""Steps of playbooks that halt or contain: shown in dry run, carried out as orders, ended by their verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from console.config import Config, Point
from console.containment.actuator import Call, Declined
from console.containment.ordering import Containing
from console.containment.points import Points
from console.containment.steps import Steps
from console.refusal import Refused
from console.room import Room
from console.runner.player import Player, Settings
from console.runner.refusal import Hindered
from tests.moves.conftest import Grounds, System, both
from tests.runner.conftest import book, command, step, until


@pytest.fixture
def grounds() -> Grounds:
    return Grounds(
        (Point("gateway", "fake", targets=("refunds", "mail")), both("halt_agent")),
        (Point("tools", "fake", kind="tool", tool="pay.refund"), both("halt_tool")),
        (Point("mcp", "fake", kind="gateway", targets=("crm", "erp")), both("disable_mcp_server")),
        (Point("try", "fake", kind="service", canary=True), both("scheduler_off")),
    )


@pytest.fixture
async def containing(grounds: Grounds) -> AsyncIterator[Containing]:
    made = Containing(grounds.points, actor="ana")
    yield made
    await made.close()


@pytest.fixture
def player(room: Room, containing: Containing) -> Player:
    return Player(room, room.replica, Settings(announce=0), Steps(room, containing))


def acts(id: str, verb: str, **args: str) -> dict[str, object]:
    return step(id, action={"verb": verb, "args": args})


HALT = acts("halt", "halt_agent", agent="refunds")
RESTORE = acts("restore", "restore_agent", agent="refunds")


@pytest.mark.req("S003-KS-6", "S000-PD-2")
async def test_a_dry_run_shows_what_would_be_told_and_tells_nobody(
    player: Player, grounds: Grounds, room: Room
) -> None:
    await player.open(book(HALT))
    run = await player.run("halt")
    assert (run.dry, run.outcome) == (True, "done")
    assert "1 target would be told:\ngateway/refunds: tell refunds: halt_agent" in run.note
    assert (grounds.systems["gateway"].told, room.incident.moves.orders) == ([], {})


async def test_a_plan_for_many_targets_names_the_first_and_counts_the_others(room: Room) -> None:
    names = tuple(f"a{n}" for n in range(10_000))
    many = Grounds((Point("gateway", "fake", targets=names), both("halt_agent")))
    containing = Containing(many.points)
    shown = Steps(room, containing).plan("halt_all", {})
    await containing.close()
    assert shown.startswith("10,000 targets would be told:\ngateway/a0: tell a0: halt_agent\n")
    assert shown.endswith("\nand 9,980 more")


async def test_what_an_actuator_could_not_be_told_is_in_the_plan(room: Room) -> None:
    class Wants(System):
        def plan(self, call: Call) -> str:
            raise Declined("The order says nothing of {mode}.")

    setting = Point("runtime", "fake", kind="runtime", verbs=("set_runtime_mode",))
    points = Points(Config(points=(setting,)), make=lambda *_: Wants(frozenset({"set_runtime_mode"})))
    containing = Containing(points)
    shown = Steps(room, containing).plan("set_runtime_mode", {"mode": "read_only"})
    await containing.close()
    assert "runtime: it could not be told: The order says nothing of {mode}." in shown


@pytest.mark.req("S003-KS-6")
async def test_for_real_it_is_an_order_and_a_pass_is_what_settles_the_step(
    player: Player, grounds: Grounds, room: Room
) -> None:
    await player.open(book(HALT))
    run = await player.run("halt", real=True)
    assert (run.outcome, run.exit) == ("done", 0)
    (order,) = room.incident.moves.orders.values()
    assert order.body.reason == "playbook test, step halt"
    assert (order.body.scope, order.body.subject, order.by) == ("agent", "refunds", "ana")
    assert order.judged is not None
    assert order.judged.verdict == "pass"
    assert run.note.startswith(f"Order {order.body.order}: PASS after")
    assert grounds.systems["gateway"].stopped == {"refunds"}
    assert player.step("halt")[1].standing == "done"


@pytest.mark.req("S003-KS-1", "S003-KS-2")
async def test_what_refuses_fails_the_step_and_is_named(
    player: Player, grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    grounds.systems["gateway"].refuses = {"refunds"}
    await player.open(book(HALT))
    # A refusal is final: nothing is gained by waiting for the whole budget, here two seconds of it.
    order = player.actuators._containing.order  # type: ignore[attr-defined]
    monkeypatch.setattr(
        player.actuators._containing,  # type: ignore[attr-defined]
        "order",
        lambda *given, **named: order(*given, **named, budget=2),
    )
    run = await player.run("halt", real=True)
    assert (run.outcome, run.exit) == ("failed", 1)
    assert "FAIL after" in run.note
    assert "Open: gateway/refunds (refused)." in run.note
    assert player.step("halt")[1].standing == "failed"


async def test_what_no_point_reaches_is_refused_before_anything_is_on_the_record(
    player: Player, room: Room
) -> None:
    await player.open(
        book(
            acts("revoke", "revoke_token_audience", audience="mcp://crm"),
            acts("stranger", "halt_agent", agent="nobody"),
            acts("canary", "scheduler_off"),
        )
    )
    for name in ("revoke", "canary"):
        with pytest.raises(Hindered, match="No actuator is configured for"):
            await player.run(name, real=True)
    with pytest.raises(Refused, match=r"No point carries out halt_agent for nobody. They know refunds, mail"):
        await player.run("stranger", real=True)
    assert room.incident.plays.runs == {}
    await player.mark("stranger", "done", evidence="the process list")
    assert player.step("stranger")[1].standing == "done"


@pytest.mark.req("X-12")
async def test_letting_go_takes_the_order_back_and_needs_one(
    player: Player, grounds: Grounds, room: Room
) -> None:
    await player.open(book(HALT, recovery=[RESTORE]))
    with pytest.raises(Refused, match=r"No order of .* holds refunds that restore_agent could let go"):
        await player.run("restore", real=True)
    await player.run("halt", real=True)
    shown = await player.run("restore")
    assert "would be taken back:\ngateway/refunds: let go on" in shown.note
    assert grounds.systems["gateway"].stopped == {"refunds"}
    run = await player.run("restore", real=True)
    assert (run.outcome, run.exit) == ("done", 0)
    assert grounds.systems["gateway"].stopped == set()
    assert room.incident.moves.in_force == []


@pytest.mark.req("S000-CP-2", "S000-CP-1")
async def test_a_containment_step_reaches_what_it_names_and_nothing_beside(
    player: Player, grounds: Grounds
) -> None:
    await player.open(book(acts("server", "disable_mcp_server", server="crm"), acts("all", "halt_all")))
    assert (await player.run("server", real=True)).outcome == "done"
    assert grounds.systems["mcp"].stopped == {"crm"}
    assert (await player.run("all", real=True)).outcome == "done"
    assert grounds.systems["gateway"].stopped == {"refunds", "mail"}
    assert grounds.systems["try"].told == [], "a canary is no agent"


async def test_whoever_stops_the_run_stops_waiting_and_not_the_halt(
    player: Player, grounds: Grounds, room: Room
) -> None:
    grounds.systems["gateway"].lies = {"refunds"}
    await player.open(book(HALT))
    work = asyncio.create_task(player.run("halt", real=True))
    await until(lambda: bool(grounds.systems["gateway"].told))
    await player.stop(player.run_named(), "I do not want to wait")
    run = await work
    assert run.outcome == "cancelled"
    assert "goes on" in run.note
    assert len(room.incident.moves.in_force) == 1
    assert player.step("halt")[1].standing == "unclear", "a person says what became of it"


@pytest.mark.req("X-18", "S002-CK-3")
async def test_a_freeze_lets_the_incident_s_own_containment_through_and_ends_with_it(
    player: Player, grounds: Grounds, room: Room
) -> None:
    await player.open(
        book(
            acts("freeze", "freeze_changes", reason="incident"),
            HALT,
            command("deploy", "true"),
            command("rollback", "true", freeze_exempt=True),
            recovery=[RESTORE, acts("lift", "lift_freeze", reason="stable for 60 min")],
        )
    )
    assert (await player.run("freeze", real=True)).outcome == "done"
    with pytest.raises(Hindered, match=r"Changes are frozen in INC-.*: incident"):
        await player.run("deploy", real=True)
    # Its own containment, its own rollback: through, and the record says which was exempted and for which incident.
    assert (await player.run("halt", real=True)).outcome == "done"
    assert (await player.run("rollback", real=True)).outcome == "done"
    assert room.incident.plays.exempted == {("test", "rollback"): f"playbook test exempts it for {room.code}"}
    # And taking containment back: it is what the incident is about.
    assert (await player.run("restore", real=True)).outcome == "done"
    assert grounds.systems["gateway"].stopped == set()
    await player.exempt("deploy", "this is the fix")
    assert (await player.run("deploy", real=True)).outcome == "done"
    await player.mark("deploy", "open")
    assert (await player.run("lift", real=True)).outcome == "done"
    assert room.incident.plays.freezes == {}
    assert player.hindrances(*player.step("deploy")) == []
