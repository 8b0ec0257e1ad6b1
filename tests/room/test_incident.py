"""The fold: what events add up to, in whatever order and pieces they arrive."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.incident import fold
from data.envelope import Event
from tests.room.strand import SECOND, T0, event, in_pieces, strand

ITEMS = (
    ev.Item("stop", "Stop the path", due=30, since="harm_confirmed", role="ops"),
    ev.Item("declare", "Declare", due=600, role="ic"),
    ev.Item("learn", "Write it up"),
)
CLASSES = (
    ev.ActionClass(
        "docs",
        "Documents",
        (ev.Budget("unpublish", "unpublished", 3600), ev.Budget("seo", "SEO", 86_400)),
        number=4,
    ),
    ev.ActionClass("comms", "Mail", (ev.Budget("follow", "follow-up", 14_400),), number=3),
)
DECLARED = ev.Declared("refund loop", 1, "SEV-1")


def facts(**change: object) -> ev.AlertFacts:
    plain = ev.AlertFacts(
        id="aaaa2222",
        rule="cost-rate",
        version="1",
        tenant="default",
        agent="support-1",
        opened_at="2026-11-21T13:50:00.000000000Z",
        last_at="2026-11-21T13:55:00.000000000Z",
        detected_at="2026-11-21T13:51:00.000000000Z",
        received_at="2026-11-21T13:50:30.000000000Z",
        sentence="support-1 spent too much",
    )
    return msgspec.structs.replace(plain, **change)


NAMES = st.sampled_from(["ana", "ben", "dee"])
BODIES = st.one_of(
    st.builds(ev.NoteWritten, st.sampled_from(["seen", "gone"])),
    st.builds(ev.UpdateSent, st.just("status page says identified")),
    st.builds(ev.SeveritySet, st.integers(1, 5), st.sampled_from(["SEV-1", "SEV-2"])),
    st.builds(ev.RoleAssigned, st.sampled_from(["ic", "ops"]), NAMES),
    st.builds(ev.RoleReleased, st.sampled_from(["ic", "ops"]), NAMES),
    st.builds(
        ev.ItemSet,
        st.sampled_from(["stop", "declare", "nothing"]),
        st.sampled_from(["open", "done", "waived"]),
    ),
    st.builds(ev.ItemClaimed, st.sampled_from(["stop", "declare"]), NAMES),
    st.builds(
        ev.RollbackMoved,
        st.sampled_from(["docs", "comms"]),
        st.sampled_from(["open", "reversed", "verified"]),
    ),
    st.builds(
        ev.BudgetMet, st.sampled_from(["docs", "comms"]), st.sampled_from(["unpublish", "seo", "follow"])
    ),
    st.builds(ev.ContainmentConfirmed, st.just("credentials frozen")),
    st.builds(ev.CadenceSet, st.sampled_from([0, 900, 1800])),
    st.builds(ev.UpdatePromised, st.just("2026-11-21T14:30:00Z")),
    st.builds(ev.AlertLinked, st.builds(facts, id=st.sampled_from(["a1", "b2"]), peak=st.integers(0, 9))),
    st.builds(ev.Closed, st.just("over")),
    st.builds(ev.Reopened, st.just("not over")),
    st.builds(ev.ImpactStated, st.sampled_from(["", "tenant acme"]), st.sampled_from(["", "3 %"])),
    st.builds(ev.ObservabilityFound, st.sampled_from(["no trace ids", "no versions"])),
    st.builds(ev.HoldSet, st.just("case"), st.just("regulator asked")),
    st.just(None),  # a retraction of something that came before
    st.just(0),  # a reinstatement of it
)


@st.composite
def strands(draw: st.DrawFn) -> list[Event]:
    made = strand(
        DECLARED,
        ev.RosterAdded("b" * 32, "ben"),
        ev.ChecklistAdopted("merged", "1", ITEMS),
        ev.RollbackAdopted("1", CLASSES),
    )
    for body in draw(st.lists(BODIES, max_size=30)):
        target = made[draw(st.integers(0, len(made) - 1))].hash
        if body is None:
            body = ev.EntryRetracted(target)
        elif body == 0:
            body = ev.EntryReinstated(target)
        made.append(
            event(body, len(made) + 1, actor=draw(NAMES), rep=draw(st.sampled_from(["a" * 32, "b" * 32])))
        )
    return made


@given(strands(), st.randoms(use_true_random=False), st.integers(1, 7))
def test_incremental_equals_full_in_any_order_of_arrival(
    events: list[Event], rnd: random.Random, size: int
) -> None:
    for arrival in (events, rnd.sample(events, len(events)), [*events, *events]):
        assert in_pieces(arrival, size) == fold(events)


@given(strands())
def test_a_retracted_event_counts_as_if_it_had_never_been(events: list[Event]) -> None:
    last = len(events)
    victim = next(
        (e for e in reversed(events) if e.seq > 1 and not e.kind.startswith(("entry.", "roster."))), None
    )
    assert victim is not None
    gone = fold([*events, event(ev.EntryRetracted(victim.hash), last + 1)])
    assert gone == fold([e for e in events if e.hash != victim.hash])
    back = fold(
        [
            *events,
            event(ev.EntryRetracted(victim.hash), last + 1),
            event(ev.EntryReinstated(victim.hash), last + 2),
        ]
    )
    reinstated_before = fold([*events, event(ev.EntryReinstated(victim.hash), last + 1)])
    assert back == reinstated_before


def test_unknown_kinds_and_unreadable_bodies_are_counted_and_harmless() -> None:
    events = strand(DECLARED)
    events.append(
        msgspec.structs.replace(event(DECLARED, 2), kind="oracle.spoke", body=b'{"x":1}', hash="1" * 64)
    )
    events.append(
        msgspec.structs.replace(
            event(DECLARED, 3), kind="severity.set", body=b'{"severity":9}', hash="2" * 64
        )
    )
    state = fold(events)
    assert state.unknown == {"oracle.spoke": 1, "severity.set": 1}
    assert (state.title, state.severity) == ("refund loop", 1)


@pytest.mark.req("S003-KS-9", "X-22")
def test_containment_starts_every_clock_of_an_opened_class() -> None:
    made = strand(DECLARED, ev.RollbackAdopted("1", CLASSES), ev.RollbackMoved("docs", "open"))
    state = fold(made)
    assert state.worst(state.rollback["docs"]) is None
    state = fold([*made, event(ev.ContainmentConfirmed("frozen"), 4, at=T0 + 100 * SECOND)])
    worst = state.worst(state.rollback["docs"])
    assert worst is not None
    assert (worst[0].id, worst[1]) == ("unpublish", T0 + 3700 * SECOND)
    assert state.worst(state.rollback["comms"]) is None, "an untouched class has no clock"
    state = fold(
        [
            *made,
            event(ev.ContainmentConfirmed("frozen"), 4, at=T0),
            event(ev.BudgetMet("docs", "unpublish"), 5),
        ]
    )
    worst = state.worst(state.rollback["docs"])
    assert worst is not None
    assert (worst[0].id, worst[1]) == ("seo", T0 + 86_400 * SECOND)


def test_command_moves_and_other_roles_are_shared() -> None:
    state = fold(
        strand(
            DECLARED,
            ev.RoleAssigned("ic", "ana"),
            ev.RoleAssigned("ops", "ben"),
            ev.RoleAssigned("ops", "chi"),
            ev.RoleAssigned("ic", "dee", "shift ends"),
            ev.RoleReleased("ops", "ben"),
        )
    )
    assert state.roles == {"ic": ["dee"], "ops": ["chi"]}


@pytest.mark.req("S002-CK-2", "S002-TK-8")
def test_the_next_update_is_due_by_cadence_or_by_promise() -> None:
    made = strand(DECLARED, ev.CadenceSet(1800))
    assert fold(made).next_update_due == made[0].at + 1800 * SECOND
    made.append(event(ev.UpdatePromised("2026-11-21T14:10:00Z", "status page"), 3))
    assert (fold(made).next_update_due, fold(made).channel) == (T0 + 600 * SECOND, "status page")
    made.append(event(ev.UpdateSent("identified"), 4))
    assert fold(made).next_update_due == made[3].at + 1800 * SECOND
    made.append(event(ev.Closed("over"), 5))
    assert fold(made).next_update_due is None


@pytest.mark.req("S003-MT-1", "S003-MT-2", "S003-MT-3", "S003-MT-4", "S003-MT-5")
def test_the_detection_chain_comes_from_the_earliest_alert() -> None:
    made = strand(
        DECLARED,
        ev.AlertLinked(facts(paged_at="2026-11-21T13:51:01.000000000Z")),
        ev.AlertLinked(facts(id="b", opened_at="2026-11-21T13:40:00Z", received_at="2026-11-21T13:59:00Z")),
        ev.AlertLinked(facts(), "acknowledged", "2026-11-21T13:58:00Z", "ana"),
    )
    stamps = fold(made).stamps
    assert {name: stamp.at - T0 for name, stamp in stamps.items()} == {
        "action": -1200 * SECOND,
        "signal": -570 * SECOND,
        "trigger": -540 * SECOND,
        "page": -539 * SECOND,
        "acknowledgement": -120 * SECOND,
    }
    made.append(event(ev.MomentRecorded("action", "2026-11-21T13:00:00Z", "estimated", "customer mail"), 5))
    made.append(event(ev.AlertLinked(facts(id="c", opened_at="2026-11-21T12:00:00Z")), 6))
    action = fold(made).stamps["action"]
    assert (action.at - T0, action.confidence) == (-3600 * SECOND, "estimated"), "what a person stated stands"


@pytest.mark.req("X-5", "S004-M15-1")
def test_items_are_due_from_declaration_or_from_confirmed_harm() -> None:
    made = strand(DECLARED, ev.ChecklistAdopted("merged", "1", ITEMS))
    state = fold(made)
    due = {check.item.id: state.due_at(check) for check in state.checklist.values()}
    assert due == {"stop": made[0].at + 900 * SECOND, "declare": made[0].at + 600 * SECOND, "learn": None}
    made.append(event(ev.MomentRecorded("harm_confirmed", "2026-11-21T14:01:00Z"), 3))
    state = fold(made)
    assert state.due_at(state.checklist["stop"]) == T0 + 90 * SECOND
    assert state.next_item is not None
    assert state.next_item.item.id == "stop"


STRANGER, BEN = "c" * 32, "b" * 32


def test_what_a_stranger_writes_counts_once_the_key_is_added_and_not_before() -> None:
    made = strand(DECLARED)
    closed = event(ev.Closed("nothing to see"), 2, rep=STRANGER, actor="eve")
    assert fold([*made, closed]).open
    assert fold([*made, closed]).strangers[STRANGER].events == 1
    own = event(ev.RosterAdded(STRANGER, "eve"), 3, rep=STRANGER, actor="eve")
    assert fold([*made, closed, own]).open, "nobody adds oneself"
    added = event(ev.RosterAdded(STRANGER, "eve", "compared"), 4)
    state = fold([*made, closed, own, added])
    assert not state.open
    assert not state.strangers
    assert {rep: member.how for rep, member in state.roster.members.items()} == {
        "a" * 32: "founder", STRANGER: "compared",
    }  # fmt: skip


def test_who_leaves_the_roster_keeps_what_was_written_before() -> None:
    made = [*strand(DECLARED), event(ev.RosterAdded(BEN, "ben"), 2)]
    before = event(ev.Titled("before"), 3, rep=BEN)
    after = event(ev.Titled("after"), 5, rep=BEN)
    removed = event(ev.RosterRemoved(BEN), 4)
    assert fold([*made, before, after]).title == "after"
    assert fold([*made, before, removed, after]).title == "before"


def test_a_revoked_key_counts_no_more_from_the_moment_it_was_not_its_owners_alone() -> None:
    made = [*strand(DECLARED), event(ev.RosterAdded(BEN, "ben"), 2)]
    good, stolen = event(ev.Titled("good"), 3, rep=BEN), event(ev.Titled("stolen"), 5, rep=BEN)
    revoked = event(ev.RosterRevoked(BEN, ev.moment(T0 + 4 * SECOND)), 9)
    again = event(ev.RosterAdded(BEN, "ben"), 10)
    assert fold([*made, good, stolen, revoked]).title == "good"
    assert fold([*made, good, stolen, revoked, again]).title == "good", "adding a copied key heals nothing"


def test_a_thief_who_dates_back_is_stopped_only_by_a_revocation_without_a_time() -> None:
    """The limit that the screen, the command line and docs/evidence.md speak of."""
    made = [*strand(DECLARED), event(ev.RosterAdded(BEN, "ben"), 2)]
    since = event(ev.RosterRevoked(BEN, ev.moment(T0 + 4 * SECOND)), 9)
    stolen = msgspec.structs.replace(event(ev.Titled("stolen"), 10, rep=BEN), wall=T0 + 4 * SECOND - 1)
    assert fold([*made, since, stolen]).title == "stolen"
    ever = event(ev.RosterRevoked(BEN, ev.moment(0)), 11)
    assert fold([*made, since, stolen, ever]).title != "stolen"


def test_a_console_that_goes_on_under_a_new_key_stays_on_the_roster() -> None:
    made = [*strand(DECLARED), event(ev.RosterAdded(BEN, "ben"), 2)]
    rotated = event(ev.RosterRotated(STRANGER), 3, rep=BEN)
    new, old = event(ev.Titled("new key"), 4, rep=STRANGER), event(ev.Titled("old key"), 5, rep=BEN)
    state = fold([*made, rotated, new, old])
    assert state.title == "new key"
    assert state.roster.members[STRANGER].person == "ben"


def test_corrections_written_apart_are_contested_until_one_is_written_over_both() -> None:
    made = [*strand(DECLARED, ev.NoteWritten("agent is etl-1")), event(ev.RosterAdded(BEN, "ben"), 3)]
    target = made[1].hash
    ana = event(ev.EntryAmended(target, "agent is etl-7"), 4)
    ben = event(ev.EntryAmended(target, "agent is etl-8"), 5, rep=BEN)
    assert fold([*made, ana]).contested == set()
    assert fold([*made, ana, ben]).contested == {target}
    later = event(ev.EntryAmended(target, "agent is etl-9", over=(ana.hash,)), 6)
    assert fold([*made, ana, later]).contested == set()
    assert fold([*made, ana, ben, later]).contested == {target}
    settled = event(ev.EntryAmended(target, "etl-8", over=(later.hash, ben.hash)), 7)
    assert fold([*made, ana, ben, later, settled]).contested == set()
