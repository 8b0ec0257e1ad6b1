"""A response for each incident type: its signals, its actions in the fixed order, and controls against the next one."""

from collections.abc import Iterable

import pytest

from playbooks import load
from playbooks.guidance import Moves, Tags
from playbooks.response import Playbook, Step
from playbooks.schema import Roles

TYPES = (
    "quality-regression",
    "cost-spike",
    "policy-bypass",
    "mcp-compromise",
    "a2a-abuse",
    "voice-degradation",
)


def read(name: str) -> Playbook:
    return load.document(load.LIBRARY / "responses" / f"{name}.yaml", Playbook)


PLAYBOOKS = {name: read(name) for name in TYPES}
DUPLICATE = read("duplicate-write")
DEFAULT = read("default")
MOVES = {move.verb: move for move in load.document(load.LIBRARY / "moves.yaml", Moves).moves}
EACH = pytest.mark.parametrize("playbook", PLAYBOOKS.values(), ids=PLAYBOOKS)
WITH_PATH = pytest.mark.parametrize(
    "playbook", [*PLAYBOOKS.values(), DUPLICATE], ids=[*PLAYBOOKS, "duplicate"]
)


def verbs(steps: Iterable[Step]) -> list[str]:
    return [step.action.verb for step in steps if step.action]


def carrying(playbook: Playbook, part: str) -> list[Step]:
    return [step for step in playbook.steps() if part in step.sources]


@pytest.mark.req("S000-KT-2")
def test_there_is_one_response_for_each_of_the_six_types() -> None:
    tags = load.document(load.LIBRARY / "tags.yaml", Tags)
    (types,) = (axis.tags for axis in tags.axes if axis.id == "type")
    assert [tag.id for tag in types] == list(TYPES)
    assert {name: playbook.types for name, playbook in PLAYBOOKS.items()} == {name: (name,) for name in TYPES}
    assert {playbook.kind for playbook in PLAYBOOKS.values()} == {"type"}


SIGNALS = {
    "S000-IT-1S.1": ("quality-regression", ("tasks", "succeed", "drops")),
    "S000-IT-1S.2": ("quality-regression", ("judge", "decline")),
    "S000-IT-2S.1": ("cost-spike", ("unit", "costs more")),
    "S000-IT-2S.2": ("cost-spike", ("cache", "less often")),
    "S000-IT-3S.1": ("policy-bypass", ("answers", "break the policy")),
    "S000-IT-3S.2": ("policy-bypass", ("guardrail", "bypassed")),
    "S000-IT-4S.1": ("mcp-compromise", ("server", "nobody registered")),
    "S000-IT-4S.2": ("mcp-compromise", ("scope", "nobody approved")),
    "S000-IT-4S.3": ("mcp-compromise", ("unusual egress",)),
    "S000-IT-5S.1": ("a2a-abuse", ("webhook", "ssrf")),
    "S000-IT-5S.2": ("a2a-abuse", ("answers before authentication",)),
    "S000-IT-6S.1": ("voice-degradation", ("first audio", "later")),
    "S000-IT-6S.2": ("voice-degradation", ("interrupt", "loop")),
}


@pytest.mark.parametrize(
    ("part", "name", "words"),
    [pytest.param(key, *value, id=key, marks=pytest.mark.req(key)) for key, value in SIGNALS.items()],
)
def test_a_signal_opens_its_response_and_is_a_sign_of_its_type(
    part: str, name: str, words: tuple[str, ...]
) -> None:
    texts = [trigger.text.lower() for trigger in PLAYBOOKS[name].triggers if part in trigger.sources]
    assert any(all(word in text for word in words) for text in texts)
    (types,) = (a.tags for a in load.document(load.LIBRARY / "tags.yaml", Tags).axes if a.id == "type")
    (tag,) = (tag for tag in types if tag.id == name)
    assert len(tag.signs) == len({key for key in SIGNALS if SIGNALS[key][0] == name})


