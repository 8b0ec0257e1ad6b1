"""The review queue: what is held is listed with what it would do, and decided once, one by one or together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.config import Config, Point
from console.containment.actuator import Answer, Call, Declined, Unreachable
from console.containment.points import Points
from console.containment.review import Review
from console.desk import Desk
from console.incident import Fold
from console.refusal import Refused
from console.room import Room
from console.timeline import sentence
from data.envelope import Event
from data.reader import CaseReader
from data.trouble import StoreTrouble
from tests.moves.conftest import System, both
from tests.room.strand import event, strand
from tests.runner.conftest import until

HOLDS = both("quarantine_actions")


@dataclass
class Payouts(System):
    """A queue of payments that wait, and what became of each.

    `loses`: ids whose decision is carried out, and the answer is lost. `hangs`: no decision is answered.
    """

    waiting: dict[str, ev.HeldAction] = field(default_factory=dict)
    paid: list[str] = field(default_factory=list)
    thrown: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    asked: list[Call] = field(default_factory=list)
    loses: set[str] = field(default_factory=set)
    hangs: bool = False
    silent: bool = False

    async def queued(self, call: Call) -> Sequence[ev.HeldAction]:
        if self.silent:
            raise Unreachable("the queue gives no answer")
        return list(self.waiting.values())

    async def decide(self, call: Call, action: str, word: ev.HeldWord) -> Answer:
        self.asked.append(call)
        if self.hangs:
            await asyncio.Event().wait()
        if call.order not in self.keys:
            if self.waiting.pop(action, None) is None:
                raise Declined(f"there is no {action}")
            self.keys.add(call.order)
            (self.paid if word == "release" else self.thrown).append(action)
        if action in self.loses:
            self.loses.discard(action)
            raise Unreachable("the connection broke off")
        return Answer(note="as decided")


def payment(id: str, euros: int = 40) -> ev.HeldAction:
    return ev.HeldAction(id, f"pay {euros} EUR to DE89", "refunds", "pay.refund")


@pytest.fixture
def queue() -> Payouts:
    return Payouts(HOLDS, waiting={id: payment(id) for id in ("p1", "p2", "p3")})


@pytest.fixture
def review(queue: Payouts) -> Review:
    return Review(points_of(queue))


def points_of(*queues: Payouts) -> Points:
    """The points of queues: `approvals` with the queue `payouts`, and further ones."""
    names = ("approvals", "second")[: len(queues)]
    systems = dict(zip(names, queues, strict=True))
    config = Config(points=tuple(Point(name, "fake", kind="queue", queue="payouts") for name in names))
    return Points(config, make=lambda point, _: systems[point.name])


def states(room: Room) -> dict[str, str]:
    return {each.action.id: each.state for each in room.incident.quarantine.actions.values()}


@pytest.mark.req("S003-KS-8", "X-8")
async def test_what_is_held_is_listed_with_what_it_would_do(room: Room, review: Review) -> None:
    held = await review.look(room)
    assert [(each.id, each.action.what, each.action.agent, each.state) for each in held] == [
        (f"payouts/p{n}", "pay 40 EUR to DE89", "refunds", "held") for n in (1, 2, 3)
    ]
    before = room.incident.quarantine.actions
    await review.look(room)
    assert room.incident.quarantine.actions == before
    lines = await told(room, "quarantine.listed")
    assert lines == ["3 actions held in payouts"], "what is known is not written twice"


@pytest.mark.req("S003-KS-8", "X-8")
async def test_one_by_one_or_together_each_is_carried_out_once(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    (one,) = await review.decide(room, ["p1"], "release", "the customer is right")
    assert (one.state, one.by, one.reason, one.note) == (
        "released",
        "ana",
        "the customer is right",
        "as decided",
    )
    both = await review.decide(room, ["payouts/p2", "p3"], "drop", "paid twice already")
    assert [each.state for each in both] == ["dropped", "dropped"]
    assert (queue.paid, queue.thrown) == (["p1"], ["p2", "p3"])
    assert room.incident.quarantine.waiting == []
    for word in ("release", "drop"):
        with pytest.raises(Refused, match=r"p1 is released by ana already"):
            await review.decide(room, ["p1"], word, "again")
    assert (queue.paid, queue.thrown) == (["p1"], ["p2", "p3"])
    assert await told(room, "quarantine.decided", "quarantine.carried_out") == [
        "decided to release p1 of payouts: the customer is right",
        "held actions of payouts: 1 released",
        "decided to drop p2, p3 of payouts: paid twice already",
        "held actions of payouts: 2 dropped",
    ]


@pytest.mark.req("X-8")
async def test_letting_go_and_throwing_away_need_a_reason_and_holding_on_sends_nothing(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    for word in ("release", "drop"):
        with pytest.raises(Refused, match="needs a reason"):
            await review.decide(room, ["p1"], word, " ")
    (held,) = await review.decide(room, ["p1"], "hold", "asked the owner")
    assert (held.state, held.open, held.reason) == ("held", True, "asked the owner")
    assert queue.asked == []
    with pytest.raises(Refused, match="No action p9 is held"):
        await review.decide(room, ["p9"], "drop", "x")


@pytest.mark.req("X-12", "X-13")
async def test_letting_go_may_need_the_authority_to_recover(
    room: Room, review: Review, queue: Payouts
) -> None:
    room.authority = {"recover": ("ben",)}
    await review.look(room)
    with pytest.raises(Refused, match="ana has no authority for this") as refused:
        await review.decide(room, ["p1"], "release", "fine")
    assert "ben" in refused.value.next_step
    assert (queue.paid, states(room)["p1"]) == ([], "held")
    await review.decide(room, ["p2"], "drop", "stopping something needs no second person")
    await review.decide(room, ["p1"], "release", "ben says that it is fine")
    assert (queue.paid, queue.thrown) == (["p1"], ["p2"])


async def test_a_lost_answer_is_known_to_nobody_and_the_same_decision_is_harmless(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    queue.loses = {"p1"}
    (lost,) = await review.decide(room, ["p1"], "release", "fine")
    assert (lost.state, lost.note) == ("unknown", "the connection broke off")
    with pytest.raises(Refused, match="Nobody knows whether the decision to release"):
        await review.decide(room, ["p1"], "drop", "or rather not")
    (again,) = await review.carry_out(room)
    assert (again.state, queue.paid) == ("released", ["p1"]), "under the same key it is paid once"
    assert len({call.order for call in queue.asked}) == 1


async def test_a_decision_whose_console_was_ended_is_carried_out_by_the_next(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    queue.hangs = True
    work = asyncio.create_task(review.decide(room, ["p1", "p2"], "release", "fine"))
    await until(lambda: len(queue.asked) == 2)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (states(room)["p1"], queue.paid) == ("deciding", [])
    queue.hangs = False
    next_one = Review(points_of(queue))
    done = await next_one.carry_out(room)
    assert sorted(each.state for each in done) == ["released", "released"]
    assert sorted(queue.paid) == ["p1", "p2"]
    assert await next_one.carry_out(room) == []


async def test_two_consoles_decide_the_same_and_it_happens_once(
    room: Room, desk: Desk, queue: Payouts
) -> None:
    first, second = Review(points_of(queue)), Review(points_of(queue))
    await first.look(room)
    ends = await asyncio.gather(
        *(each.decide(room, ["p1"], "release", "fine") for each in (first, second)), return_exceptions=True
    )
    # Whoever is late either sends the same under the same key, or finds it done.
    assert all(isinstance(each, list | Refused) for each in ends)
    assert (queue.paid, states(room)["p1"]) == (["p1"], "released")


async def test_what_leaves_its_queue_without_a_decision_here_is_said(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    del queue.waiting["p2"]
    assert [each.action.id for each in await review.look(room)] == ["p1", "p3"]
    assert states(room)["p2"] == "gone"
    with pytest.raises(Refused, match="p2 is gone already"):
        await review.decide(room, ["p2"], "drop", "x")
    queue.waiting["p2"] = payment("p2")
    await review.look(room)
    assert states(room)["p2"] == "held"


async def test_what_was_decided_and_is_held_again_is_decided_anew(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    await review.decide(room, ["p1"], "release", "fine")
    queue.waiting["p1"] = payment("p1", 90)
    await asyncio.sleep(0)
    room.clock.advance(1_000_000_000)  # type: ignore[attr-defined]
    back = next(each for each in await review.look(room) if each.action.id == "p1")
    assert (back.state, back.back, back.action.what) == ("held", 1, "pay 90 EUR to DE89")
    assert "again" in back.note
    await review.decide(room, ["p1"], "release", "this one too")
    assert queue.paid == ["p1", "p1"]


async def test_a_queue_that_does_not_answer_keeps_what_is_known_and_says_so(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    queue.silent = True
    assert len(await review.look(room)) == 3
    assert review.troubles == {"approvals": "the queue gives no answer"}
    queue.silent = False
    await review.look(room)
    assert review.troubles == {}


async def test_what_the_queue_does_not_take_stays_and_says_why(
    room: Room, review: Review, queue: Payouts
) -> None:
    await review.look(room)
    del queue.waiting["p1"]
    (held,) = await review.decide(room, ["p1"], "drop", "x")
    assert (held.state, held.note, held.open) == ("refused", "there is no p1", True)


async def test_the_same_name_in_two_queues_is_asked_for(room: Room, queue: Payouts) -> None:
    other = Payouts(HOLDS, waiting={"p1": payment("p1", 7)})
    review = Review(points_of(queue, other))
    assert len(await review.look(room)) == 4
    with pytest.raises(Refused, match="Several queues hold an action p1") as refused:
        await review.decide(room, ["p1"], "drop", "x")
    assert "second/payouts/p1" in refused.value.next_step
    await review.decide(room, ["second/payouts/p1"], "drop", "x")
    assert (other.thrown, queue.thrown) == (["p1"], [])


async def test_a_queue_that_cannot_say_what_it_holds_is_named(room: Room) -> None:
    plain = System(HOLDS)
    points = Points(
        Config(points=(Point("tickets", "fake", kind="queue", queue="tickets"),)), make=lambda *_: plain
    )
    review = Review(points)
    assert (await review.look(room), review.blind()) == ([], ["tickets"])


async def test_nothing_is_sent_while_the_record_takes_no_decision(
    room: Room, review: Review, queue: Payouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await review.look(room)

    async def full(*_: object, **__: object) -> tuple[Event, ...]:
        raise StoreTrouble("store.full", "The disk is full.", "Make room.")

    monkeypatch.setattr(room, "record", full)
    with pytest.raises(StoreTrouble):
        await review.decide(room, ["p1"], "release", "fine")
    assert (queue.asked, queue.paid) == ([], [])


async def test_a_real_incident_reaches_no_queue_of_a_drill(room: Room, queue: Payouts) -> None:
    points = Points(
        Config(points=(Point("approvals", "fake", kind="queue", queue="payouts"),)),
        make=lambda *_: queue,
        mode="drill",
    )
    for work in (Review(points).look(room), Review(points).carry_out(room)):
        with pytest.raises(Refused, match="drill"):
            await work
    assert queue.asked == []


@pytest.mark.req("S003-KS-8")
async def test_a_thousand_held_actions_are_decided_together(room: Room, queue: Payouts) -> None:
    queue.waiting = {f"p{n}": payment(f"p{n}") for n in range(1000)}
    review = Review(points_of(queue))
    held = await review.look(room)
    done = await review.decide(room, [each.id for each in held], "drop", "a loop made them")
    assert {each.state for each in done} == {"dropped"}
    assert len(queue.thrown) == len(set(queue.thrown)) == 1000


NAMES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True).map(tuple)


def results(
    drawn: tuple[tuple[str, ...], str],
) -> tuple[ev.HeldResult, ...]:
    names, outcome = drawn
    return tuple(ev.HeldResult(each, outcome) for each in names)  # type: ignore[arg-type]


BODIES = st.one_of(
    st.builds(
        ev.QuarantineListed,
        st.just("approvals"),
        st.just("payouts"),
        NAMES.map(lambda names: tuple(payment(each) for each in names)),
        NAMES,
    ),
    st.builds(
        ev.QuarantineDecided,
        st.just("approvals"),
        st.just("payouts"),
        st.sampled_from(["release", "drop", "hold"]),
        NAMES,
        st.just("x"),
    ),
    st.builds(
        ev.QuarantineCarriedOut,
        st.just("approvals"),
        st.just("payouts"),
        st.sampled_from(["release", "drop"]),
        st.tuples(NAMES, st.sampled_from(["done", "refused", "unknown"])).map(results),
    ),
)


@given(st.lists(BODIES, max_size=25), st.randoms(use_true_random=False))
def test_the_fold_is_the_same_in_any_order_of_arrival_and_what_is_over_stays_over(
    bodies: list[ev.Body], rnd: random.Random
) -> None:
    made = strand(ev.Declared(title="t", severity=2, label="SEV-2"))
    made += [event(body, n) for n, body in enumerate(bodies, 2)]
    whole = Fold()
    whole.add(made)
    pieces = Fold()
    for each in rnd.sample(made, len(made)):
        pieces.add([each])
    assert pieces.incident.quarantine == whole.incident.quarantine
    for held in whole.incident.quarantine.actions.values():
        assert held.open == (held.state in ("held", "deciding", "refused", "unknown"))
        assert held.word in ("release", "drop") or held.outcome == ""


async def told(room: Room, *kinds: str) -> list[str]:
    """What events of these kinds say on the timeline."""
    reader = await CaseReader.open(room.case.directory)
    try:
        return [sentence(ev.read(each)) for each in await reader.of(frozenset(kinds))]
    finally:
        await reader.close()
