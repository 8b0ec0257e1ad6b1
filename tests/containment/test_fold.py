"""What the events about orders add up to, whatever comes in whichever order."""

from __future__ import annotations

import random

import hypothesis.strategies as st
from hypothesis import given

from console import events as ev
from console.containment.state import HELD, TARGETS
from console.containment.verdict import judge, receipt, spoken, summary
from console.incident import Fold, Incident, fold
from data.envelope import Event
from tests.room.strand import event, in_pieces, strand
from tests.room.test_incident import DECLARED

ORDERS = st.sampled_from(["0" * 16, "1" * 16, "2" * 16])
NAMES = st.sampled_from(["fleet/a", "fleet/b", "refunds", "[bold]x\x1b[2J"])
STATES: st.SearchStrategy[ev.Reached] = st.sampled_from(
    ["requested", "accepted", "effective", "verified", "lease_expired", "refused", "unreachable", "leaking"]
)
TARGET = st.builds(lambda name: ev.Target(name, name.partition("/")[0], name, "http"), NAMES)
TARGETS_ = st.lists(TARGET, max_size=4).map(tuple)
SEEN = st.builds(
    ev.Seen, st.integers(0, 6), STATES, st.integers(0, 40_000), st.sampled_from(["", "no answer"])
)
BODIES = st.one_of(
    st.builds(
        ev.MoveOrdered, ORDERS, st.sampled_from(["halt_all", "restore_all"]), st.just("all"), targets=TARGETS_,
        lifts=st.one_of(st.just(""), ORDERS), dry=st.booleans(), reason=st.just("r"),
    ),
    st.builds(ev.MoveExtended, ORDERS, TARGETS_, st.integers(0, 9)),
    st.builds(ev.MoveSeen, ORDERS, st.lists(SEEN, max_size=5).map(tuple)),
    st.builds(
        ev.MoveJudged, ORDERS, st.sampled_from(["pass", "fail"]), st.integers(0, 31_000), st.just(4), st.just(2)
    ),
    st.builds(ev.MoveAnswered, ORDERS, NAMES, st.just("pulled the plug"), st.just("no ping")),
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events of two consoles about three orders, whatever they refer to."""
    made = strand(DECLARED, ev.RosterAdded("b" * 32, "ben"))
    for body in draw(st.lists(BODIES, max_size=25)):
        rep = draw(st.sampled_from(["a" * 32, "b" * 32]))
        made.append(event(body, len(made) + 1, actor="ana" if rep[0] == "a" else "ben", rep=rep))
    return made


@given(histories(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_in_pieces_and_in_any_order_of_arrival_it_is_the_same(
    events: list[Event], rnd: random.Random, size: int
) -> None:
    whole = fold(events)
    for arrival in (events, rnd.sample(events, len(events)), [*events, *events]):
        assert in_pieces(arrival, size) == whole


@given(histories())
def test_every_order_can_be_judged_and_told(events: list[Event]) -> None:
    state = fold(events)
    for order in state.moves.orders.values():
        verdict = judge(order, 10)
        assert verdict.targets == len(order.targets)
        assert verdict.held == sum(each.state in HELD for each in order.targets)
        if not order.body.lifts:
            assert (verdict.verdict == "pass") == (verdict.held == verdict.targets)
        assert judge(order, order.body.budget * 1000 + 1).verdict == "fail"
        assert order.body.order in receipt(order)
        assert spoken(order)
        assert sum(order.states.values()) == len(order.targets)
        assert summary(order) or not order.targets
        for each in order.open:
            assert (each.held, each.answered, each.lifted) == (False, None, "")
    for order in state.moves.in_force:
        assert not order.lifted
        assert not order.body.dry


def test_an_order_with_no_end_of_targets_is_bounded() -> None:
    some = tuple(ev.Target(f"t{at}", "p") for at in range(2000))
    bodies = [ev.MoveOrdered("0" * 16, "halt_all", targets=some)]
    more = [ev.MoveExtended("0" * 16, some) for _ in range(15)]
    state: Incident = fold(strand(DECLARED, *bodies, *more))
    assert len(state.moves.orders["0" * 16].targets) == TARGETS


def test_letting_some_go_on_leaves_the_order_in_force_for_the_others() -> None:
    a, b = ev.Target("a", "p"), ev.Target("b", "p")
    made = Fold()
    made.add(
        strand(
            DECLARED,
            ev.MoveOrdered("0" * 16, "halt_all", "all", targets=(a, b)),
            ev.MoveOrdered("1" * 16, "restore_all", "all", targets=(a,), lifts="0" * 16),
        )
    )
    moves = made.incident.moves
    assert [each.lifted for each in moves.orders["0" * 16].targets] == ["1" * 16, ""]
    assert [each.body.order for each in moves.in_force] == ["0" * 16]
    assert moves.holding() == {"b": "0" * 16}
    made.add(
        strand(
            DECLARED,
            *[ev.NoteWritten("x")] * 3,
            ev.MoveOrdered("2" * 16, "restore_all", "all", targets=(b,), lifts="0" * 16),
        )[4:]
    )
    assert moves.orders["0" * 16].lifted == "2" * 16
    assert moves.in_force == []