ACTIONS = {
    "S000-IT-1A": ("quality-regression", "roll_back_release", ("prompt", "model", "tool policy")),
    "S000-IT-2A.1": ("cost-spike", "route_to_fallback", ("lighter model",)),
    "S000-IT-2A.2": ("cost-spike", "high_cost_tools_off", ("tools",)),
    "S000-IT-2A.3": ("cost-spike", "route_to_fallback", ("batch",)),
    "S000-IT-3A.1": ("policy-bypass", "force_approval", ("approval mode",)),
    "S000-IT-3A.2": ("policy-bypass", "stricter_policy", ("hotfix", "policy pack")),
    "S000-IT-4A.1": ("mcp-compromise", "disable_mcp_server", ("{server}",)),
    "S000-IT-4A.2": ("mcp-compromise", "revoke_token_audience", ("token",)),
    "S000-IT-4A.3": ("mcp-compromise", "", ("isolate", "sandbox")),
    "S000-IT-5A.1": ("a2a-abuse", "block_a2a_peer", ("{peer}",)),
    "S000-IT-5A.2": ("a2a-abuse", "stop_push_notifications", ("push notifications",)),
    "S000-IT-6A.1": ("voice-degradation", "route_to_fallback", ("in text",)),
    "S000-IT-6A.2": ("voice-degradation", "", ("{session}", "new one")),
    "S000-IT-6A.3": ("voice-degradation", "route_to_fallback", ("low-latency model",)),
}


@pytest.mark.parametrize(
    ("part", "name", "verb", "words"),
    [pytest.param(key, *value, id=key, marks=pytest.mark.req(key)) for key, value in ACTIONS.items()],
)
@pytest.mark.req("S000-KT-4")
def test_an_immediate_action_is_a_step_of_the_mitigation_that_says_how_it_is_seen(
    part: str, name: str, verb: str, words: tuple[str, ...]
) -> None:
    playbook = PLAYBOOKS[name]
    fitting = [
        step
        for step in playbook.mitigation.steps
        if part in step.sources
        and (step.action.verb if step.action else "") == verb
        and all(word in step.text.lower() for word in words)
    ]
    (step,) = fitting
    assert step.expect
    assert step.verify


@pytest.mark.req("S000-IT-4A.3")
def test_isolating_a_sandbox_cuts_its_traffic_and_ends_nothing() -> None:
    (step,) = (each for each in carrying(PLAYBOOKS["mcp-compromise"], "S000-IT-4A.3") if each.command)
    assert step.command is not None
    assert step.command.argv[0] == "kubectl"
    assert "label" in step.command.argv
    assert not {"delete", "scale", "drain"} & set(step.command.argv)
    assert set(step.command.dry_run) - set(step.command.argv) == {"--dry-run=server"}


@EACH
@pytest.mark.req("S000-CO-1", "S000-CO-2", "S000-CO-3", "S000-CO-4", "S000-CO-5")
def test_containment_keeps_its_order(playbook: Playbook) -> None:
    """Each stage first appears after the one before it; a copy that a step needs may be kept earlier."""
    copies = {step.snapshot for step in playbook.steps()}
    first: dict[str, int] = {}
    for place, step in enumerate(playbook.mitigation.steps):
        for source in step.sources:
            if source.startswith("S000-CO-") and step.id not in copies:
                first.setdefault(source, place)
    stages = [f"S000-CO-{n}" for n in range(1, 6)]
    assert set(first) == set(stages)
    places = [first[stage] for stage in stages]
    assert places == sorted(places)
    last = playbook.mitigation.steps[-1]
    assert last.action is not None
    assert last.action.verb == "preserve_evidence"
    assert {"trace_id", "approval_id"} <= set(last.action.args["items"].split(", "))


