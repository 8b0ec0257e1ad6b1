"""The catalogue as a responder sees it: in the order of containment, with who may, what can, and what proved it."""

from __future__ import annotations

import pytest

from console import authority
from console.config import Point
from console.containment.catalogue import STAGES, Offer, catalogue
from console.containment.points import INSTEAD, VERBS
from console.containment.proof import Proof
from console.room import Room
from playbooks import load
from tests.moves.conftest import NOON, Grounds, both

MOVES = load.moves()

ROWS: dict[str, tuple[str, ...]] = {
    # Each requirement of containment, and the verbs that answer it.
    "S000-CO-1": ("halt_agent", "halt_tool"),
    "S000-CO-2": ("set_runtime_mode",),
    "S000-CO-3": ("revoke_token_audience", "revoke_credential"),
    "S000-CO-4": ("route_to_fallback",),
    "S000-CO-5": ("preserve_evidence",),
    "S000-CP-2": ("disable_mcp_server",),
    "S000-CP-3": ("revoke_token_audience",),
    "S000-CP-4": ("block_a2a_peer",),
    "S000-CP-5": ("rotate_webhook_secret",),
    "S000-CP-6": ("set_runtime_mode",),
    "S000-IT-4A.1": ("disable_mcp_server",),
    "S000-IT-4A.2": ("revoke_token_audience", "revoke_credential"),
    "S000-IT-5A.1": ("block_a2a_peer",),
    "S000-IT-5A.2": ("stop_push_notifications",),
    "S001-PRI-1": ("halt_all",),
    "S001-CO-1": ("halt_tool",),
    "S001-CO-2": ("force_approval",),
    "S001-CO-3": ("draft_only",),
    "S001-CO-4": ("pause_canary",),
    "S001-CO-5": ("route_to_fallback",),
    "S001-CO-6": ("roll_back_release",),
    "S001-CO-7": ("stop_workflow",),
    "S001-CO-8": ("halt_agent", "halt_tool", "quarantine_actions"),
    "S002-SN-4": ("scale_to_zero",),
    "S002-SN-5": ("autonomy_off",),
    "S002-SN-6": ("scheduler_off",),
    "S002-SN-7": ("high_cost_tools_off",),
    "S002-SN-8": ("budget_cap_zero",),
    "S002-SN-9": ("rate_clamp",),
    "S002-PB3-M.1": ("quarantine_session",),
    "S002-PB6-M.1": ("budget_cap_zero", "rate_clamp"),
    "S002-PB6-M.2": ("scheduler_off",),
    "S002-PB6-M.4": ("scale_to_zero",),
    "S003-KS-1": ("halt_all",),
    "S003-KS-2": ("halt_all", "halt_agent", "halt_tool"),
    "S003-KS-5": ("halt_all",),
    "S003-KS-6": ("halt_agent",),
    "S003-KS-7": ("halt_tool",),
    "S003-KS-8": ("quarantine_actions",),
    "S004-CA-1": ("halt_tool",),
    "S004-CA-2": ("force_approval",),
    "S004-CA-3": ("pause_memory_writes",),
    "S004-CA-4": ("revoke_credential",),
    "S004-CA-5": ("stop_rollout_wave",),
    "S004-CA-6": ("stricter_policy",),
}
IN_STEP = {"S000-CO-1": "narrow", "S000-CO-2": "side-effects", "S000-CO-3": "revoke", "S000-CO-4": "fall-back", "S000-CO-5": "preserve"}  # fmt: skip


def offers(grounds: Grounds | None = None, proofs: tuple[Proof, ...] = (), **people: str) -> dict[str, Offer]:
    known = authority.standing({name.replace("_", "-"): (person,) for name, person in people.items()})
    found = catalogue((grounds or Grounds()).points, known, None, proofs)
    return {each.move.verb: each for each in found}


@pytest.mark.parametrize(
    ("id", "verbs"),
    [pytest.param(*each, id=each[0], marks=pytest.mark.req(each[0])) for each in ROWS.items()],
)
def test_a_row_of_containment_is_an_offer_with_all_that_is_needed_to_decide(
    id: str, verbs: tuple[str, ...]
) -> None:
    shown = offers()
    for verb in verbs:
        offer = shown[verb]
        move = offer.move
        assert id in move.sources
        assert move.target
        assert move.expect
        assert move.verify
        assert offer.stage in STAGES
        assert IN_STEP.get(id, offer.stage) == offer.stage
        if move.family != "record":
            assert offer.who.authorities, "somebody was named before the incident"
            assert bool(move.restore) is move.reversible


