"""Triage in the fold: forms, tags, who was told, who leads, handovers; and the checklist of another profile."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console import routing
from console.incident import Fold, Incident, fold
from data.clock import parse_iso
from data.envelope import Event
from playbooks.guidance import Routing
from playbooks.load import only
from playbooks.routing import told
from tests.room.strand import SECOND, T0, event, strand
from tests.room.test_incident import DECLARED, ITEMS, facts

MINUTE = 60 * SECOND
TABLE = ev.RoutingAdopted(
    "1",
    (ev.Contact("on-call", "On-call"), ev.Contact("finance", "Finance"), ev.Contact("security", "Security")),
    (
        ev.Route("on-call", ("on-call",), "somebody works on it"),
        ev.Route("cost", ("finance",), "finance says what can be borne", types=("cost-spike",)),
        ev.Route("tool", ("security",), "never given to it", tripwires=("authorisation",)),
        ev.Route("worst", ("executives",), "somebody decides for the company", severities=(1,)),
        ev.Route("users", ("support", "finance"), "before they ask", severities=(1, 2), page=False),
        ev.Route("data", ("security", "legal-privacy"), "time limits may run", security=True),
    ),
)
CLOCK = ev.LegalClock("gdpr-33", "GDPR", "Article 33(1)", "awareness", "the authority", 72 * 3600)
SHORT = ev.ChecklistAdopted("s001-10min", "1", ITEMS[1:2])
WHOLE = ev.ChecklistAdopted("merged", "1", ITEMS)

WHO = st.sampled_from(["finance", "security", "gdpr-33"])
NAMES = st.sampled_from(["ana", "ben", "dee"])
BODIES = st.one_of(
    st.builds(ev.TagSet, st.sampled_from(["type", "code"]), st.sampled_from(["cost-spike", "other"])),
    st.builds(ev.TagRemoved, st.sampled_from(["type", "code"]), st.sampled_from(["cost-spike", "other"])),
    st.builds(
        ev.FormAnswered,
        st.sampled_from(["severity-form", "stop-scope"]),
        st.just((ev.Answer("harm", "no"),)),
        st.sampled_from(["1", "2"]),
    ),
    st.builds(ev.EscalationTold, WHO, st.just("called")),
    st.builds(ev.EscalationWaived, WHO, st.just("no need")),
    st.builds(
        ev.SecurityLedSet, st.just("leak"), st.booleans(), st.just(""), st.sampled_from([(), (CLOCK,)])
    ),
    st.builds(
        ev.RoleAssigned,
        st.sampled_from(["ic", "ops", "security"]),
        NAMES,
        st.just(""),
        st.sampled_from(["", "ana", "ben"]),
        st.sampled_from(["", "what to know"]),
    ),
    st.builds(ev.SeveritySet, st.integers(1, 3), st.just("SEV")),
    st.builds(ev.AlertLinked, st.builds(facts, rule=st.sampled_from(["cost-rate", "authorisation"]))),
    st.builds(
        ev.ItemSet,
        st.sampled_from(["stop", "declare"]),
        st.sampled_from(["open", "done"]),
        st.just(""),
        NAMES,
    ),
    st.sampled_from([SHORT, WHOLE, TABLE]),
    st.just(None),  # a retraction of something that came before
    st.just(0),  # a reinstatement of it
)


@st.composite
def strands(draw: st.DrawFn) -> list[Event]:
    made = strand(DECLARED, ev.RosterAdded("b" * 32, "ben"), WHOLE, TABLE)
    for body in draw(st.lists(BODIES, max_size=25)):
        target = made[draw(st.integers(0, len(made) - 1))].hash
        if body is None:
            body = ev.EntryRetracted(target)
        elif body == 0:
            body = ev.EntryReinstated(target)
        rep = draw(st.sampled_from(["a" * 32, "b" * 32]))
        made.append(event(body, len(made) + 1, actor=draw(NAMES), rep=rep))
    return made


@given(strands(), st.randoms(use_true_random=False), st.integers(1, 7))
def test_triage_is_the_same_in_any_order_of_arrival(
    events: list[Event], rnd: random.Random, size: int
) -> None:
    whole = fold(events)
    for arrival in (rnd.sample(events, len(events)), [*events, *events]):
        piecewise = Fold()
        for start in range(0, len(arrival), size):
            piecewise.add(arrival[start : start + size])
        assert piecewise.incident == whole


@given(strands())
def test_what_the_state_says_of_escalation_can_always_be_said(events: list[Event]) -> None:
    state, now = fold(events), T0 + 3600 * SECOND
    waiting = routing.outstanding(state)
    late = [limit for limit in routing.limits(state) if limit.outstanding]
    assert bool(routing.headline(state, now)) == bool(waiting or late)
    for each in routing.escalations(state):
        assert state.declared_at <= each.since <= events[-1].wall
        assert each.reasons


@given(
    st.integers(1, 5),
    st.sets(st.sampled_from(["cost-spike", "policy-bypass", "quality-regression"])),
    st.sets(st.sampled_from(["cost-rate", "outcome", "authorisation"])),
    st.booleans(),
)
@pytest.mark.req(
    "X-28", "S000-CL-1", "S000-CL-2", "S000-CL-3", "S000-CL-4", "S003-TW-1", "S003-TW-4", "S003-TW-5"
)
def test_an_incident_tells_whom_the_table_of_the_library_names(
    severity: int, types: set[str], rules: set[str], security: bool
) -> None:
    from console import runbook

    bodies: list[ev.Body] = [DECLARED, runbook.routing(), ev.SeveritySet(severity, "SEV")]
    bodies += [ev.TagSet("type", each) for each in sorted(types)]
    bodies += [ev.AlertLinked(facts(id=rule, rule=rule)) for rule in sorted(rules)]
    bodies += [ev.SecurityLedSet("leak")] if security else []
    found = routing.escalations(fold(strand(*bodies)))
    expected = told(only(Routing), severity=severity, types=types, tripwires=rules, security=security)
    assert [(each.who, each.page, each.reasons) for each in found] == [tuple(each) for each in expected]


def waiting(state: Incident) -> dict[str, int]:
    """Who still has to be told, and how many seconds after the first event they had to be."""
    return {each.who: (each.since - T0) // SECOND for each in routing.outstanding(state)}


@pytest.mark.req("X-28", "S000-CL-2")
def test_since_when_somebody_waits_is_since_the_reason_holds() -> None:
    made = strand(
        ev.Declared("loop", 3, "SEV-3"),  # second 1
        TABLE,
        ev.TagSet("type", "cost-spike"),  # 3
        ev.SeveritySet(2, "SEV-2"),  # 4
        ev.SeveritySet(1, "SEV-1"),  # 5: support waits since 4 all the same
        ev.AlertLinked(facts(rule="authorisation")),  # 6
    )
    assert waiting(fold(made)) == {"on-call": 1, "finance": 3, "security": 6, "executives": 5, "support": 4}
    made.append(event(ev.SeveritySet(3, "SEV-3"), 7))
    assert waiting(fold(made)) == {"on-call": 1, "finance": 3, "security": 6}
    made.append(event(ev.SeveritySet(1, "SEV-1"), 8))
    assert waiting(fold(made))["executives"] == 8, "it begins anew"


def test_who_was_told_or_need_not_be_waits_no_longer_and_an_undone_word_counts_not() -> None:
    made = strand(ev.Declared("loop", 2, "SEV-2"), TABLE)
    assert set(waiting(fold(made))) == {"on-call", "support", "finance"}
    made.append(event(ev.EscalationTold("finance", "called", "kim"), 3))
    made.append(event(ev.EscalationWaived("support", "no customer sees it"), 4))
    assert set(waiting(fold(made))) == {"on-call"}
    assert str(routing.headline(fold(made), T0 + 5 * MINUTE)) == "tell 1: on-call 4 min"
    made.append(event(ev.EntryRetracted(made[2].hash), 5))
    assert set(waiting(fold(made))) == {"on-call", "finance"}
    made.append(event(ev.Closed("over"), 6))
    assert waiting(fold(made)) == {}, "of a closed incident nobody waits"


@pytest.mark.req("X-29", "S000-CL-4")
def test_legal_clocks_run_from_the_first_word_and_end_with_the_word_of_who_leads() -> None:
    aware = ev.moment(T0)
    made = strand(
        DECLARED,
        TABLE,
        ev.SecurityLedSet("leak", True, aware, (CLOCK,)),
        ev.SecurityLedSet("also here", True, ev.moment(T0 + 3600 * SECOND), (CLOCK,)),
    )
    state = fold(made)
    (limit,) = routing.limits(state)
    assert limit.due == T0 + 72 * 3600 * SECOND, "said twice, it runs from the first time"
    assert {"security", "legal-privacy"} <= set(waiting(state))
    assert routing.headline(state, T0 + 1800 * SECOND).clock == "gdpr-33 71 h left"
    assert routing.headline(state, T0 + 74 * 3600 * SECOND).clock == "gdpr-33 LATE by 2 h"
    made.append(event(ev.EscalationTold("gdpr-33", "portal of the authority"), 5))
    assert not routing.limits(fold(made))[0].outstanding
    made.append(event(ev.SecurityLedSet("no data was exposed", False), 6))
    assert routing.limits(fold(made)) == []


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-11-20T09:00:00Z", 4, "2026-11-26T23:59:59Z"),  # a Friday
        ("2026-11-21T09:00:00Z", 1, "2026-11-23T23:59:59Z"),  # a Saturday
        ("2026-11-23T00:00:00Z", 4, "2026-11-27T23:59:59Z"),  # a Monday
    ],
)
def test_business_days_leave_saturdays_and_sundays_out(start: str, days: int, due: str) -> None:
    clock = ev.LegalClock("sec", "SEC", "Item 1.05", "materiality", "the SEC", business_days=days)
    led = ev.SecurityLedSet("leak", True, start, (clock,))
    assert routing.limits(fold(strand(DECLARED, led)))[0].due == parse_iso(due)


@pytest.mark.req("X-29")
def test_the_security_lead_leads_once_there_is_one() -> None:
    made = strand(DECLARED, ev.RoleAssigned("ic", "ana"), ev.SecurityLedSet("leak"))
    assert fold(made).lead == "ic", "an incident without anybody to lead it would be worse"
    made.append(event(ev.RoleAssigned("security", "sam"), 4))
    assert fold(made).lead == "security"
    made.append(event(ev.SecurityLedSet("no leak", False), 5))
    assert fold(made).lead == "ic"


@pytest.mark.req("X-13")
def test_a_handover_takes_the_role_from_one_person_and_leaves_the_others_theirs() -> None:
    made = strand(
        DECLARED,
        ev.RoleAssigned("ops", "ben"),
        ev.RoleAssigned("ops", "chi"),
        ev.RoleAssigned("ops", "dee", "shift ends", "ben", "watch the queue"),
    )
    state = fold(made)
    assert state.roles["ops"] == ["chi", "dee"]
    (handover,) = state.triage.handovers
    assert (handover.body.previous, handover.body.summary) == ("ben", "watch the queue")
    back = fold([*made, event(ev.EntryRetracted(made[3].hash), 5)])
    assert back.roles["ops"] == ["ben", "chi"]
    assert back.triage.handovers == []


@pytest.mark.req("X-5")
def test_another_profile_hides_items_and_loses_nothing() -> None:
    made = strand(DECLARED, WHOLE, ev.ItemSet("stop", "done", "", "gateway log"), SHORT)
    state = fold(made)
    assert list(state.checklist) == ["declare"]
    made.append(event(ev.ItemSet("learn", "waived", "not now"), 5))
    made.append(event(WHOLE, 6))
    state = fold(made)
    states = {name: check.state for name, check in state.checklist.items()}
    assert states == {"stop": "done", "declare": "open", "learn": "waived"}
    assert state.checklist["stop"].evidence == "gateway log"
    assert list(state.checklist) == [item.id for item in ITEMS], "in the order in which one works"
    assert not state.shelved


def test_overdue_items_come_the_longest_overdue_first_and_not_after_the_end() -> None:
    made = strand(DECLARED, WHOLE)
    state = fold(made)
    assert state.overdue(T0 + 9 * MINUTE) == []
    assert [check.item.id for check in state.overdue(T0 + 16 * MINUTE)] == ["declare", "stop"]
    made.append(event(ev.ItemSet("declare", "done"), 3))
    assert [check.item.id for check in fold(made).overdue(T0 + 16 * MINUTE)] == ["stop"]
    made.append(event(ev.Closed("over"), 4))
    assert fold(made).overdue(T0 + 16 * MINUTE) == []
