"""How much to stop: everything while nobody knows, and the narrowest scope once it is shown to cover the harm."""

from __future__ import annotations

import pytest

from console import forms
from console.config import Point
from console.containment.advice import FORM, Advice, advise
from console.events import AlertLinked, SampledAction
from console.room import Room
from tests.moves.conftest import Grounds, both
from tests.room.test_incident import facts

GROUNDS = Grounds(
    (Point("gateway", "fake", targets=("refunds", "mail")), both("halt_agent")),
    (Point("tools", "fake", kind="tool", targets=("pay.refund",)), both("halt_tool")),
    (Point("approvals", "fake", kind="queue", queue="payouts"), both("quarantine_actions")),
)
SHOWN = dict.fromkeys(("low-reach", "clear", "blast-radius", "isolated", "bundle", "wave"), "yes")


async def advised(room: Room, **answers: str) -> Advice:
    given = {name.replace("_", "-"): text for name, text in answers.items()}
    await forms.answer(room, forms.form(FORM), SHOWN | given)
    return advise(room.incident, GROUNDS.points)


@pytest.mark.req("X-7", "S003-KS-5")
async def test_while_nobody_knows_everything_stops(room: Room) -> None:
    for incident in (None, room.incident):
        found = advise(incident, GROUNDS.points)
        assert (found.scope, found.subject, found.rule) == ("all", "", "unclear")
        assert "High reach and an unclear failure" in found.reason
        assert {"low-reach", "clear"} <= set(found.unknown)
        assert not found.unreachable


@pytest.mark.req("X-7", "S003-KS-5")
async def test_high_reach_and_an_unclear_failure_outweigh_what_is_known_of_the_agent(room: Room) -> None:
    found = await advised(room, low_reach="no", clear="no", one_agent="yes", others_fine="yes")
    assert found.scope == "all"


@pytest.mark.req("X-7", "S004-RL-1", "S004-RL-2", "S004-RL-3", "S004-RL-4", "S004-RL-5")
@pytest.mark.parametrize("doubt", ["blast_radius", "isolated", "bundle", "wave"])
async def test_less_than_everything_needs_all_four_proofs(room: Room, doubt: str) -> None:
    known = {"one_agent": "yes", "others_fine": "yes"}
    assert (await advised(room, **known)).scope == "agent"
    assert (await advised(room, **known, **{doubt: "unknown"})).scope == "all"


@pytest.mark.req("X-7", "S003-KS-6")
async def test_one_agent_is_the_one_that_the_alerts_name(room: Room) -> None:
    await room.record(AlertLinked(facts(agent="refunds"), "joined"))
    found = await advised(room, one_agent="yes", others_fine="yes")
    assert (found.scope, found.subject, found.unreachable) == ("agent", "refunds", False)
    assert found.words.startswith("agent refunds (rule one-agent: The agent is identified")


@pytest.mark.req("X-7", "S003-KS-6")
async def test_between_two_agents_a_person_chooses(room: Room) -> None:
    await room.record(AlertLinked(facts(agent="refunds"), "joined"))
    await room.record(AlertLinked(facts(id="bbbb3333", agent="mail"), "joined"))
    found = await advised(room, one_agent="yes", others_fine="yes")
    assert (found.subject, found.candidates) == ("", ("mail", "refunds"))


@pytest.mark.req("X-7", "S003-KS-6")
async def test_a_scope_that_nothing_carries_out_is_said(room: Room) -> None:
    await room.record(AlertLinked(facts(agent="stranger"), "joined"))
    found = await advised(room, one_agent="yes", others_fine="yes")
    assert (found.subject, found.unreachable) == ("stranger", True)


@pytest.mark.req("X-7", "S003-KS-7")
async def test_one_tool_is_the_one_that_the_actions_behind_the_alerts_call(room: Room) -> None:
    call = SampledAction("a1", "2026-11-21T13:50:00Z", "tool", "pay.refund")
    model = SampledAction("a2", "2026-11-21T13:50:00Z", "model", "a-model")
    await room.record(AlertLinked(facts(sample=(model, call, call)), "joined"))
    found = await advised(room, one_tool="yes", one_agent="yes", others_fine="yes")
    assert (found.scope, found.subject, found.unreachable) == ("tool", "pay.refund", False)


@pytest.mark.req("X-7", "S003-KS-8", "X-8")
async def test_actions_that_all_wait_are_held_in_their_queue(room: Room) -> None:
    found = await advised(room, queued="yes")
    assert (found.scope, found.subject, found.unreachable) == ("queue", "payouts", False)
