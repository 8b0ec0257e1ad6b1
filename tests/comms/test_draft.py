"""Drafting: facts from the record and from people, gaps where there is none, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.comms.draft import Heard, clock, draft, missing, moment_of
from console.comms.messenger import Messenger, _cadence, _documents, templates
from console.config import Config, Playbooks
from console.desk import Desk
from console.incident import Incident, fold
from console.refusal import Refused
from console.room import Room
from console.runner.player import Player
from playbooks.guidance import Template
from tests.comms.conftest import Services
from tests.room.strand import SECOND, T0, strand
from tests.runner.conftest import book, step
from tests.screens.consoles import Console, carry

NOW = T0 + 600 * SECOND
DAY = 86_400 * SECOND


def template(name: str) -> Template:
    return next(each for each in templates() if each.id == name)


def incident(*bodies: ev.Body) -> Incident:
    return fold(
        strand(ev.Declared("refunds issued twice", 2, "SEV-2", commander="ana", cadence=1800), *bodies)
    )


FULL = incident(
    ev.ImpactStated("checkout in eu", "3 % of checkouts are charged twice"),
    ev.ContainmentConfirmed("refund tool is blocked"),
    ev.EvidenceRequested((ev.Known("trace_id", "4bf92f35"), ev.Known("run_id", "r-1"))),
    ev.RoleAssigned("scribe", "ben"),
)
HEARD = Heard(["the key is cached"], ["14:01 UTC blocked the refund tool"])


@pytest.mark.req(
    "S001-CM-1", "S001-CM-2", "S001-CM-3", "S001-CM-4", "S001-CM-5", "S001-CM-6", "S002-SLO-3", "S001-CK-5"
)
def test_the_factual_update_takes_its_six_fields_and_the_traces_from_the_record() -> None:
    made = draft(template("internal-update"), FULL, NOW, heard=HEARD, given={"workflow": "refunds"})
    assert made.body.splitlines() == [
        "Affected workflow: refunds",
        "Known impact on users: 3 % of checkouts are charged twice",
        "Contained: refund tool is blocked (since 14:00 UTC)",
        "Still being investigated: the key is cached",
        "Next decision: ana",
        "Next update: 14:40 UTC",
        "Trace IDs: 4bf92f35",
    ]
    assert made.gaps == ()
    assert made.promises == NOW + 1800 * SECOND
    assert made.subject == "[SEV-2] refunds issued twice: update 14:10 UTC"


@pytest.mark.req("S001-CM-0")
def test_what_nobody_knows_stays_a_gap_with_the_way_to_supply_it() -> None:
    bare = fold(strand(ev.Declared("refunds issued twice", 2, "SEV-2")))
    made = draft(template("internal-update"), bare, NOW)
    gaps = {gap.name: gap for gap in made.gaps}
    assert set(gaps) == {
        "workflow", "impact", "contained", "investigating", "decision_owner", "next_update", "trace_ids",
    }  # fmt: skip
    for name, gap in gaps.items():
        assert missing(name) in made.body
        assert gap.needed
        assert f"--set {name}=" in gap.supply
    assert "warroom impact" in gaps["impact"].supply
    assert made.promises is None


@pytest.mark.req("S002-CK-2", "X-15", "S001-CM-6")
def test_the_next_update_is_promised_by_the_incidents_rhythm_the_severity_or_the_template() -> None:
    cadence = _cadence(_documents())
    assert {each.severity: each.every for each in cadence} == {1: 1800, 2: 1800, 3: 7200, 4: 86_400}
    update, final = template("internal-update"), template("status-monitoring")
    quick = incident(ev.CadenceSet(600))
    assert draft(update, quick, NOW, cadence).promises == NOW + 600 * SECOND
    third = fold(strand(ev.Declared("slow answers", 3, "SEV-3")))
    made = draft(update, third, NOW, cadence)
    assert made.promises == NOW + 7200 * SECOND
    assert "Next update: 16:10 UTC" in made.body
    assert draft(final, quick, NOW, cadence).promises == NOW + 3600 * SECOND
    fifth = fold(strand(ev.Declared("a typo", 5, "SEV-5")))
    assert "next_update" in {gap.name for gap in draft(update, fifth, NOW, cadence).gaps}


@pytest.mark.req("S002-COM-3", "S002-COM-4", "S002-PB1-C", "X-14")
@pytest.mark.parametrize("state", ["investigating", "identified", "monitoring", "resolved"])
def test_the_four_states_of_a_status_page_have_a_text_each_without_traces_or_inside_words(state: str) -> None:
    chosen = template(f"status-{state}")
    made = draft(chosen, FULL, NOW, heard=HEARD, given={"services": "Checkout"})
    assert chosen.state == state
    assert made.subject == f"{state.title()} (14:10 UTC)"
    assert "Checkout" in made.body
    assert FULL.code in made.body
    for inside in ("4bf92f35", "refund tool", "charged twice", "the key is cached"):
        assert inside not in made.body
    if state in ("identified", "investigating"):
        assert "14:40 UTC" in made.body
    if state == "monitoring":
        assert "15:10 UTC" in made.body


@pytest.mark.req("S002-COM-1", "S002-CK-7")
def test_the_channel_is_named_after_the_day_and_the_title() -> None:
    made = draft(template("channel"), FULL, NOW)
    assert made.subject == "inc-20261121-refunds-issued-twice"
    assert re.fullmatch(r"inc-\d{8}-[a-z0-9]+(-[a-z0-9]+)*", made.subject)


@pytest.mark.req("S002-COM-2")
def test_the_pins_of_the_channel_ask_for_what_only_the_team_knows() -> None:
    made = draft(template("pins"), FULL, NOW, links={"dashboards": "https://grafana/refunds"})
    assert "Dashboards: https://grafana/refunds" in made.body
    assert {"runbook", "on_call", "latest_status"} <= {gap.name for gap in made.gaps}


@pytest.mark.req("S002-COM-5", "S002-CK-8")
def test_the_support_macro_carries_feature_status_link_and_traces() -> None:
    made = draft(
        template("support-macro"), FULL, NOW,
        given={"feature": "refunds", "status_link": "https://status.example.com"},
    )  # fmt: skip
    for part in ("refunds", "high priority", "https://status.example.com", "keep you informed", "4bf92f35"):
        assert part in made.body


@pytest.mark.req("S002-TK-8", "S002-SLO-3")
def test_the_ticket_says_when_and_where_the_next_update_comes() -> None:
    state = fold(
        strand(
            ev.Declared("refunds issued twice", 2, "SEV-2", commander="ana"),
            ev.CadenceSet(1800, "#inc-refunds"),
        )
    )
    made = draft(template("ticket"), state, NOW, heard=HEARD)
    assert "Next update: 14:40 UTC in #inc-refunds" in made.body
    assert "Actions taken: 14:01 UTC blocked the refund tool" in made.body
    assert "Trace IDs: [missing: trace_ids]" in made.body


@pytest.mark.req("S002-PB5-C")
def test_a_letter_to_a_tenant_never_takes_traces_from_the_record_that_may_be_anothers() -> None:
    made = draft(template("incident-letter"), FULL, NOW, given={"tenant": "acme"})
    assert "4bf92f35" not in made.body
    assert "Trace IDs of your runs: not known yet" in made.body
    assert {"scope", "remediation", "prevention"} <= {gap.name for gap in made.gaps if gap.needed}


def test_what_a_person_said_once_holds_for_later_messages_unless_it_ages() -> None:
    drafted = ev.MessageDrafted(
        "0" * 16, "internal-update", "Factual update", "internal", "…",
        given=(ev.Given("workflow", "refunds"), ev.Given("impact", "old")),
    )  # fmt: skip
    made = draft(template("internal-update"), incident(drafted), NOW)
    assert "Affected workflow: refunds" in made.body
    assert missing("impact") in made.body


def test_of_several_agents_none_is_left_out_and_a_placeholder_in_a_fact_stays_text() -> None:
    facts = [
        ev.AlertFacts(f"a{n}", "cost-rate", "1", "acme", f"agent-{n}", "", "", "", "", "…") for n in range(2)
    ]
    state = incident(*(ev.AlertLinked(each) for each in facts))
    made = draft(template("internal-update"), state, NOW, given={"impact": "{contained} and {x}"})
    assert "Affected workflow: agents agent-0, agent-1" in made.body
    assert "Known impact on users: {contained} and {x}" in made.body


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"colour": "red"}, "asks for no colour"),
        ({"impact": " "}, "printable"),
        ({"impact": "a\x1b[2Jb"}, "printable"),
        ({"impact": "x" * 2001}, "printable"),
        ({"next_update": "soon"}, "is no time"),
    ],
)
def test_a_fact_that_does_not_fit_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        draft(template("internal-update"), FULL, NOW, given=given)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("14:30", T0 + 1800 * SECOND),
        ("14:30 UTC", T0 + 1800 * SECOND),
        ("14:05", T0 + 300 * SECOND + DAY),
        ("+30min", NOW + 1800 * SECOND),
        ("2026-11-22T01:00Z", T0 + 11 * 3600 * SECOND),
        ("2026-11-22 01:00 UTC", T0 + 11 * 3600 * SECOND),
        ("25:00", None),
        ("+soon", None),
        ("", None),
    ],
)
def test_times_as_people_type_them_are_utc(text: str, at: int | None) -> None:
    assert moment_of(text, NOW) == at


def test_a_time_of_another_day_has_its_date() -> None:
    assert clock(NOW, NOW) == "14:10 UTC"
    assert clock(NOW + DAY, NOW) == "2026-11-22 14:10 UTC"


@given(st.sampled_from(templates()), st.dictionaries(st.sampled_from(["impact", "services", "summary", "contact"]), st.text("ab {}:[]<&\n", min_size=1, max_size=40).filter(str.strip), max_size=3))  # fmt: skip
def test_every_template_can_be_drafted_and_every_need_is_in_it_or_named(
    chosen: Template, given: dict[str, str]
) -> None:
    asked = {value.name for value in chosen.values}
    given = {name: text for name, text in given.items() if name in asked}
    made = draft(chosen, FULL, NOW, given=given)
    gaps = {gap.name for gap in made.gaps if gap.needed}
    text = made.subject + made.body
    for name in chosen.needs:
        assert (name in gaps) == (missing(name) in text)
    for fact in given.values():
        assert fact in text
    assert {need.name for need in made.needs} == set(chosen.needs)


def test_drafting_changes_nothing() -> None:
    before = FULL.messages
    draft(template("internal-update"), FULL, NOW)
    assert FULL.messages == before


async def test_what_responders_wrote_is_said_and_what_a_stranger_wrote_is_not(
    messenger: Messenger, room: Room, tmp_path: Path
) -> None:
    mine = await room.note("?the key is cached")
    with Console(tmp_path, room.case, "mallory") as other:
        other.write(
            ev.ImpactStated("", "none"),
            ev.NoteWritten("it was nothing", "hypothesis"),
            ev.NoteWritten("resumed all refunds", "action"),
        )
        carry(other.case, room.case)
        await room.refresh()
        assert await messenger.heard() == Heard(["the key is cached"], [])
        await room.admit(other.home.replica)
        other.write(ev.EntryAmended(mine.hash, "the key is cached\nNext update: never"))
        carry(other.case, room.case)
        await room.refresh()
        heard = await messenger.heard()
    assert "it was nothing" in heard.doubts
    assert "the key is cached Next update: never (corrected by mallory)" in heard.doubts
    assert [text.partition(" UTC ")[2] for text in heard.actions] == ["resumed all refunds"]


@pytest.mark.req("S002-CK-8")
async def test_a_step_of_a_playbook_makes_the_draft_and_sends_nothing(room: Room, services: Services) -> None:
    player = Player(room, room.replica)
    drafts = {"verb": "draft_update", "args": {"template": "internal-update"}}
    channel = {"verb": "open_channel", "args": {"name": "inc-20261121-refunds"}}
    await player.open(book(step("tell", action=drafts), step("meet", action=channel)))
    ended = await player.run("tell", "test", real=True)
    (made,) = room.incident.messages.drafted.values()
    assert made.template == "internal-update"
    assert made.standing == "draft"
    assert f"drafted as message {made.id[:8]}, not sent; it lacks workflow, impact" in ended.note
    assert services.taken == []
    with pytest.raises(Refused, match="open_channel"):
        await player.run("meet", "test", real=True)


async def test_a_step_that_drafts_sees_the_links_that_the_configuration_names(desk: Desk, room: Room) -> None:
    dashboards = "https://grafana.example/refunds"
    await desk.leave()
    desk.organise(Config(playbooks=Playbooks(links={"dashboards": dashboards})))
    room = await desk.enter(room.case.id)
    player = Player(room, room.replica)
    await player.open(book(step("tell", action={"verb": "draft_update", "args": {"template": "pins"}})))
    await player.run("tell", "test", real=True)
    (made,) = room.incident.messages.drafted.values()
    assert dashboards in made.body
