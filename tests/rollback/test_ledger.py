"""The ledger as a fold: in whatever order and pieces the events of two consoles arrive, it is the same."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.incident import Fold, Incident, fold
from console.rollback.ledger import Ledger, Tally
from console.rollback.state import state_of
from data.envelope import Event
from tests.room.strand import event, in_pieces, strand

CLASSES = (
    ev.ActionClass(
        "code",
        "Code",
        (ev.Budget("revert", "reverted", 1800), ev.Budget("audit", "systems audited", 14_400, audit=True)),
        number=5,
        reversible="yes",
    ),
    ev.ActionClass("mail", "Mail", (ev.Budget("follow", "follow-up", 14_400),), number=3, reversible="no"),
)
IDS = tuple(f"{letter * 4}{'a' * 12}" for letter in "abcdefgh")
RUNS = tuple(f"{number:016x}" for number in range(3))


def effect(id: str, action_class: str = "code", **change: object) -> ev.Effect:
    plain: dict[str, object] = {
        "id": id,
        "action_class": action_class,
        "at": "2026-11-21T13:50:00.000000000Z",
        "agent": "bot",
        "what": "committed",
    }
    return ev.Effect(**(plain | change))  # type: ignore[arg-type]


EFFECT = st.builds(
    effect,
    st.sampled_from(IDS),
    st.sampled_from(["code", "mail", ""]),
    state=st.sampled_from(["done", "unknown", "none"]),
)
ID = st.lists(st.sampled_from(IDS), min_size=1, max_size=4).map(tuple)
CLASS = st.sampled_from(["code", "mail"])
BODIES = st.one_of(
    st.builds(
        ev.EffectsListed, st.lists(EFFECT, max_size=5).map(tuple), st.sampled_from(["drafted", "downstream"])
    ),
    st.builds(ev.EffectsClassed, ID, CLASS),
    st.builds(
        ev.EffectsMoved,
        CLASS,
        ID,
        st.sampled_from(["open", "reversing", "reversed", "substituted", "verified", "nothing", "waived"]),
        st.just("said so"),
    ),
    st.builds(
        ev.EffectReconciled,
        st.sampled_from(IDS),
        st.booleans(),
        st.just("their list"),
        st.sampled_from(["effect", "reversal"]),
    ),
    st.builds(
        ev.EffectsStarted,
        st.sampled_from(RUNS),
        CLASS,
        st.sampled_from(["reverse", "verify"]),
        ID,
        st.just(("revert",)),
        st.booleans(),
    ),
    st.builds(
        ev.EffectsEnded,
        st.sampled_from(RUNS),
        st.lists(
            st.builds(
                ev.Result, st.sampled_from(IDS), st.sampled_from(["done", "failed", "timed_out", "unknown"])
            ),
            max_size=4,
        ).map(tuple),
    ),
    st.builds(ev.RollbackMoved, CLASS, st.sampled_from(["open", "held", "verified"])),
    st.builds(ev.BudgetMet, CLASS, st.sampled_from(["revert", "audit"])),
    st.builds(ev.AuditOpened, CLASS, st.sampled_from(["audit", "nothing"])),
    st.builds(ev.AuditClosed, CLASS, st.sampled_from(["audit", "nothing"]), st.just("report 7")),
    st.builds(ev.ContainmentConfirmed, st.just("stopped")),
    st.just(None),  # a retraction of something that came before
)


@st.composite
def two_consoles(draw: st.DrawFn) -> list[Event]:
    made = strand(
        ev.Declared("commits", 1, "SEV-1"), ev.RosterAdded("b" * 32, "ben"), ev.RollbackAdopted("1", CLASSES)
    )
    for body in draw(st.lists(BODIES, max_size=25)):
        if body is None:
            body = ev.EntryRetracted(made[draw(st.integers(0, len(made) - 1))].hash)
        made.append(event(body, len(made) + 1, rep=draw(st.sampled_from(["a" * 32, "b" * 32]))))
    return made


@given(two_consoles(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_incremental_equals_full_in_any_order_of_arrival(
    events: list[Event], rnd: random.Random, size: int
) -> None:
    whole = fold(events)
    for arrival in (events, rnd.sample(events, len(events)), [*events, *events]):
        assert in_pieces(arrival, size) == whole


@given(two_consoles())
def test_the_counts_are_those_of_the_rows(events: list[Event]) -> None:
    state = fold(events)
    assert_counted(state.ledger)
    for row in state.rollback.values():
        tally = state.ledger.tally(row.action_class.id)
        if tally is not None and row.state != "held":
            assert (row.state, row.effects) == (state_of(tally), tally.total)


def assert_counted(ledger: Ledger) -> None:
    counted = Counter((ledger.class_of(each), ledger.state(each)) for each in ledger.rows)
    unclear = Counter(ledger.class_of(each) for each in ledger.rows if ledger.unclear(each))
    for name, tally in ledger.tallies.items():
        wanted = Tally(unclear=unclear[name])
        for state in ("open", "reversing", "reversed", "substituted", "verified", "nothing", "waived"):
            setattr(wanted, state, counted[name, state])
        assert tally == wanted


def state_after(*bodies: ev.Body) -> Incident:
    return fold(strand(ev.Declared("commits", 1, "SEV-1"), ev.RollbackAdopted("1", CLASSES), *bodies))


def test_an_effect_that_two_consoles_draft_is_listed_once() -> None:
    row = effect(IDS[0])
    state = state_after(ev.EffectsListed((row,)), ev.EffectsListed((row, effect(IDS[1]))))
    assert list(state.ledger.rows) == [IDS[0], IDS[1]]
    assert state.rollback["code"].effects == 2


@pytest.mark.req("S004-DU-3")
def test_a_reversal_that_was_begun_and_never_ended_is_in_doubt() -> None:
    listed = ev.EffectsListed((effect(IDS[0]), effect(IDS[1])))
    begun = ev.EffectsStarted(RUNS[0], "code", "reverse", (IDS[0],))
    ledger = state_after(listed, begun).ledger
    assert (ledger.state(IDS[0]), ledger.unclear(IDS[0])) == ("reversing", True)
    assert ledger.tallies["code"].unclear == 1
    asides: tuple[ev.Progress, ...] = ("waived", "substituted", "open")
    for aside in asides:
        again = (ev.EffectsMoved("code", (IDS[0],), aside), ev.EffectsMoved("code", (IDS[0],), "open"))
        ledger = state_after(listed, begun, *again).ledger
        assert ledger.unclear(IDS[0]), "put aside and taken up again, nobody knows more"
    for word, becomes in ((True, "reversed"), (False, "open")):
        looked = ev.EffectReconciled(IDS[0], word, "their list", "reversal")
        ledger = state_after(listed, begun, looked).ledger
        assert (ledger.state(IDS[0]), ledger.unclear(IDS[0])) == (becomes, False)


@pytest.mark.parametrize(
    ("outcome", "state", "doubt"),
    [
        ("done", "reversed", False),
        ("failed", "open", False),
        ("timed_out", "reversing", True),
        (None, "open", False),
    ],
)
def test_what_a_run_came_to_decides_about_each_of_its_effects(
    outcome: ev.RunOutcome | None, state: str, doubt: bool
) -> None:
    results = (ev.Result(IDS[0], outcome, "said so"),) if outcome is not None else ()
    ledger = state_after(
        ev.EffectsListed((effect(IDS[0]),)),
        ev.EffectsStarted(RUNS[0], "code", "reverse", (IDS[0],)),
        ev.EffectsEnded(RUNS[0], results),
    ).ledger
    assert (ledger.state(IDS[0]), ledger.unclear(IDS[0])) == (state, doubt)


def test_a_dry_run_moves_nothing() -> None:
    ledger = state_after(
        ev.EffectsListed((effect(IDS[0]),)),
        ev.EffectsStarted(RUNS[0], "code", "reverse", (IDS[0],), dry=True),
        ev.EffectsEnded(RUNS[0], (ev.Result(IDS[0], "done"),)),
    ).ledger
    assert ledger.state(IDS[0]) == "open"
    assert not ledger.marks


@pytest.mark.req("S003-RB-5a", "S003-RB-5b")
def test_the_audit_of_a_class_opens_by_itself_and_stays_until_it_is_closed_with_evidence() -> None:
    listed = ev.EffectsListed((effect(IDS[0]), effect(IDS[1])))
    row = state_after(listed, ev.EffectsMoved("code", (IDS[0],), "reversed")).rollback["code"]
    assert (row.state, row.audits, "revert" in row.met) == ("reversing", {}, False)
    undone = (
        listed,
        ev.EffectsMoved("code", IDS[:2], "reversed"),
        ev.EffectsMoved("code", IDS[:2], "verified"),
    )
    row = state_after(*undone).rollback["code"]
    assert (row.state, row.finished, "revert" in row.met) == ("verified", False, True)
    assert [each.id for each in row.open_audits] == [each.id for each in row.running()] == ["audit"]
    row = state_after(*undone, ev.AuditClosed("code", "audit", "report 7")).rollback["code"]
    assert (row.finished, row.audits["audit"].evidence, row.running()) == (True, "report 7", [])


def test_the_clock_runs_again_when_an_effect_has_to_be_undone_again() -> None:
    listed = ev.EffectsListed((effect(IDS[0]),))
    moved = ev.EffectsMoved("code", IDS[:1], "reversed")
    row = state_after(listed, moved, ev.EffectsListed((effect(IDS[1]),), "downstream")).rollback["code"]
    assert row.state == "reversing"
    assert "revert" not in row.met


def test_a_late_effect_makes_the_fold_go_on_from_where_it_was() -> None:
    made = strand(
        ev.Declared("commits", 1, "SEV-1"),
        ev.RollbackAdopted("1", CLASSES),
        ev.EffectsListed((effect(IDS[0]),)),
        ev.EffectsMoved("code", (IDS[0],), "reversed"),
    )
    late = Fold()
    for each in reversed(made):
        late.add([each])
    assert late.incident == fold(made)
    assert late.incident.rollback["code"].state == "reversed"
