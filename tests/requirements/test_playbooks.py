"""The twelve scenarios and the default playbook: every sign and every step of the source is there, and can be run."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import pytest

from console.runner.document import Value as Asked
from console.runner.fill import check
from playbooks import load, requirements
from playbooks.lint import shell
from playbooks.response import PLACEHOLDER, SECTIONS, Command, Playbook, Step, Trigger
from playbooks.undoing import RollbackClass

WRITTEN = {each.id: each for each in load.playbooks()}
SCENARIOS = {each.number: each for each in WRITTEN.values() if each.kind == "scenario"}
DEFAULT = WRITTEN["default"]
OURS = [DEFAULT, *SCENARIOS.values()]
ROLES = {role.id for role in load.roles()}
MOVES = load.moves()
CLASSES = {each.id for each in load.documents(RollbackClass)}


class At(NamedTuple):
    """A step and where it stands."""

    playbook: Playbook
    section: str
    step: Step


def steps(*playbooks: Playbook) -> Iterator[At]:
    for playbook in playbooks:
        for section, content in playbook.sections():
            yield from (At(playbook, section, step) for step in content.steps)


ALL = list(steps(*OURS))


def each(found: Iterable[At]) -> pytest.MarkDecorator:
    """A test for each of some steps, of which there must be one at least."""
    listed = list(found)
    assert listed
    return pytest.mark.parametrize("at", listed, ids=lambda at: f"{at.playbook.id}-{at.step.id}")


by_step = each(ALL)
by_playbook = pytest.mark.parametrize("playbook", OURS, ids=lambda each: str(each.id))


def acts(step: Step) -> bool:
    """Whether the console does something that can change something outside."""
    changes = step.command is not None or step.http is not None
    return (changes and step.reach != "nothing") or (
        step.action is not None and MOVES[step.action.verb].family != "record"
    )


def does(step: Step) -> str:
    """What a step does, without what it merely says about it: argv, request, verb or question; else its text."""
    if step.command is not None:
        return " ".join(step.command.argv)
    if step.http is not None:
        return f"{step.http.method} {step.http.url} {step.http.body}"
    if step.action is not None:
        return " ".join((step.action.verb, *step.action.args.values()))
    if step.decision is not None:
        return " ".join((step.decision.question, *(option.text for option in step.decision.options)))
    if step.wait is not None:
        return f"{step.wait.until} {step.wait.least or ''}"
    return step.text


# What carries each element of the source: section, kind, and words that what it does must hold. A step that a
# person does by hand is held to its text; one that runs, to what is run.
SIGN, HAND, CMD, HTTP, ACT, ASK, WAIT = "sign", "manual", "command", "http", "action", "decision", "wait"
ELEMENTS: dict[str, list[tuple[str, str]]] = {
    "PB1-T.1": [(SIGN, "availability below service level")],
    "PB1-T.2": [(SIGN, "5 % 5xx 5 min")],
    "PB1-T.3": [(SIGN, "99th percentile twice baseline")],
    "PB1-TR.1": [(HTTP, "GET /health"), (ASK, "infrastructure our app")],
    "PB1-TR.2": [(CMD, "revisions list"), (CMD, "rollout history"), (HAND, "code configuration schema")],
    "PB1-M.1": [(CMD, "update-traffic {good_rev}=100"), (CMD, "rollout undo")],
    "PB1-M.2": [(ASK, "wrong data"), (ACT, "set_runtime_mode read_only")],
    "PB1-M.3": [(CMD, "scale --replicas={replicas}")],
    "PB1-M.4": [(HTTP, "circuit_breakers /on"), (HTTP, "rate_limit low")],
    "PB1-R.1": [(WAIT, "5xx below 1 %"), (HTTP, "{feature} /on")],
    "PB1-R.2": [(WAIT, "no alert 3600"), (ACT, "lift_freeze")],
    "PB1-C": [
        (ACT, "draft_update status-identified"),
        (ACT, "draft_update status-monitoring"),
        (ACT, "draft_update status-resolved"),
    ],
    "PB1-P.1": [(HAND, "timeline contributed prevent")],
    "PB1-P.2": [(HAND, "regression test monitor")],
    "PB2-T.1": [(SIGN, "5xx 429")],
    "PB2-T.2": [(SIGN, "longer 5 s")],
    "PB2-T.3": [(SIGN, "orchestrator timeouts")],
    "PB2-M.1": [(HTTP, "PUT /routes/ {lane}")],
    "PB2-M.2": [(HTTP, "retrieval_only /on"), (HTTP, "tools.high_psu /off")],
    "PB2-M.3": [(HTTP, "retry_backoff /on"), (HTTP, "serve_recent /on")],
    "PB2-R.1": [(HTTP, "/canary primary {share}")],
    "PB2-R.2": [(WAIT, "latency judge score")],
    "PB2-P.1": [(HAND, "failover policy tool specs")],
    "PB2-P.2": [(HAND, "probes provider health")],
    "PB3-T.1": [(SIGN, "guardrail")],
    "PB3-T.2": [(SIGN, "tool arguments")],
    "PB3-T.3": [(SIGN, "jailbreak logs")],
    "PB3-M.1": [(ACT, "quarantine_session {session}"), (HTTP, "/tenants/{tenant}/users/{user}/flag")],
    "PB3-M.2": [(HTTP, "strict_profile /on"), (HTTP, "enforce_schema /on")],
    "PB3-M.3": [(CMD, "set image {tool_image}"), (HTTP, "/tools/{tool} allow_list")],
    "PB3-F.1": [(ACT, "preserve_evidence session_id tool_calls user_visible_output")],
    "PB3-F.2": [(ACT, "place_hold raw logs")],
    "PB3-F.3": [(ASK, "outwards security lead"), (ACT, "security_led")],
    "PB3-P.1": [(HAND, "red-team eval plan")],
    "PB3-P.2": [(HAND, "prompt templates critic")],
    "PB4-T.1": [(SIGN, "data loss prevention")],
    "PB4-T.2": [(SIGN, "export unusual")],
    "PB4-T.3": [(SIGN, "claims public")],
    "PB4-T.4": [(SIGN, "credentials outside")],
    "PB4-M.1": [(CMD, "apply {quarantine_policy}"), (CMD, "cordon {node}")],
    "PB4-M.2": [(ACT, "revoke_credential {principal}"), (HTTP, "POST revoke_all")],
    "PB4-M.3": [(CMD, "versions add {secret}"), (CMD, "--update-secrets"), (CMD, "versions disable")],
    "PB4-M.4": [(HAND, "responders"), (CMD, "get-iam-policy {bucket}")],
    "PB4-M.5": [(CMD, "annotate logging")],
    "PB4-M.6": [(CMD, "snapshots create {disk}"), (CMD, "logging read {since}"), (ACT, "place_hold")],
    "PB4-N.1": [(HAND, "legal privacy clocks"), (HAND, "notify authorities")],
    "PB4-N.2": [(ACT, "draft_update incident-letter"), (HAND, "communications lead affected")],
    "PB4-P.1": [(HAND, "root cause containment eradication recovery")],
    "PB4-P.2": [(HAND, "data protection impact assessment security guidelines")],
    "PB5-T.1": [(SIGN, "row security")],
    "PB5-T.2": [(SIGN, "id another tenant")],
    "PB5-T.3": [(SIGN, "customer")],
    "PB5-M.1": [(HTTP, "/endpoints/{endpoint}/mode off")],
    "PB5-M.2": [(HTTP, "/regions/{region}/mode read_only")],
    "PB5-M.3": [(CMD, "relrowsecurity pg_policies"), (CMD, "tenant_id count")],
    "PB5-M.4": [(CMD, "sql backups create")],
    "PB5-M.5": [(CMD, "access_log object_tenant_id {tenant} {since}")],
    "PB5-M.6": [(CMD, "psql {policy_file}"), (CMD, "set image {hotfix_image}")],
    "PB5-C.1": [(HAND, "every affected tenant before they ask")],
    "PB5-C.2": [(ACT, "draft_update incident-letter")],
    "PB5-P.1": [(HAND, "contract tests tenancy")],
    "PB5-P.2": [(HAND, "canary records")],
    "PB5-P.3": [(HAND, "review privacy")],
    "PB6-T.1": [(SIGN, "tokens three times baseline")],
    "PB6-T.2": [(SIGN, "budget used up")],
    "PB6-T.3": [(SIGN, "tenant agent suddenly")],
    "PB6-M.1": [(HTTP, "PUT /tenants/{tenant}/psu_daily_cap 0"), (HTTP, "PUT /tenants/*/psu_daily_cap 0")],
    "PB6-M.2": [(HTTP, "scheduler.enabled /off")],
    "PB6-M.3": [(HTTP, "GET /api/search {agent} count()"), (HAND, "loop repeats")],
    "PB6-M.4": [(CMD, "delete jobs {job_selector}")],
    "PB6-M.5": [(HTTP, "heavy_to_batch /on"), (ACT, "route_to_fallback {workflow} light")],
    "PB6-P.1": [(HAND, "alarms budgets stop")],
    "PB6-P.2": [(HAND, "guardrails prompts")],
    "PB7-T.1": [(SIGN, "evaluation suite fails")],
    "PB7-T.2": [(SIGN, "complaints rise")],
    "PB7-T.3": [(SIGN, "accuracy dips")],
    "PB7-T.4": [(SIGN, "person support")],
    "PB7-M.1": [
        (HTTP, "registered-models/alias {model_version}"),
        (HTTP, "/prompts/{prompt}/versions/{prompt_version} production"),
    ],
    "PB7-M.2": [(HTTP, "guards.previous_chain /on")],
    "PB7-M.3": [(CMD, "EVAL UNLINK {key_pattern}")],
    "PB7-M.4": [(ACT, "pause_canary"), (CMD, "promptfoo eval"), (WAIT, "evaluation passes")],
    "PB7-P.1": [(HAND, "model card")],
    "PB7-P.2": [(HAND, "cases evaluation")],
    "PB7-P.3": [(HAND, "retraining fine-tuning")],
    "PB8-T.1": [(SIGN, "depth threshold")],
    "PB8-T.2": [(SIGN, "age grows")],
    "PB8-T.3": [(SIGN, "api timeouts")],
    "PB8-M.1": [(CMD, "scale {worker} --replicas")],
    "PB8-M.2": [(HTTP, "rate_limit low"), (HTTP, "api.backpressure /on")],
    "PB8-M.3": [
        (CMD, "add_consumer {critical_queue}"),
        (CMD, "cancel_consumer {minor_queue}"),
        (CMD, "purge -Q {minor_queue}"),
    ],
    "PB8-M.4": [(CMD, "inspect active"), (CMD, "pg_blocking_pids"), (ASK, "lock dependency outside")],
    "PB8-R.1": [(WAIT, "depth age thresholds"), (CMD, "add_consumer {minor_queue}")],
    "PB8-R.2": [(CMD, 'patch cronjob/{cronjob} "suspend":false'), (HTTP, "scheduler.enabled /on")],
    "PB9-T.1": [(SIGN, "primary not answer")],
    "PB9-T.2": [(SIGN, "failover")],
    "PB9-T.3": [(SIGN, "replicas old data")],
    "PB9-M.1": [(CMD, "promote-replica {db_replica}"), (CMD, "patch {db_primary} --activation-policy=NEVER")],
    "PB9-M.2": [(ACT, "set_runtime_mode read_only")],
    "PB9-M.3": [(HTTP, "writes.queue /on")],
    "PB9-M.4": [(HTTP, "/endpoints/{heavy_endpoint}/rate low")],
    "PB9-M.5": [(CMD, "create job cache-warmer")],
    "PB9-M.6": [(CMD, "pg_last_xact_replay_timestamp"), (HAND, "loss time objectives")],
    "PB9-P.1": [(HAND, "game day failover")],
    "PB9-P.2": [(HAND, "timeouts connection pools")],
    "PB10-T.1": [(SIGN, "calls nobody made")],
    "PB10-T.2": [(SIGN, "secret repository")],
    "PB10-T.3": [(SIGN, "passwords tried")],
    "PB10-M.1": [
        (CMD, "versions add {secret}"),
        (CMD, "--update-secrets"),
        (CMD, "versions disable {old_version}"),
        (ACT, "revoke_credential"),
    ],
    "PB10-M.2": [(HTTP, "POST revoke_all")],
    "PB10-M.3": [(CMD, "api-keys update --allowed-ips")],
    "PB10-M.4": [(CMD, "security-policies rules create deny-403")],
    "PB10-M.5": [(HTTP, "require_mfa /on")],
    "PB10-P.1": [(HAND, "scan secrets before commit")],
    "PB10-P.2": [(HAND, "tokens short life")],
    "PB10-P.3": [(HAND, "tighten scopes")],
    "PB11-T.1": [(SIGN, "wrong sources out of date"), (SIGN, "wrong sources planted")],
    "PB11-T.2": [(SIGN, "cache rated low")],
    "PB11-M.1": [(CMD, "EVAL UNLINK {key_pattern}"), (CMD, "FLUSHDB")],
    "PB11-M.2": [(HTTP, "/domains/{domain}/cag_fallback off")],
    "PB11-M.3": [(CMD, "create job source-fetch")],
    "PB11-M.4": [(HTTP, "pin_sources /on")],
    "PB11-M.5": [(HTTP, "freshness_checks /on")],
    "PB11-P.1": [(HAND, "detectors drift")],
    "PB11-P.2": [(HAND, "cached end")],
    "PB11-P.3": [(HAND, "retriever provenance")],
    "PB12-T": [(SIGN, "scan high critical runs")],
    "PB12-M.1": [(CMD, "lock {package}=={safe_version}")],
    "PB12-M.2": [(CMD, "builds submit {image}"), (CMD, "trivy --exit-code {image}")],
    "PB12-M.3": [(CMD, "deploy --no-traffic canary"), (CMD, "canary={share}"), (CMD, "canary=100")],
    "PB12-M.4": [(HAND, "block {bad_version} pipeline")],
    "PB12-P.1": [(HAND, "images attested")],
    "PB12-P.2": [(HAND, "audit dependencies schedule")],
}
WHERE = {
    "TR": "triage",
    "M": "mitigation",
    "F": "mitigation",
    "R": "recovery",
    "C": "comms",
    "N": "comms",
    "P": "post",
}


def row(part: str) -> tuple[int, str]:
    """Number of the playbook and the letters of the row: `PB1-TR.2` is (1, TR)."""
    found = re.fullmatch(r"PB(\d+)-([A-Z]+)(?:\.\d)?", part)
    assert found is not None
    return int(found[1]), found[2]


@pytest.mark.req("S002-PB-0")
def test_every_part_of_every_row_is_looked_at() -> None:
    rows = [each for id, each in requirements.known().items() if re.match(r"S002-PB\d", id)]
    assert len(rows) == 43
    assert {f"S002-{part}" for part in ELEMENTS} == {part for each in rows for part in each.part_ids}


def held(text: str, words: str) -> bool:
    return all(word.lower() in text.lower() for word in words.split())


@pytest.mark.parametrize(
    ("part", "kind", "words"),
    [
        pytest.param(part, kind, words, id=f"{part}-{at}", marks=pytest.mark.req(f"S002-{part}"))
        for part, carriers in ELEMENTS.items()
        for at, (kind, words) in enumerate(carriers, 1)
    ],
)
def test_an_element_of_the_source_is_carried_by_what_it_means(part: str, kind: str, words: str) -> None:
    number, letters = row(part)
    playbook = SCENARIOS[number]
    if kind == SIGN:
        signs: list[Trigger] = [each for each in playbook.triggers if f"S002-{part}" in each.sources]
        assert [each for each in signs if held(each.text, words)]
        return
    there = getattr(playbook, WHERE[letters]).steps
    carriers = [step for step in there if f"S002-{part}" in step.sources]
    assert [step.id for step in carriers if step.kind == kind and held(does(step), words)], (
        f"none of {[step.id for step in carriers]} is a {kind} with {words}"
    )


@pytest.mark.req("S002-PB-0", "X-23")
def test_twelve_scenarios_each_with_six_sections_of_its_own_or_of_the_default() -> None:
    assert sorted(SCENARIOS) == list(range(1, 13))
    for written in SCENARIOS.values():
        playbook = load.playbook(written.id)
        assert playbook.triggers
        assert all(content.steps for _, content in playbook.sections()), playbook.id


EMPTY = {
    1: set(),
    2: {"triage", "comms"},
    3: {"triage", "recovery", "comms"},
    4: {"triage", "recovery"},
    5: {"triage", "recovery"},
    **{number: {"triage", "recovery", "comms"} for number in (6, 7, 9, 10, 11, 12)},
    8: {"triage", "comms", "post"},
}


@pytest.mark.req("X-23")
@pytest.mark.parametrize("number", SCENARIOS)
def test_what_the_source_leaves_empty_is_taken_over_from_the_default(number: int) -> None:
    written = SCENARIOS[number]
    assert {name for name, content in written.sections() if not content.steps} == EMPTY[number]
    whole = load.playbook(written.id)
    for name in EMPTY[number]:
        assert getattr(whole, name) == getattr(DEFAULT, name)
    ids = [step.id for step in whole.steps()]
    assert len(ids) == len(set(ids))
    asked = {value.name for value in whole.values}
    assert {name for step in whole.steps() for name in step.placeholders()} <= asked


@pytest.mark.req("X-23", "S000-FL-1")
def test_the_default_has_every_section_and_contains_in_the_fixed_order() -> None:
    assert [name for name, content in DEFAULT.sections() if content.steps] == list(SECTIONS)
    order = ["S000-CO-1", "S000-CO-2", "S000-CO-3", "S000-CO-4"]
    first = [
        next(at for at, step in enumerate(DEFAULT.mitigation.steps) if wanted in step.sources)
        for wanted in order
    ]
    assert first == sorted(first)
    verbs = [step.action.verb for step in DEFAULT.mitigation.steps if step.action]
    assert [each for each in verbs if each.startswith(("set_runtime", "revoke", "route_to"))] == [
        "set_runtime_mode",
        "revoke_credential",
        "route_to_fallback",
    ]
    # Evidence that disappears is asked for at once, beside containment and not after it.
    assert DEFAULT.triage.steps[0].action is not None
    assert DEFAULT.triage.steps[0].action.verb == "preserve_evidence"


@pytest.mark.req("X-7")
def test_the_default_asks_how_wide_the_first_stop_is_and_leads_to_each_of_the_four() -> None:
    question = next(step for step in DEFAULT.mitigation.steps if "X-7" in step.sources)
    assert question.decision is not None
    ways = [DEFAULT.step(option.then or "") for option in question.decision.options]
    assert [way.action.verb for way in ways if way and way.action] == [
        "halt_all",
        "halt_agent",
        "halt_tool",
        "quarantine_actions",
    ]


# Severity.


def proposals(number: int, *sources: str) -> list[int]:
    return [each.proposes for each in SCENARIOS[number].triggers if set(sources) <= set(each.sources)]


@pytest.mark.req("X-4", "S002-PB1-T.2", "S002-SEV-1")
def test_one_request_in_twenty_proposes_2_and_half_of_them_or_two_regions_1() -> None:
    said = {each.text: each.proposes for each in SCENARIOS[1].triggers}
    assert next(value for text, value in said.items() if "5 % of" in text and "5 min" in text) == 2
    assert next(value for text, value in said.items() if "50 %" in text) == 1
    assert next(value for text, value in said.items() if "more than one region" in text.lower()) == 1


@pytest.mark.req("X-2")
def test_an_injection_is_graded_by_what_came_of_it() -> None:
    said = {each.text: each.proposes for each in SCENARIOS[3].triggers if "X-2" in each.sources}
    graded = [
        next(value for text, value in said.items() if held(text, words))
        for words in ("stopped nothing past", "passed no effect", "had an effect data")
    ]
    assert graded == [3, 2, 1]


@pytest.mark.req("X-3", "S000-CL-2")
def test_a_cost_runaway_is_a_2_that_is_lowered_with_a_reason_only() -> None:
    playbook = SCENARIOS[6]
    assert playbook.severity == 2
    assert {each.proposes for each in playbook.triggers} == {2}
    lowered = [step for step in playbook.steps() if step.action and step.action.verb == "set_severity"]
    assert len(lowered) == 1
    assert lowered[0].action is not None
    assert len(lowered[0].action.args["reason"]) > 20
    (asked,) = [s for s in playbook.steps() if s.decision and "X-3" in s.sources]
    assert asked.decision is not None
    assert [option.then for option in asked.decision.options] == ["batch", lowered[0].id]


@pytest.mark.req("S000-CL-4", "X-29", "S002-SEV-1")
def test_breach_and_isolation_are_led_by_security_at_1_and_the_others_can_be_handed_over() -> None:
    for number in (4, 5):
        assert SCENARIOS[number].security_led
        assert SCENARIOS[number].severity == 1
        assert {each.proposes for each in SCENARIOS[number].triggers} == {1}
    for number in (3, 10, 12):
        assert not SCENARIOS[number].security_led
        (way,) = {
            option.then
            for step in SCENARIOS[number].steps()
            for option in (step.decision.options if step.decision else ())
            if "security lead takes over" in option.text
        }
        given = SCENARIOS[number].step(way or "")
        assert given is not None
        assert given.action is not None
        assert given.action.verb == "security_led"
    assert SCENARIOS[4].mitigation.steps[0].action is not None
    assert SCENARIOS[4].mitigation.steps[0].action.verb == "security_led"


def test_a_used_up_error_budget_opens_the_outage() -> None:
    (sign,) = (each for each in SCENARIOS[1].triggers if "error budget" in each.text)
    assert (sign.proposes, sign.sources) == (2, ("S002-SLO-1",))


# What holds for every step.


@by_step
@pytest.mark.req("S002-META-2")
def test_a_step_has_an_owner_and_says_what_should_happen_and_how_it_is_seen(at: At) -> None:
    assert at.step.role in ROLES
    assert set(at.step.approvers) <= ROLES
    if at.step.kind != "decision":
        assert len(at.step.expect) > 10
        assert len(at.step.verify) > 10
        assert at.step.expect != at.step.verify


@each(at for at in ALL if at.step.action)
def test_an_action_is_a_verb_of_the_catalogue_with_just_its_arguments(at: At) -> None:
    assert at.step.action is not None
    move = MOVES[at.step.action.verb]
    assert set(at.step.action.args) == set(move.args)
    assert at.step.destroys_evidence >= move.destroys_evidence


@each(at for at in ALL if at.step.destroys_evidence)
@pytest.mark.req("X-17")
def test_a_copy_is_kept_before_evidence_is_destroyed(at: At) -> None:
    order = [step.id for step in at.playbook.steps()]
    assert at.step.snapshot in order[: order.index(at.step.id)]
    copy = at.playbook.step(at.step.snapshot or "")
    assert copy is not None
    assert not copy.destroys_evidence
    assert copy.reach == "nothing" or copy.kind == "manual"
    assert at.step.approval == (1, 2, 3, 4, 5)
    assert not at.step.automatic


DESTROYERS = re.compile(
    r"FLUSHDB|UNLINK|purge|versions disable|delete jobs|revoke_all|replicas=0|activation-policy=NEVER"
)


@each(at for at in ALL if at.step.kind != "manual" and DESTROYERS.search(does(at.step)))
@pytest.mark.req("X-17", "S002-SN-11", "S002-SN-13")
def test_what_destroys_says_so(at: At) -> None:
    assert at.step.destroys_evidence


def test_there_are_steps_that_destroy() -> None:
    found = {match for at in ALL if at.step.kind != "manual" for match in DESTROYERS.findall(does(at.step))}
    assert len(found) == 8


@each(at for at in ALL if at.step.automatic)
@pytest.mark.req("S000-AR-1")
def test_a_step_runs_by_itself_only_where_its_reach_is_limited_and_can_be_taken_back(at: At) -> None:
    assert at.step.reach.startswith("one ")
    assert at.section == "mitigation"
    assert not at.step.approval
    assert at.step.kind in ("http", "action")


@pytest.mark.req("S000-AR-1")
def test_one_tenant_and_a_lighter_model_may_go_by_themselves_and_all_tenants_may_not() -> None:
    automatic = {f"{at.playbook.id}/{at.step.id}" for at in ALL if at.step.automatic}
    assert {
        "cost-runaway/clamp-tenant",
        "cost-runaway/lighter-model",
        "provider-outage/fail-over",
    } <= automatic
    wide = [at.step for at in ALL if at.step.http and "/tenants/*/" in at.step.http.url]
    assert wide
    assert not any(step.automatic for step in wide)


@each(at for at in ALL if at.section == "recovery" and at.step.kind in ("command", "http", "action"))
@pytest.mark.req("S000-AR-2", "X-12")
def test_at_sev_1_a_person_agrees_to_every_step_that_brings_something_back(at: At) -> None:
    assert not at.step.automatic
    assert 1 in at.step.approval
    assert "ic" in at.step.approvers


@each(at for at in ALL if at.section in ("mitigation", "recovery") and acts(at.step))
@pytest.mark.req("X-18")
def test_a_stop_or_a_way_back_is_not_held_up_by_the_incidents_own_freeze_and_new_code_is(at: At) -> None:
    """Both what stops or restores and what is new would be a change; only the second needs a word about it."""
    new_code = bool(re.search(r"set image|run deploy|--to-tags|policy_file", does(at.step)))
    assert at.step.freeze_exempt is not new_code


@pytest.mark.req("X-18", "S002-CK-3")
def test_a_freeze_is_set_before_the_rollback_that_it_lets_through() -> None:
    order = [step.id for step in SCENARIOS[1].steps()]
    for back in ("roll-back-revision", "roll-back-deployment"):
        step = SCENARIOS[1].step(back)
        assert step is not None
        assert step.freeze_exempt
        assert order.index("freeze") < order.index(back) < order.index("unfreeze")


def ways(playbook: Playbook) -> Iterator[list[Step]]:
    """Every way through a playbook: for each decision, each of its options."""
    order = list(playbook.steps())
    place = {step.id: at for at, step in enumerate(order)}

    def on(at: int, way: list[Step]) -> Iterator[list[Step]]:
        if at == len(order):
            yield way
            return
        step = order[at]
        options = step.decision.options if step.decision else ()
        for then in {option.then for option in options} or {step.then}:
            follows = place[then] if then else at + 1
            assert follows > at, f"{step.id} goes back to {then}"
            yield from on(follows, [*way, step])

    return on(0, [])


@by_playbook
@pytest.mark.req("X-17")
def test_no_decision_leads_past_the_copy_of_what_is_destroyed(playbook: Playbook) -> None:
    for way in ways(playbook):
        seen = set()
        for step in way:
            assert not step.destroys_evidence or step.snapshot in seen, step.id
            seen.add(step.id)


@by_playbook
def test_every_step_lies_on_some_way(playbook: Playbook) -> None:
    assert {step.id for way in ways(playbook) for step in way} == {step.id for step in playbook.steps()}


@pytest.mark.req("X-7")
def test_only_the_halt_that_was_chosen_is_walked_through() -> None:
    halts = {"contain-halt-all", "contain-halt-agent", "contain-halt-tool", "contain-queue"}
    assert {tuple(step.id for step in way if step.id in halts) for way in ways(DEFAULT)} == {
        (halt,) for halt in halts
    }


@pytest.mark.req("S002-PB12-M.3")
def test_what_was_rolled_back_is_not_rolled_out_next() -> None:
    ends = {"full-rollout", "roll-back"}
    assert {tuple(s.id for s in way if s.id in ends) for way in ways(SCENARIOS[12])} == {
        ("roll-back",),
        ("full-rollout",),
    }


# What can be run.


def commands() -> Iterator[tuple[At, tuple[str, ...]]]:
    for at in ALL:
        if at.step.command:
            yield at, at.step.command.argv
            if at.step.command.dry_run:
                yield at, at.step.command.dry_run
        if at.step.wait and isinstance(at.step.wait.check, Command):
            yield at, at.step.wait.check.argv


COMMANDS = list(commands())
by_command = pytest.mark.parametrize(
    ("at", "argv"), COMMANDS, ids=[f"{at.playbook.id}-{at.step.id}" for at, _ in COMMANDS]
)
PROGRAMS = {"gcloud", "kubectl", "redis-cli", "celery", "psql", "trivy", "uv", "promptfoo"}


@by_command
@pytest.mark.req("S002-META-2")
def test_a_command_is_a_program_and_its_arguments(at: At, argv: tuple[str, ...]) -> None:
    assert argv[0] in PROGRAMS
    assert shell(argv) == ""
    assert all(each.strip() == each for each in argv)
    if argv[0] == "gcloud" and not any("gs://" in each for each in argv):
        assert "--project={gcp_project}" in argv, (
            "whatever project is the default on this machine would be meant"
        )
    if argv[0] == "kubectl" and argv[1] != "cordon":
        assert argv[1:3] == ("-n", "{namespace}")
    if argv[0] == "redis-cli":
        assert argv[1] == "-h"


@each(
    at
    for at in ALL
    if at.step.command and at.step.command.argv[0] == "kubectl" and at.step.reach != "nothing"
)
@pytest.mark.req("S002-META-2")
def test_kubectl_tries_on_the_server_what_changes_something(at: At) -> None:
    assert at.step.command is not None
    assert "--dry-run=server" in at.step.command.dry_run
    tried = [part for part in at.step.command.dry_run if part not in ("--dry-run=server", "-o", "name")]
    assert tried == [part for part in at.step.command.argv if part != "--wait=false"]


@each(at for at in ALL if at.step.command and at.step.command.dry_run)
@pytest.mark.req("S002-META-2")
def test_a_dry_run_has_no_effect(at: At) -> None:
    assert at.step.command is not None
    dry = at.step.command.dry_run
    if dry[0] == "redis-cli":
        assert not {"UNLINK", "DEL", "SET"} & set(re.findall(r"[A-Z]+", " ".join(dry)))
    else:
        assert {"--dry-run=server", "--dry-run"} & set(dry)


@by_playbook
@pytest.mark.req("S002-SN-16")
def test_every_placeholder_has_a_value_with_a_pattern_and_an_example(playbook: Playbook) -> None:
    used = {name for step in playbook.steps() for name in step.placeholders()}
    assert used == {value.name for value in playbook.values}
    for value in playbook.values:
        assert value.ask
        assert value.example
        assert value.accepts(value.example)
        check(Asked(value.name, value.ask, value.pattern, value.example), value.example)


HOSTILE = [
    "-rf",
    "--all",
    "a\nb",
    "a;rm -rf /",
    "$(id)",
    "`id`",
    "a'b",
    'a"b',
    "a|b",
    "{other}",
    " ",
    "a&b",
    "é\0",
]


@by_playbook
@pytest.mark.req("S002-SN-16")
@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_of_a_command_or_a_request_can_be_more_than_a_name(playbook: Playbook, text: str) -> None:
    run = {
        name
        for step in playbook.steps()
        for part in chain(
            step.command.argv if step.command else (),
            (step.http.url, step.http.body) if step.http else (),
        )
        for name in PLACEHOLDER.findall(part)
    }
    taken = [value.name for value in playbook.values if value.name in run and value.accepts(text)]
    assert taken == []


@each(at for at in ALL if at.step.http and at.step.http.method != "GET")
def test_a_secret_comes_from_the_environment_and_the_responder_is_told_from_where(at: At) -> None:
    assert at.step.http is not None
    sent = at.step.http.headers["Authorization"]
    assert re.fullmatch(r"((Bearer|Basic) )?env:WARROOM_[A-Z_]+", sent)
    notes = at.playbook.mitigation.note + getattr(at.playbook, at.section).note
    assert sent.rpartition("env:")[2] in notes


SNIPPETS = {
    "SN-1": (1, "gcloud run services update-traffic {service} --to-revisions=LATEST=0"),
    "SN-2": (1, "gcloud run services update-traffic {service} --to-revisions={good_rev}=100"),
    "SN-3": (1, "kubectl rollout undo deployment/{deployment}"),
    "SN-4": (6, "kubectl scale deployment/{orchestrator} --replicas=0"),
    "SN-5": (6, "POST /features/orchestrator.autonomy/ /off"),
    "SN-6": (6, "POST /features/scheduler.enabled/ /off"),
    "SN-7": (6, "POST /features/tools.high_psu/ /off"),
    "SN-8": (6, 'PUT /tenants/*/psu_daily_cap "value": 0'),
    "SN-9": (6, 'PUT /tenants/{tenant}/llm_rate "low"'),
    "SN-10": (11, "redis-cli INFO"),
    "SN-11.1": (11, "redis-cli FLUSHDB"),
    "SN-11.2": (11, "redis-cli EVAL UNLINK {key_pattern}"),
    "SN-12": (11, "redis-cli EVAL MATCH UNLINK {key_pattern}"),
    "SN-13": (8, "celery -A {celery_app} purge -f -Q {minor_queue}"),
    "SN-14": (10, "gcloud secrets versions add {secret} --data-file={secret_file}"),
    "SN-14-roll": (10, "gcloud run services update {service} --update-secrets={secret}={secret}:latest"),
    "SN-15": (10, "POST {api_url}/api/v1/auth/sessions/revoke_all"),
}


@pytest.mark.parametrize(
    ("part", "number", "words"),
    [
        pytest.param(
            part.removesuffix("-roll"),
            *value,
            id=part,
            marks=pytest.mark.req(f"S002-{part.removesuffix('-roll')}"),
        )
        for part, value in SNIPPETS.items()
    ],
)
def test_a_snippet_of_the_source_can_be_run_where_it_belongs(part: str, number: int, words: str) -> None:
    carriers = [step for step in SCENARIOS[number].steps() if f"S002-{part}" in step.sources]
    assert [step.id for step in carriers if held(does(step), words) and step.kind in ("command", "http")]


@pytest.mark.req("S002-SN-10")
def test_who_looks_at_the_cache_is_told_where_memory_and_evictions_stand() -> None:
    step = SCENARIOS[11].step("inspect-cache")
    assert step is not None
    assert step.reach == "nothing"
    assert all(name in step.expect for name in ("used_memory", "evicted_keys"))


@pytest.mark.parametrize("number", [4, 10])
@pytest.mark.req("S002-SN-15")
def test_ending_every_session_takes_an_administrator_and_an_approval_at_every_level(number: int) -> None:
    (step,) = (each for each in SCENARIOS[number].steps() if "S002-SN-15" in each.sources)
    assert step.http is not None
    assert step.http.headers["Authorization"] == "Bearer env:WARROOM_ADMIN_TOKEN"
    assert step.approval == (1, 2, 3, 4, 5)
    assert set(step.approvers) == {"security", "ic"}
    assert not step.automatic


@pytest.mark.req("S002-COM-1")
def test_the_commander_opens_the_channel() -> None:
    (step,) = (each for each in DEFAULT.steps() if "S002-COM-1" in each.sources)
    assert step.action is not None
    assert (step.role, step.action.verb, step.action.args) == ("ic", "open_channel", {"name": "{channel}"})
    (value,) = (each for each in DEFAULT.values if each.name == "channel")
    assert value.accepts("inc-20261121-refund-loop")
    assert not value.accepts("refund-loop")


@pytest.mark.req("S002-PB4-M", "S002-PB4-N")
def test_a_breach_is_contained_by_security_and_told_by_who_answers_for_it() -> None:
    steps = [(each, [s for s in each.sources if s.startswith("S002-PB4-")]) for each in SCENARIOS[4].steps()]
    isolating = {each.role for each, rows in steps if {"S002-PB4-M.1", "S002-PB4-M.4"} & set(rows)}
    assert isolating == {"security"}
    assert [each.role for each, rows in steps if "S002-PB4-N.1" in rows] == ["ic", "security"]
    assert {each.role for each, rows in steps if "S002-PB4-N.2" in rows} == {"comms"}


@pytest.mark.req("S002-SN-11", "S002-SN-12")
def test_keys_go_by_pattern_first_and_the_flush_is_asked_for() -> None:
    order = [step.id for step in SCENARIOS[11].steps()]
    assert order.index("delete-keys") < order.index("enough") < order.index("flush")
    asked = SCENARIOS[11].step("enough")
    assert asked is not None
    assert asked.decision is not None
    ways = {option.id: option.then for option in asked.decision.options}
    assert ways == {"enough": "pin-sources", "flush": "flush"}
    (pattern,) = [value for value in SCENARIOS[11].values if value.name == "key_pattern"]
    assert pattern.accepts("cag:acme:model:*")
    assert not pattern.accepts("*")
    assert not pattern.accepts("**:x")


@pytest.mark.req("S002-SN-13")
def test_the_purge_waits_for_a_person_and_names_its_queue() -> None:
    step = SCENARIOS[8].step("purge-minor")
    assert step is not None
    assert step.approval == (1, 2, 3, 4, 5)
    assert step.snapshot == "copy-queue"
    assert step.command is not None
    assert step.command.argv[-2:] == ("-Q", "{minor_queue}")


@pytest.mark.req("S002-SN-14", "S002-PB10-M.1")
def test_a_secret_is_added_then_used_and_only_then_is_the_old_one_disabled() -> None:
    order = [step.id for step in SCENARIOS[10].steps()]
    assert order.index("new-version") < order.index("roll-service") < order.index("disable-old")
    assert not any("destroy" in does(step).split() for step in SCENARIOS[10].steps() if step.command)


@pytest.mark.req("S002-PB9-M.1")
def test_the_old_primary_is_fenced_before_a_replica_is_promoted() -> None:
    order = [step.id for step in SCENARIOS[9].steps()]
    assert order.index("lag") < order.index("fence") < order.index("promote")


@pytest.mark.req("S002-PB12-M.3")
def test_a_patched_image_takes_a_share_before_it_takes_all() -> None:
    order = [step.id for step in SCENARIOS[12].steps()]
    names = ["rebuild", "scan-image", "deploy-canary", "canary-traffic", "watch-canary", "full-rollout"]
    assert [each for each in order if each in names] == names
    share = next(value for value in SCENARIOS[12].values if value.name == "share")
    assert share.accepts("5")
    assert not share.accepts("100")
    assert not share.accepts("0")


@pytest.mark.req("S002-PB1-R.2", "X-15")
@pytest.mark.parametrize(("playbook", "step"), [(SCENARIOS[1], "stable"), (DEFAULT, "recover-stable")])
def test_an_hour_of_quiet_stands_before_the_end_of_the_freeze(playbook: Playbook, step: str) -> None:
    order = [each.id for each in playbook.recovery.steps]
    held_up = playbook.step(step)
    assert held_up is not None
    assert held_up.wait is not None
    assert held_up.wait.least == 3600
    after = playbook.recovery.steps[order.index(step) + 1]
    assert after.action is not None
    assert after.action.verb == "lift_freeze"


@pytest.mark.req("X-8")
def test_work_off_is_not_halt_and_not_review() -> None:
    words = " ".join(step.text for step in SCENARIOS[8].recovery.steps).lower()
    assert "work the backlog off" in words
    assert "drain" not in words
    assert not any(at.step.action and "drain" in at.step.action.verb for at in ALL)


# What it leads to.

OUTSIDE = {
    *("observability-runbook", "slos", "security-guidelines", "threat-model", "eval-plan", "tool-specs"),
    *("model-card", "prompt-library", "versioning-policy", "api-governance", "deployment-infrastructure"),
}


@pytest.mark.req("S002-XR-1", "S002-META-2")
def test_the_playbooks_lead_to_every_document_that_the_source_names() -> None:
    named = {each[4:] for playbook in OURS for each in playbook.references if each.startswith("org:")}
    assert named == OUTSIDE
    for number, wanted in {4: "security-guidelines", 5: "threat-model", 7: "eval-plan", 1: "slos"}.items():
        assert f"org:{wanted}" in SCENARIOS[number].references


@by_playbook
@pytest.mark.req("S002-XR-1")
def test_a_reference_into_the_library_leads_to_a_document(playbook: Playbook) -> None:
    inside = [each for each in playbook.references if not each.startswith("org:")]
    assert inside
    folder = load.LIBRARY / "responses"
    assert [each for each in inside if not (folder / each).resolve().is_file()] == []


@by_playbook
@pytest.mark.req("X-24")
def test_a_playbook_is_sorted_by_types_codes_and_classes_that_exist(playbook: Playbook) -> None:
    from playbooks.guidance import Tags

    axes = {axis.id: {tag.id for tag in axis.tags} for axis in load.only(Tags).axes}
    assert set(playbook.types) <= axes["type"]
    assert set(playbook.codes) <= axes["code"]
    assert set(playbook.classes) <= CLASSES
    public = axes["owasp-asi"] | axes["owasp-mcp"] | axes["mitre-atlas"]
    functions = {f"csf-{each}" for each in ("identify", "protect", "detect", "respond", "recover", "govern")}
    assert set(playbook.tags) <= public | functions
    assert "csf-respond" in playbook.tags


@each(at for at in ALL if at.step.action and at.step.action.verb == "preserve_evidence")
@pytest.mark.req("S000-CP-7")
def test_what_is_to_be_preserved_has_a_name_in_the_evidence_schema(at: At) -> None:
    from console.evidence import schema

    assert at.step.action is not None
    names = at.step.action.args["items"].split(",")
    assert [name for name in names if schema.field(name) is None] == []


@each(at for at in ALL if at.step.action and at.step.action.verb == "draft_update")
def test_a_draft_is_made_from_a_template_that_exists(at: At) -> None:
    from playbooks.guidance import Messages

    assert at.step.action is not None
    templates = {each.id for document in load.documents(Messages) for each in document.templates}
    assert at.step.action.args["template"] in templates


@pytest.mark.req("X-9")
def test_undoing_effects_and_rolling_back_a_release_are_never_one_step() -> None:
    undo = [at.step for at in ALL if at.step.action and at.step.action.verb == "open_rollback"]
    assert undo
    assert not any({"S001-CO-6", "S000-IT-1A"} & set(step.sources) for step in undo)
    assert all(step.action and step.action.args["class"] in {*CLASSES, "{action_class}"} for step in undo)