@EACH
@pytest.mark.req("X-23")
def test_nobody_is_asked_for_what_no_step_uses(playbook: Playbook) -> None:
    whole = playbook.completed(DEFAULT)
    used = {name for step in whole.steps() for name in step.placeholders()}
    assert {value.name for value in whole.values} == used


@EACH
@pytest.mark.req("S000-FL-1")
def test_the_flow_of_a_response_has_all_its_stages(playbook: Playbook) -> None:
    whole = playbook.completed(DEFAULT)
    assert whole.triggers
    assert [name for name, section in whole.sections() if not section.steps] == []
    assert {step.role for step in whole.steps()} <= {
        role.id for role in load.document(load.LIBRARY / "roles.yaml", Roles).roles
    }


@EACH
@pytest.mark.req("S000-KT-4")
def test_recurrence_is_controlled_by_at_least_three_changes_that_are_owned(playbook: Playbook) -> None:
    controls = [step for step in playbook.post.steps if "S000-KT-4" in step.sources]
    assert len(controls) >= 4
    assert controls[-1].id == "learn-controls-owned"
    assert all(step.expect and step.verify for step in controls)


@WITH_PATH
@pytest.mark.req("S000-AR-1", "S000-AR-2", "S001-SEV-4")
def test_only_narrow_containment_may_run_by_itself_and_what_comes_back_needs_a_person(
    playbook: Playbook,
) -> None:
    automatic = [step for step in playbook.steps() if step.automatic]
    assert automatic
    assert {step.reach for step in automatic} <= {"one tenant", "one agent", "one tool", "one workflow"}
    assert [step.id for step in automatic if step not in playbook.mitigation.steps] == []
    restores = {move.restore for move in MOVES.values()} - {None}
    coming_back = [s for s in playbook.steps() if s.action and s.action.verb in restores]
    assert coming_back
    assert [s.id for s in coming_back if s not in playbook.recovery.steps or 1 not in s.approval] == []


@WITH_PATH
@pytest.mark.req("X-12")
def test_nobody_waits_for_a_second_person_to_contain(playbook: Playbook) -> None:
    """Apart from what destroys evidence, and from doing a write again."""
    waiting = [step for step in playbook.mitigation.steps if step.approval and not step.destroys_evidence]
    assert [step.id for step in waiting] == (["contain-again"] if playbook is DUPLICATE else [])


@WITH_PATH
@pytest.mark.req("X-17")
def test_a_copy_is_kept_before_evidence_is_destroyed(playbook: Playbook) -> None:
    order = [step.id for step in playbook.steps()]
    for step in playbook.steps():
        move = MOVES[step.action.verb] if step.action else None
        assert step.destroys_evidence == bool(move and move.destroys_evidence)
        if step.destroys_evidence:
            assert step.snapshot is not None
            assert order.index(step.snapshot) < order.index(step.id)
            (copy,) = (each for each in playbook.steps() if each.id == step.snapshot)
            assert verbs([copy]) == ["preserve_evidence"]
            assert step.approval == (1, 2, 3, 4, 5)


@WITH_PATH
def test_what_the_console_is_told_to_do_is_in_its_catalogue(playbook: Playbook) -> None:
    for step in playbook.steps():
        if step.action:
            assert set(step.action.args) == set(MOVES[step.action.verb].args), step.id


@WITH_PATH
@pytest.mark.req("X-18")
def test_containment_and_its_return_pass_the_freeze(playbook: Playbook) -> None:
    changing = [s for s in playbook.steps() if s.action and MOVES[s.action.verb].family != "record"]
    assert [step.id for step in changing if not step.freeze_exempt] == []


@EACH
@pytest.mark.req("X-18")
def test_the_freeze_is_set_first_and_lifted_last(playbook: Playbook) -> None:
    assert verbs(playbook.mitigation.steps[:1]) == ["freeze_changes"]
    assert verbs(playbook.recovery.steps[-1:]) == ["lift_freeze"]
    wait = playbook.recovery.steps[-2].wait
    assert wait is not None
    assert wait.least == 3600


