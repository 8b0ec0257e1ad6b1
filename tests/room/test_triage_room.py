"""Forms, tags, escalation, who leads, handover and who can, in a room on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console import authority, forms, handover, routing, severity, tagging
from console import events as ev
from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from console.runner.player import Player
from data.clock import ManualClock
from data.home import Home
from playbooks import load
from tests.room.strand import SECOND, T0
from tests.room.test_incident import facts


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Desk]:
    opened = await Desk.open(Home.open(tmp_path / "home", clock=clock), "ana")
    yield opened
    await opened.close()


@pytest.fixture
async def room(desk: Desk) -> Room:
    return await desk.declare("refunds in a loop", 3)


FORM = forms.form(forms.SEVERITY)
CALM = {
    "data-security": "no", "harm": "no", "guardrail": "not involved", "reach": "one feature or one tenant",
    "slo": "no", "trouble": "no",
}  # fmt: skip


# -- severity and forms ------------------------------------------------------------------------------------


@pytest.mark.req("S002-SEV-7", "X-1")
async def test_nothing_known_is_suggested_as_the_second_level_and_changes_nothing(room: Room) -> None:
    found = severity.suggest(room.incident)
    assert (found.severity, found.label) == (2, "SEV-2")
    assert found.proposal.rule.startswith("unsure")
    assert "not known" in found.proposal.reason
    assert room.incident.severity == 3


@pytest.mark.req("X-1")
async def test_the_suggestion_is_named_as_the_profile_of_the_incident_names_it(desk: Desk) -> None:
    desk.profile = "s001-10min"
    room = await desk.declare("wrong answers", 3)
    await forms.answer(room, FORM, {**CALM, "trouble": "yes"}, decided="S2")
    state = room.incident
    assert (state.severity, state.label) == (2, "S2"), "the number, and the name that stood there"
    assert severity.suggest(state).label == "S2"


@pytest.mark.req("X-24", "S000-CL-2", "X-3")
async def test_of_several_types_the_one_that_weighs_most_speaks(room: Room) -> None:
    await room.tag("quality-regression")
    assert severity.suggest(room.incident, CALM).severity == 3
    await room.tag("cost-spike")
    found = severity.suggest(room.incident, CALM)
    assert (found.severity, found.proposal.rule, found.filled.derived["type"]) == (2, "cost", "tagged so")


async def test_the_answers_stay_and_a_person_decides(room: Room) -> None:
    event, filled = await forms.answer(room, FORM, {**CALM, "type": "cost-spike"})
    body = ev.read(event)
    assert isinstance(body, ev.FormAnswered)
    assert (body.proposal, body.rule, body.decided) == ("2", "cost", "")
    assert body.because.startswith("Spending that runs away")
    assert room.incident.severity == 3, "the form proposes"
    with pytest.raises(Refused, match="proposes 2, and you decide 4"):
        await forms.answer(room, FORM, {}, decided="4")
    await forms.answer(room, FORM, {}, decided="4", reason="the limit of the tenant holds")
    state = room.incident
    assert (state.severity, state.label) == (4, "SEV-4")
    kept = state.triage.forms[FORM.id]
    assert kept.answers == filled.answers, "what was answered before goes on counting"
    assert (kept.body.decided, kept.body.reason) == ("4", "the limit of the tenant holds")
    assert "type" not in state.triage.tags or state.triage.types == ("cost-spike",)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"harms": "no"}, "no question"), ({"harm": "perhaps"}, "takes"), ({}, "Nothing was answered")],
)
async def test_an_answer_that_fits_no_question_changes_nothing(
    room: Room, given: dict[str, str], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        await forms.answer(room, FORM, given)
    assert room.incident.triage.forms == {}


@pytest.mark.req("S001-CK-4", "S001-RR-0", "S004-RL-1")
async def test_what_nobody_knows_speaks_for_the_careful_way_and_the_commander_decides(room: Room) -> None:
    form = forms.form("rollback")
    _, filled = await forms.answer(room, form, {"one-tool": "yes"})
    assert filled.proposal is not None
    assert filled.proposal.proposes == "full rollback"
    assert "blast-radius" in filled.proposal.counted_as_no
    await forms.answer(room, form, {}, decided="fallback", reason="the lane is proven")
    assert room.incident.triage.forms[form.id].body.decided == "fallback"


@pytest.mark.req("S004-QI-8")
async def test_a_question_that_nobody_can_answer_is_a_finding_once(room: Room) -> None:
    form = forms.form("seven")
    await forms.answer(room, form, {"principal": "unknown"})
    (finding,) = room.incident.findings
    assert "principal" in finding
    await forms.answer(room, form, {"principal": "unknown", "trigger": "a mail"})
    assert room.incident.findings == [finding], "not asked is not unanswerable, and said twice is one finding"


async def test_answers_on_the_record_that_the_form_does_not_take_are_left_out(room: Room) -> None:
    told = {"harm": "perhaps", "nosuch": "yes", "trouble": "no"}
    answers = tuple(ev.Answer(name, text) for name, text in told.items())
    await room.record(ev.FormAnswered(forms.SEVERITY, answers))
    assert forms.fill(FORM, room.incident, {}).answers == {"trouble": "no"}
    assert severity.suggest(room.incident).severity == 2
    await forms.answer(room, FORM, {"harm": "yes"})
    assert room.incident.triage.forms[forms.SEVERITY].answers == {"trouble": "no", "harm": "yes"}


# -- the security lead ------------------------------------------------------------------------------------


@pytest.mark.req("S000-CL-4", "X-29", "S001-SEV-4")
async def test_a_data_security_incident_switches_at_once(room: Room) -> None:
    room.regimes = ("gdpr",)
    await forms.answer(room, FORM, {"data-security": "yes"})
    state = room.incident
    assert (state.severity, state.label) == (1, "SEV-1")
    assert state.triage.led is not None
    assert {"security", "legal-privacy", "executives"} <= {each.who for each in routing.outstanding(state)}
    limits = {limit.clock.id: limit for limit in routing.limits(state)}
    assert limits["gdpr-33"].due == T0 + 72 * 3600 * SECOND


@pytest.mark.req("X-29")
async def test_no_legal_clock_runs_that_nobody_configured(room: Room) -> None:
    await room.lead_by_security("tenant data may be exposed")
    assert routing.limits(room.incident) == []


@pytest.mark.req("S000-CL-4", "X-24")
@pytest.mark.parametrize("book", ["data-breach", "tenant-isolation"])
async def test_the_tag_of_such_a_playbook_switches_too(room: Room, book: str) -> None:
    await room.tag(book)
    assert room.incident.triage.led is not None
    assert room.incident.severity == 1


@pytest.mark.req("S000-CL-4")
@pytest.mark.parametrize("book", ["data-breach", "tenant-isolation"])
async def test_opening_such_a_playbook_switches_before_any_step_of_it(room: Room, book: str) -> None:
    playbook = next(each for each in load.playbooks() if each.id == book)
    player = Player(room, room.replica)
    await player.open(playbook)
    state = room.incident
    assert state.severity == 1
    assert state.triage.led is not None
    assert playbook.title in state.triage.led.body.reason
    await room.lead_by_commander("nothing was read")
    assert room.incident.triage.led is None, "the word of who leads holds although the playbook is open"


async def test_a_playbook_about_something_else_leaves_the_commander_in_the_lead(room: Room) -> None:
    playbook = next(each for each in load.playbooks() if each.id == "cost-runaway")
    await Player(room, room.replica).open(playbook)
    assert room.incident.triage.led is None
    assert room.incident.severity == 3


async def test_what_comes_second_switches_nothing_again(room: Room) -> None:
    await room.tag("data-breach")
    led = room.incident.triage.led
    await room.set_severity(2, "SEV-2", "contained")
    await room.tag("tenant-isolation")
    assert room.incident.severity == 2
    assert room.incident.triage.led == led


async def test_a_decision_of_a_person_about_the_severity_stands_beside_the_switch(room: Room) -> None:
    await forms.answer(room, FORM, {"data-security": "yes"}, decided="2", reason="only our own test data")
    assert room.incident.severity == 2
    assert room.incident.triage.led is not None


@pytest.mark.req("X-13", "X-29")
async def test_only_who_leads_hands_back_and_the_refusal_says_who(room: Room) -> None:
    await room.lead_by_security("leak")
    await room.assign("security", "sam")
    with pytest.raises(Refused, match=r"ana does not lead .* sam \(security\) can"):
        await room.lead_by_commander("no leak")
    room.actor = "sam"
    await room.lead_by_commander("logs show that nothing was read")
    assert room.incident.lead == "ic"


# -- tags --------------------------------------------------------------------------------------------------


@pytest.mark.req("X-24")
async def test_tags_are_many_on_each_axis_and_independent(room: Room) -> None:
    for tag in ("cost-spike", "policy-bypass", "policy_bypass", "cost-runaway", "external-calls", "asi02"):
        await room.tag(tag)
    tags = {axis: set(has) for axis, has in room.incident.triage.tags.items()}
    assert tags == {
        "type": {"cost-spike", "policy-bypass"}, "code": {"policy_bypass"}, "playbook": {"cost-runaway"},
        "class": {"external-calls"}, "owasp-asi": {"asi02"},
    }  # fmt: skip
    await room.untag("cost-spike", reason="it was the price list")
    assert room.incident.triage.types == ("policy-bypass",)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=pytest.mark.req(f"S004-TX-{n}"))
        for n, code in enumerate(
            (
                "policy_bypass", "unauthorized_side_effect", "dangerous_egress", "memory_contamination",
                "approval_failure", "eval_escape", "agentic_misalignment",
            ),
            1,
        )
    ],
)  # fmt: skip
async def test_every_triage_code_can_be_confirmed(room: Room, code: str) -> None:
    await room.tag(code)
    assert list(room.incident.triage.tags["code"]) == [code]


async def test_a_tag_that_there_is_not_or_that_it_has_already_is_refused(room: Room) -> None:
    with pytest.raises(Refused, match="Did you mean cost-spike"):
        await room.tag("cost-spikes")
    with pytest.raises(Refused, match="no axis kind"):
        await room.tag("cost-spike", "kind")
    await room.tag("cost-spike", "type")
    with pytest.raises(Refused, match="already"):
        await room.tag("cost-spike")
    with pytest.raises(Refused, match="no tag policy-bypass"):
        await room.untag("policy-bypass")


@pytest.mark.req("X-24", "S000-KT-1")
async def test_alerts_and_words_speak_for_tags_and_only_people_set_them(room: Room) -> None:
    assert tagging.proposals(room.incident) == []
    await room.record(ev.AlertLinked(facts(rule="cost-rate")), ev.AlertLinked(facts(id="b", rule="outcome")))
    found = {(each.axis, each.tag): each.reason for each in tagging.proposals(room.incident)}
    assert "cost-rate" in found["type", "cost-spike"]
    assert "outcome" in found["code", "approval_failure"]
    assert ("playbook", "cost-runaway") in found
    await room.state_impact(impact="unusual egress to a host that nobody approved")
    words = {each.tag: each.reason for each in tagging.proposals(room.incident)}
    assert "egress" in words["mcp-compromise"]
    assert room.incident.triage.tags == {}
    await room.tag("cost-spike")
    assert ("type", "cost-spike") not in {(each.axis, each.tag) for each in tagging.proposals(room.incident)}


# -- escalation --------------------------------------------------------------------------------------------


@pytest.mark.req("X-28", "S002-USE-2")
async def test_an_incident_keeps_its_routing_table_and_says_who_waits_and_how_long(
    room: Room, clock: ManualClock
) -> None:
    clock.advance(7 * 60 * SECOND)
    assert str(routing.headline(room.incident, clock.now())) == "tell 1: on-call 7 min"
    await room.tell("on-call", "paged, acknowledged", "kim")
    assert not routing.headline(room.incident, clock.now())
    with pytest.raises(Refused, match="Nobody is called finanse"):
        await room.tell("finanse", "called")
    with pytest.raises(Refused, match="How was finance told"):
        await room.tell("finance", " ")
    with pytest.raises(Refused, match="needs a reason"):
        await room.waive_telling("finance", "")


async def test_closing_says_who_was_never_told(room: Room) -> None:
    assert any("still have to be told: on-call" in each for each in room.unfinished())
    await room.waive_telling("on-call", "declared by on-call")
    assert not any("told" in each for each in room.unfinished())


# -- authority ---------------------------------------------------------------------------------------------


def standing(**people: tuple[str, ...]) -> authority.Standing:
    return authority.standing({name.replace("_", "-"): who for name, who in people.items()})


@pytest.mark.req("X-13", "S003-KS-3")
async def test_a_role_grants_no_halt_and_the_answer_names_who_can(room: Room) -> None:
    known = standing(halt_all=("ben", "dee"), halt_agent=("kim",))
    who = authority.who_can("halt_agent", room.incident, known)
    assert who.people == ("kim", "ben", "dee")
    assert who.may("ana") is False
    assert "ben" in str(who)
    with pytest.raises(Refused, match=r"ana has no authority.*kim \(named for it\), ben"):
        authority.refuse("halt_agent", "ana", room.incident, known)
    authority.refuse("halt_agent", "dee", room.incident, known)


@pytest.mark.req("X-13")
async def test_where_nobody_is_named_nobody_is_refused(room: Room) -> None:
    who = authority.who_can("halt_all", room.incident, standing())
    assert who.may("ana") is None
    assert "on-call engineer" in str(who)
    authority.refuse("halt_all", "ana", room.incident, standing())
    assert authority.who_can("note", room.incident, standing()).may("ana") is True


@pytest.mark.req("X-13")
async def test_the_room_refuses_what_others_are_named_for_and_takes_their_word(room: Room) -> None:

    def state(name: str) -> str:
        return room.incident.rollback[name].state

    room.authority = {"rollback-database-writes": ("kim",), "change-freeze": ("olga",)}
    await room.move_rollback("database-writes", "open", "", 12)
    with pytest.raises(Refused, match=r"ana has no authority.*kim \(named for it\) can"):
        await room.move_rollback("database-writes", "reversing", "kimberley says so")
    assert state("database-writes") == "open"
    await room.move_rollback("database-writes", "reversing", "Kim: restore from the copy of 14:00")
    await room.move_rollback("database-writes", "reversed")
    assert state("database-writes") == "reversed", "how things are anybody may say"
    await room.move_rollback("external-calls", "reversing")
    assert state("external-calls") == "reversing", "nobody is named for that"
    player = Player(room, room.replica)
    room.actor = "dee"
    with pytest.raises(
        Refused, match=r"dee has no authority.*olga \(named for it\), ana \(incident commander\)"
    ):
        await player.freeze("nothing else moves")
    assert not room.incident.plays.freezes
    room.actor = "olga"
    await player.freeze("nothing else moves")
    assert room.incident.plays.freezes


@pytest.mark.req("X-13", "X-12", "S001-SEV-4")
async def test_at_the_worst_severity_what_was_contained_comes_back_on_fewer_words(room: Room) -> None:
    known = standing(recover=("ben",), sev1_recovery=("boss",))
    assert authority.who_can("restore_all", room.incident, known).may("ben") is True
    await room.set_severity(1, "SEV-1")
    who = authority.who_can("restore_all", room.incident, known)
    assert (who.authorities, who.may("ben"), who.may("boss")) == (("sev1-recovery",), False, True)
    assert who.may("ana") is True, "she commands, which is one of the titles that hold it"


async def test_a_title_that_is_a_role_is_whoever_has_it_here_and_security_counts_when_it_leads(
    room: Room,
) -> None:
    known = standing()
    assert authority.who_can("freeze_changes", room.incident, known).people == ("ana",)
    await room.assign("ops", "olga")
    assert authority.who_can("freeze_changes", room.incident, known).people == ("ana", "olga")
    await room.lead_by_security("leak")
    await room.assign("security", "sam")
    assert "sam" in authority.who_can("freeze_changes", room.incident, known).people


@pytest.mark.req("S003-RB-0", "X-13")
def test_every_class_of_actions_has_an_authority_of_its_own() -> None:
    who = authority.who_can("rollback external-calls", None, standing(rollback_external_calls=("kim",)))
    assert (who.authorities, who.people) == (("rollback-external-calls",), ("kim",))
    with pytest.raises(Refused, match="Did you mean"):
        authority.who_can("halt_al", None, standing())


@pytest.mark.req("S003-KS-3", "S001-HC-1")
def test_three_different_people_hold_each_halt_or_it_is_a_gap() -> None:
    halts = ("halt_all", "halt_agent", "halt_tool", "quarantine_actions")
    whole = standing(**dict.fromkeys(halts, ("ana", "ben", "dee")))
    assert authority.gaps(whole, ("halt",)) == []
    twice = standing(**{**dict.fromkeys(halts, ("ana", "ben", "dee")), "halt_all": ("ana", "ben", "ana")})
    (gap,) = authority.gaps(twice, ("halt",))
    assert str(gap) == "halt-all: 2 of at least 3 holders named (ana, ben)"
    assert authority.unknown(standing(halt_everything=("ana",))) == ["halt-everything"]


# -- handover ----------------------------------------------------------------------------------------------


@pytest.mark.req("X-13", "S002-ROL-1")
async def test_a_handover_says_what_the_next_one_must_know(room: Room, clock: ManualClock) -> None:
    room.regimes = ("gdpr",)
    await room.set_cadence(1800, "status page")
    await room.lead_by_security("a mail went to the wrong tenant")
    await room.move_rollback("customer-messages", "open", "one mail", 1)
    await room.note("!hold every mail")
    await room.note("?did it go out twice")
    await forms.answer(room, forms.form("seven"), {"principal": "unknown"})
    clock.advance(20 * 60 * SECOND)
    recent = await handover.recent(room, "ic")
    text = handover.summary(room.incident, "ic", clock.now(), recent)
    for says in (
        "[SEV-1] refunds in a loop", "SECURITY LEADS", "NOT CONTAINED",
        "next update on status page due", "GDPR Article 33(1)", "page legal-privacy, for 20 min",
        "Checklist, overdue:", "customer-messages is open, 1 effects: one mail",
        "form seven-questions: principal", "did it go out twice", "hold every mail",
    ):  # fmt: skip
        assert says in text, text
    event = await room.hand_over("ic", "ben", text, "shift ends")
    assert room.incident.roles["ic"] == ["ben"]
    body = ev.read(event)
    assert isinstance(body, ev.RoleAssigned)
    assert (body.previous, body.summary) == ("ana", text)
    assert handover.last(room.incident, "ic") == event.at, "the next one begins here"
    assert handover.last(room.incident, "ops") == room.incident.declared_at
    assert room.undoable is not None
    assert room.undoable[1] == "ana hands ic over to ben: shift ends", "undo asks in one line"
    await room.undo()
    assert room.incident.roles["ic"] == ["ana"]


async def test_a_summary_is_bounded_whatever_the_incident_holds(room: Room, clock: ManualClock) -> None:
    await room.retitle("x" * 200)
    await room.state_impact("s " * 8000, "i " * 8000)
    await room.record(*(ev.AlertLinked(facts(id=f"a{n}", sentence="y " * 8000)) for n in range(50)))
    text = handover.summary(room.incident, "ic", clock.now(), handover.Recent(T0, 10**6, ["z" * 9000] * 200))
    assert len(text) < handover.LONGEST
    assert "Alerts that go on: (42 more)" in text
    await room.hand_over("ic", "ben", text)


async def test_a_handover_to_who_has_it_or_without_words_changes_nothing(room: Room) -> None:
    with pytest.raises(Refused, match="ana is ic already"):
        await room.hand_over("ic", "ana", "all is well")
    with pytest.raises(Refused, match="needs a summary"):
        await room.hand_over("ic", "ben", "  ")
    with pytest.raises(Refused, match="needs a role and a person"):
        await room.hand_over("ic", "", "all is well")
    assert room.incident.roles == {"ic": ["ana"]}


# -- the checklist -----------------------------------------------------------------------------------------


@pytest.mark.req("S001-CK-2", "X-5")
async def test_an_item_that_asks_for_evidence_is_done_with_it_or_waived_with_a_reason(room: Room) -> None:
    with pytest.raises(Refused, match="stop-harm asks for evidence"):
        await room.tick("stop-harm")
    assert room.incident.checklist["stop-harm"].state == "open"
    await room.tick("stop-harm", evidence="gateway log, 14:02")
    assert room.incident.checklist["stop-harm"].evidence == "gateway log, 14:02"
    with pytest.raises(Refused, match="needs a reason"):
        await room.tick("recent-changes", "waived")
    await room.tick("recent-changes", "waived", "nothing is released on Saturdays")


@pytest.mark.req("X-5")
async def test_the_profile_changes_what_is_shown_and_overlapping_items_keep_all_their_sources(
    room: Room,
) -> None:
    await room.tick("declare")
    await room.adopt_profile("s001-10min")
    assert "declare" not in room.incident.checklist
    both = room.incident.checklist["severity"].item.sources
    assert {source[:4] for source in both} >= {"S001", "S002"}
    with pytest.raises(Refused, match="already"):
        await room.adopt_profile("s001-10min")
    with pytest.raises(Refused, match="Profiles: merged"):
        await room.adopt_profile("mine")
    await room.adopt_profile("merged")
    assert room.incident.checklist["declare"].state == "done"
