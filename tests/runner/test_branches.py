"""Where a way goes on after a branch, and what a step asks to be preserved."""

import pytest

from console.desk import Desk
from console.evidence import capture
from console.room import Room
from console.runner.player import Player
from playbooks import load
from tests.runner.conftest import book, step


@pytest.mark.req("X-7", "S003-KS-6")
@pytest.mark.parametrize(
    ("option", "halt"),
    [
        ("all", "contain-halt-all"),
        ("agent", "contain-halt-agent"),
        ("tool", "contain-halt-tool"),
        ("queue", "contain-queue"),
    ],
)
async def test_after_the_halt_that_was_chosen_comes_what_all_ways_share(
    player: Player, option: str, halt: str
) -> None:
    play = await player.open(load.playbook("default"))
    for name, state in play.steps.items():
        if name == "contain-scope":
            break
        if state.step.kind == "decision":
            await player.decide(name, state.step.decision.options[0].id, "as it looks")  # type: ignore[union-attr]
        else:
            await player.mark(name, "not_applicable", "a test")
    await player.decide("contain-scope", option, "as it looks")
    assert player.play().next is player.step(halt)[1]
    await player.mark(halt, "not_applicable", "a test")
    after = player.play().next
    assert after is not None
    assert after.step.id == "contain-side-effects"


@pytest.mark.req("S000-CP-7", "S000-CO-5")
async def test_a_step_names_what_the_evidence_should_hold(player: Player, room: Room) -> None:
    wanted = {"items": "traceId, mcp_server_logs, agent_id=refunds"}
    await player.open(book(step("keep", action={"verb": "preserve_evidence", "args": wanted})))
    run = await player.run("keep", real=True)
    assert run.outcome == "done", run.note
    (request,) = room.incident.requests.values()
    assert {(each.name, each.value) for each in request.body.ids} == {
        ("trace_id", ""),
        ("mcp_server_logs", ""),
        ("agent_id", "refunds"),
    }


@pytest.mark.req("S000-CP-7")
async def test_a_name_that_the_schema_does_not_have_fails_the_step(player: Player) -> None:
    wanted = {"items": "trace_id, moon_phase, agent_id=refunds"}
    await player.open(book(step("keep", action={"verb": "preserve_evidence", "args": wanted})))
    told = await player.run("keep", real=True)
    assert told.outcome == "failed"
    assert "moon_phase" in told.note


@pytest.mark.req("S001-EV-0", "S000-CO-5")
async def test_without_an_alert_what_should_be_kept_is_asked_for_and_listed_as_missing(
    player: Player, room: Room, desk: Desk
) -> None:
    wanted = {"items": "trace_id, session_id, memory_records"}
    await player.open(book(step("keep", action={"verb": "preserve_evidence", "args": wanted})))
    run = await player.run("keep", real=True)
    assert run.outcome == "done"
    assert "listed as missing" in run.note
    (asked,) = room.incident.requests
    why = await capture.finish(room, desk.home, asked)
    assert "trace_id, session_id, memory_records came without a value" in why
    for name in ("trace_id", "session_id", "memory_records"):
        assert any(f"({name})" in finding for finding in room.incident.findings), name