@pytest.mark.req("X-2")
@pytest.mark.parametrize(
    ("words", "severity"), [(("without an effect",), 2), (("something came of it",), 1), (("held",), 3)]
)
def test_a_policy_bypass_is_judged_by_what_came_of_it(words: tuple[str, ...], severity: int) -> None:
    (trigger,) = (t for t in PLAYBOOKS["policy-bypass"].triggers if all(word in t.text for word in words))
    assert trigger.proposes == severity


@pytest.mark.req("X-3")
def test_a_cost_spike_proposes_the_second_level() -> None:
    playbook = PLAYBOOKS["cost-spike"]
    assert {playbook.severity, *(trigger.proposes for trigger in playbook.triggers)} == {2}


# ---------------------------------------------------------------- duplicate write


def step(name: str) -> Step:
    found = DUPLICATE.step(name)
    assert found is not None
    return found


@pytest.mark.req("S004-DU-1")
def test_the_tool_is_frozen_or_put_under_approval_before_anything_else() -> None:
    first = DUPLICATE.steps()[0]
    assert first.decision is not None
    then = [option.then for option in first.decision.options]
    assert verbs(step(name or "") for name in then) == ["halt_tool", "force_approval"]
    assert DUPLICATE.steps()[1:3] == tuple(step(name or "") for name in then)


@pytest.mark.req("S004-DU-2")
def test_what_tells_two_writes_apart_is_kept_before_anybody_looks() -> None:
    keep = step("contain-evidence")
    assert keep.action is not None
    assert keep.action.args["items"].split(", ") == [
        "trace_id",
        "session_id",
        "approval_id",
        "tool_principal",
        "idempotency_key",
        "bundle_id",
        "rollout_wave",
    ]
    order = [each.id for each in DUPLICATE.steps()]
    assert order.index("contain-evidence") < order.index("contain-look")


def ways(start: str) -> set[str]:
    """Ids of the steps that can come after a step: by its options, or the next one in order."""
    order = [each.id for each in DUPLICATE.mitigation.steps]
    found: set[str] = set()
    waiting = [start]
    while waiting:
        each = step(waiting.pop())
        following = order[order.index(each.id) + 1 : order.index(each.id) + 2]
        nexts = [o.then for o in each.decision.options if o.then] if each.decision else following
        waiting += [name for name in nexts if name in order and name not in found]
        found.update(nexts)
    return found


@pytest.mark.req("S004-DU-3")
def test_an_unknown_effect_is_marked_and_never_repeated_blindly() -> None:
    look = step("contain-look")
    assert look.decision is not None
    by_answer = {option.id: option.then or "" for option in look.decision.options}
    assert set(by_answer) == {"done", "not-done", "unknown"}
    marked = step(by_answer["unknown"])
    assert marked.action is not None
    assert marked.action.verb == "note"
    assert marked.action.args["text"].startswith("side_effect_unknown")
    assert "contain-again" not in ways(by_answer["done"]) | {by_answer["done"]}
    settle = step("contain-settle")
    assert settle.decision is not None
    assert {o.id for o in settle.decision.options if o.then == "contain-again"} == {"not-done"}
    order = [each.id for each in DUPLICATE.mitigation.steps]
    assert order[order.index(marked.id) + 1] == settle.id, "the mark leads to the question and nowhere else"
    again = step("contain-again")
    assert again.action is None, "a person repeats it, no program"
    assert "same {idempotency_key}" in again.text


@pytest.mark.req("S004-DU-4")
def test_the_next_release_waits_for_the_gate_that_came_of_it() -> None:
    gate, block = step("learn-gate"), step("learn-block")
    assert "eval" in gate.text
    assert "gate before the next release" in gate.text
    assert "Hold the next release" in block.text
    assert [gate, block] == list(DUPLICATE.post.steps[:2])
