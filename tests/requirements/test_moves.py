"""The catalogue of verbs: four halts, the further moves of containment, what takes them back, what only records."""

from pathlib import Path

import pytest

from playbooks import load, yaml
from playbooks.guidance import Authorities, Move
from playbooks.reading import PlaybookTrouble, containment, document

MOVES = load.moves()
RESTORES = {move.restore for move in MOVES.values() if move.restore}
HELD = {each.id: each for each in load.only(Authorities).authorities}
HALTS = ("halt_all", "halt_agent", "halt_tool", "quarantine_actions")
ACTING = [move for move in MOVES.values() if move.family != "record"]

# The 23 moves beside the four halts. A token is revoked by its audience or by whose it is: two verbs, one move.
FURTHER = {
    "disable MCP server": {"disable_mcp_server"},
    "revoke token, credential, principal": {"revoke_token_audience", "revoke_credential"},
    "block A2A peer": {"block_a2a_peer"},
    "rotate webhook secret": {"rotate_webhook_secret"},
    "stop push notifications": {"stop_push_notifications"},
    "runtime read-only": {"set_runtime_mode"},
    "force approval": {"force_approval"},
    "draft-only": {"draft_only"},
    "pause canary": {"pause_canary"},
    "stop rollout wave": {"stop_rollout_wave"},
    "fallback or lighter model": {"route_to_fallback"},
    "roll back release, prompt, model": {"roll_back_release"},
    "stop workflow": {"stop_workflow"},
    "scale to zero": {"scale_to_zero"},
    "autonomy off": {"autonomy_off"},
    "scheduler off": {"scheduler_off"},
    "high-cost tools off": {"high_cost_tools_off"},
    "budget cap 0": {"budget_cap_zero"},
    "rate clamp": {"rate_clamp"},
    "pause memory writes": {"pause_memory_writes"},
    "stricter policy bundle": {"stricter_policy"},
    "quarantine session": {"quarantine_session"},
    "force logout": {"force_logout"},
}

CARRIED = {
    "S003-KS-5": "halt_all",
    "S003-KS-6": "halt_agent",
    "S003-KS-7": "halt_tool",
    "S003-KS-8": "quarantine_actions",
    "S000-CP-2": "disable_mcp_server",
    "S000-CP-3": "revoke_token_audience",
    "S000-CP-4": "block_a2a_peer",
    "S000-CP-5": "rotate_webhook_secret",
    "S000-CP-6": "set_runtime_mode",
    "S000-CP-7": "preserve_evidence",
    "S000-CO-2": "set_runtime_mode",
    "S000-CO-3": "revoke_credential",
    "S000-CO-4": "route_to_fallback",
    "S000-CO-5": "preserve_evidence",
    "S000-IT-1A": "roll_back_release",
    "S000-IT-2A.1": "route_to_fallback",
    "S000-IT-2A.2": "high_cost_tools_off",
    "S000-IT-3A.1": "force_approval",
    "S000-IT-3A.2": "stricter_policy",
    "S000-IT-4A.1": "disable_mcp_server",
    "S000-IT-4A.2": "revoke_token_audience",
    "S000-IT-5A.1": "block_a2a_peer",
    "S000-IT-5A.2": "stop_push_notifications",
    "S001-CO-1": "halt_tool",
    "S001-CO-2": "force_approval",
    "S001-CO-3": "draft_only",
    "S001-CO-4": "pause_canary",
    "S001-CO-5": "route_to_fallback",
    "S001-CO-6": "roll_back_release",
    "S001-CO-7": "stop_workflow",
    "S002-SN-4": "scale_to_zero",
    "S002-SN-5": "autonomy_off",
    "S002-SN-6": "scheduler_off",
    "S002-SN-7": "high_cost_tools_off",
    "S002-SN-8": "budget_cap_zero",
    "S002-SN-9": "rate_clamp",
    "S002-SN-15": "force_logout",
    "S002-PB3-M.1": "quarantine_session",
    "S004-CA-1": "halt_tool",
    "S004-CA-2": "force_approval",
    "S004-CA-3": "pause_memory_writes",
    "S004-CA-4": "revoke_credential",
    "S004-CA-5": "stop_rollout_wave",
    "S004-CA-6": "stricter_policy",
    "S002-CK-3": "freeze_changes",
    "S002-CK-7": "open_channel",
}


def test_the_further_moves_are_those_and_no_other() -> None:
    assert len(FURTHER) == 23
    contain = {verb for verb, move in MOVES.items() if move.family == "contain" and verb not in RESTORES}
    assert contain == set().union(*FURTHER.values())
    halts = [verb for verb, move in MOVES.items() if move.family == "halt" and verb not in RESTORES]
    assert halts == list(HALTS), "widest first"


@pytest.mark.parametrize(
    ("id", "verb"),
    [pytest.param(*each, id=each[0], marks=pytest.mark.req(each[0])) for each in CARRIED.items()],
)
def test_a_move_of_the_sources_is_a_verb(id: str, verb: str) -> None:
    assert id in MOVES[verb].sources
    assert MOVES[verb].expect
    assert MOVES[verb].verify