@pytest.mark.req("S000-CO-1", "S000-CO-2", "S000-CO-3", "S000-CO-4", "S000-CO-5")
def test_the_screen_goes_through_the_steps_in_their_order_with_the_four_halts_first() -> None:
    shown = list(offers().values())
    assert list(dict.fromkeys(each.stage for each in shown)) == list(STAGES)
    assert [each.move.verb for each in shown[:4]] == list(VERBS.values())
    further = [each for each in shown[4:] if each.move.family == "contain"]
    assert len(further) == 24, (
        "23 moves, of which one is two verbs: a token goes by its audience or by its owner"
    )
    assert not [each for each in shown if each.move.verb.startswith(("restore", "release_actions", "lift"))]


def test_what_can_carry_a_move_out_stands_with_it_and_what_nothing_can_is_done_by_hand() -> None:
    grounds = Grounds(
        (Point("gateway", "fake", agent="refunds"), both("halt_agent")),
        (Point("tools", "fake", kind="tool", tool="pay"), both("halt_tool")),
    )
    shown = offers(grounds)
    assert (shown["halt_agent"].points, shown["halt_tool"].points) == (("gateway",), ("tools",))
    assert shown["halt_all"].points == ("gateway",), "all agents are also each one of them"
    assert not shown["halt_agent"].by_hand
    assert shown["revoke_credential"].by_hand
    assert not shown["preserve_evidence"].by_hand, "the console does that"


@pytest.mark.req("S004-CA-7", "X-13")
def test_who_may_is_named() -> None:
    shown = offers(halt_agent="ben")
    assert shown["halt_agent"].who.people == ("ben",)
    assert "ben (named for it) can" in str(shown["halt_agent"].who)
    assert "nobody is named" in str(shown["halt_all"].who)


def test_the_newest_proof_of_a_move_stands_with_it() -> None:
    old = Proof("gateway", "halt_agent", NOON, held=True, ms=900, how="live fire", by="ana")
    new = Proof("gateway", "halt_agent", NOON + 1, held=False, ms=0, how="INC-7QF2", by="ben")
    shown = offers(proofs=(new, old))
    assert shown["halt_agent"].proof == new
    assert shown["halt_agent"].value["proven"] == new.value
    assert shown["halt_tool"].proof is None


@pytest.mark.req("S003-KS-2")
def test_what_would_start_by_itself_stops_with_a_halt_of_all() -> None:
    brings = MOVES["halt_all"].brings
    assert {"scheduler_off", "quarantine_actions"} <= set(brings)
    assert set(brings) <= set(INSTEAD["halt_all"]), "and what the catalogue says is what an order does"
    grounds = Grounds(
        (Point("gateway", "fake", agent="refunds"), both("halt_agent")),
        (Point("cron", "fake", kind="scheduler"), both("scheduler_off")),
        (Point("approvals", "fake", kind="queue", queue="payouts"), both("quarantine_actions")),
        (Point("mcp", "fake", kind="gateway"), both("disable_mcp_server")),
    )
    assert [each.point for each in grounds.points.targets("halt_all")] == ["gateway", "cron", "approvals"]


@pytest.mark.req("S003-KS-2")
def test_no_halt_touches_the_channel_of_those_who_work_on_the_incident() -> None:
    for verb in VERBS.values():
        assert "operator's own channel" in MOVES[verb].spares
    # Only what is declared as a point for agents, tools, queues and their starts has a part in a halt of all.
    grounds = Grounds((Point("chat", "fake", kind="channel"), both("disable_mcp_server")))
    assert grounds.points.targets("halt_all") == []


async def test_whoever_holds_the_role_in_the_incident_is_named(room: Room) -> None:
    await room.assign("ops", "dee")
    known = authority.standing({})
    shown = {each.move.verb: each for each in catalogue(Grounds().points, known, room.incident)}
    assert "dee" in shown["roll_back_release"].who.people