@pytest.mark.req("X-12")
@pytest.mark.parametrize("move", ACTING, ids=lambda move: str(move.verb))
def test_what_can_be_taken_back_names_the_verb_for_it_and_that_is_another_authority(move: Move) -> None:
    if move.verb in RESTORES:
        assert set(move.authority) == {"recover"}
        assert not move.destroys_evidence
        return
    assert (move.restore is not None) is move.reversible
    if move.restore:
        back = MOVES[move.restore]
        assert back.family == move.family
        assert back.target == move.target
        # Whatever says what to bring back was said when it was stopped, or is asked for: never less than a name.
        assert set(back.args) <= {*move.args, "replicas"}
        assert not set(back.authority) & set(move.authority)


@pytest.mark.req("S004-CA-7", "X-13", "S003-KS-3")
@pytest.mark.parametrize("move", MOVES.values(), ids=lambda move: str(move.verb))
def test_who_may_use_a_verb_is_settled_before_the_incident(move: Move) -> None:
    assert set(move.authority) <= set(HELD)
    if move.family == "record":
        return
    assert move.authority
    kinds = {HELD[each].kind for each in move.authority}
    if move.verb in RESTORES:
        assert kinds == {"recover"}
    elif move.family == "halt":
        assert kinds == {"halt"}
        assert all(len(HELD[each].holders) >= 3 for each in move.authority)
    else:
        assert kinds == {"contain"}


@pytest.mark.req("S003-KS-2", "X-8")
def test_no_halt_drains_and_a_held_action_is_decided_on() -> None:
    for verb in HALTS:
        assert "drain" not in f"{verb} {MOVES[verb].title} {MOVES[verb].expect}".lower()
    assert "cut off" in MOVES["halt_all"].expect
    assert "until somebody decided" in MOVES["quarantine_actions"].expect
    assert "decision" in MOVES["release_actions"].verify


@pytest.mark.req("S003-KS-5")
def test_after_a_halt_of_all_agents_come_back_one_by_one() -> None:
    assert MOVES["halt_all"].restore == "restore_all"
    assert "one after the other" in MOVES["restore_all"].expect
    assert "reach last" in MOVES["restore_all"].expect


@pytest.mark.req("X-17")
def test_verbs_that_destroy_say_so() -> None:
    destroys = {verb for verb, move in MOVES.items() if move.destroys_evidence}
    assert destroys == {"revoke_credential", "rotate_webhook_secret", "force_logout", "scale_to_zero"}


@pytest.mark.req("X-9")
def test_rolling_a_release_back_and_undoing_effects_are_two_verbs_of_two_families() -> None:
    release, effects = MOVES["roll_back_release"], MOVES["open_rollback"]
    assert release.family == "contain"
    assert effects.family == "record"
    assert set(release.args).isdisjoint(effects.args)
    assert "S003-RB-0" in effects.sources
    assert "S003-RB-0" not in release.sources


@pytest.mark.req("S000-CP-1", "S000-CP-2", "S000-CP-3", "S000-CP-4", "S000-CP-5", "S000-CP-6", "S000-CP-7")
def test_a_containment_playbook_in_its_short_form_is_made_of_verbs_of_the_catalogue() -> None:
    text = """
containment_playbook:
  trigger: mcp_or_a2a_compromise
  steps:
    - disable_mcp_server: files-prod
    - revoke_token_audience: mcp://files-prod
    - block_a2a_peer: {agent_card_url: "https://peer.example.com/.well-known/agent-card.json", reason: ssrf}
    - preserve_evidence: [mcp_server_logs]
    - rotate_webhook_secret: push
    - set_runtime_mode: read_only
    - preserve_evidence: [trace_id, approval_id, webhook_request_headers]
"""
    steps = containment(yaml.read(text.encode()), "peer", MOVES).value["mitigation"]["steps"]
    assert [(step["action"]["verb"], step["action"]["args"]) for step in steps] == [
        ("disable_mcp_server", {"server": "files-prod"}),
        ("revoke_token_audience", {"audience": "mcp://files-prod"}),
        (
            "block_a2a_peer",
            {"agent_card_url": "https://peer.example.com/.well-known/agent-card.json", "reason": "ssrf"},
        ),
        ("preserve_evidence", {"items": "mcp_server_logs"}),
        ("rotate_webhook_secret", {"target": "push"}),
        ("set_runtime_mode", {"mode": "read_only"}),
        ("preserve_evidence", {"items": "trace_id, approval_id, webhook_request_headers"}),
    ]


def test_a_catalogue_whose_verb_is_taken_back_by_none_is_refused(tmp_path: Path) -> None:
    from playbooks.guidance import Moves

    text = (load.LIBRARY / "moves.yaml").read_text()
    path = tmp_path / "moves.yaml"
    path.write_text(text.replace("restore: restore_all", "restore: start_them"))
    with pytest.raises(PlaybookTrouble, match="`halt_all` is taken back by `start_them`"):
        document(path, Moves)
