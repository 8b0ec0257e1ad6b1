"""The fold of messages: whatever comes in whatever order, the state is one, and what went out stays out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.comms.state import Messages
from console.incident import Fold, fold
from tests.room.strand import event, strand

DECLARED = ev.Declared("refunds issued twice", 2, "SEV-2")
A, B = "a" * 16, "b" * 16
DIGEST = "d" * 64


def drafted(name: str = A, audience: ev.Audience = "internal") -> ev.MessageDrafted:
    return ev.MessageDrafted(name, "internal-update", "Factual update", audience, "3 errors")


def queued(name: str = A, sender: str = "chat", digest: str = DIGEST) -> ev.MessageQueued:
    return ev.MessageQueued(name, sender, "slack", digest, f"{name}:{sender}")


names = st.sampled_from([A, B])
places = st.sampled_from(["chat", "file"])
tries = st.integers(0, 4)
bodies: st.SearchStrategy[Any] = st.one_of(
    st.builds(drafted, names),
    st.builds(queued, names, places, st.sampled_from([DIGEST, "e" * 64])),
    st.builds(ev.MessageEdited, names, st.just("s"), st.sampled_from(["x", "y"])),
    st.builds(ev.MessageWaived, names, st.just("vague:soon"), st.just("why")),
    st.builds(ev.MessageApproved, names, st.just(DIGEST), st.just("comms")),
    st.builds(ev.MessageTrying, names, places, tries, tries),
    st.builds(ev.MessageSent, names, places, tries, st.sampled_from(["", "page1"])),
    st.builds(
        ev.MessageFailed, names, places, tries,
        st.sampled_from(["retry", "refused", "unknown"]), st.just("no"), tries, st.sampled_from(["", "nonsense"]),
    ),
    st.builds(ev.MessageSettled, names, places, st.sampled_from(["sent", "not"]), st.just("seen")),
    st.builds(ev.MessageCancelled, names, st.sampled_from(["", "chat"]), st.just("wrong")),
)  # fmt: skip


@given(st.lists(bodies, max_size=30), st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_any_repeat_gives_the_same_state(made: list[ev.Body], random: Any) -> None:
    events = strand(DECLARED, *made)
    whole = fold(events).messages
    mixed = [*events, *random.sample(events, len(events) // 2)]
    random.shuffle(mixed)
    kept = Fold()
    for each in mixed:
        kept.add([each])
    assert kept.incident.messages == whole


@given(st.lists(bodies, max_size=40))
def test_the_fold_is_total_and_what_went_out_stays_out(made: list[ev.Body]) -> None:
    state = Messages()
    sent: set[tuple[str, str]] = set()
    for each in strand(DECLARED, *made):
        state.apply(each, ev.read(each))
        now = {(m.id, d.sender) for m, d in state.deliveries() if d.state == "sent"}
        assert sent <= now
        sent = now
        for message, delivery in state.deliveries():
            assert message.standing
            assert delivery.attempts <= 4
    assert state.outstanding + state.unknown <= len(list(state.deliveries()))


@given(st.lists(bodies, max_size=30))
def test_no_try_has_the_number_of_an_earlier_one_that_is_over(made: list[ev.Body]) -> None:
    state, highest = Messages(), dict[tuple[str, str], int]()
    for each in strand(DECLARED, *made):
        state.apply(each, ev.read(each))
        for message, delivery in state.deliveries():
            place = (message.id, delivery.sender)
            assert delivery.attempts >= highest.get(place, 0)
            highest[place] = delivery.attempts


def test_an_approval_is_for_the_words_as_they_were() -> None:
    state = fold(strand(DECLARED, drafted(audience="customers"))).messages
    digest = state.drafted[A].digest
    said = [DECLARED, drafted(audience="customers"), ev.MessageApproved(A, digest, "comms")]
    assert fold(strand(*said)).messages.drafted[A].approved is not None
    edited = fold(strand(*said, ev.MessageEdited(A, "", "4 errors"))).messages.drafted[A]
    assert edited.approved is None
    back = fold(strand(*said, ev.MessageEdited(A, "", "4 errors"), ev.MessageEdited(A, "", "3 errors")))
    assert back.messages.drafted[A].approved is not None


def test_the_answer_to_an_earlier_try_says_nothing_about_the_newest() -> None:
    made = [
        DECLARED,
        drafted(),
        queued(),
        ev.MessageTrying(A, "chat", 2),
        ev.MessageFailed(A, "chat", 1, "retry", "no"),
    ]
    assert fold(strand(*made)).messages.drafted[A].deliveries["chat"].state == "trying"


def test_what_was_settled_as_not_sent_may_go_again_from_the_part_that_was_lost() -> None:
    made = [
        DECLARED, drafted(), queued(), ev.MessageTrying(A, "chat", 1, 1), ev.MessageFailed(A, "chat", 1, "unknown", "?", 1),
        ev.MessageSettled(A, "chat", "not", "not in the channel"), queued(),
    ]  # fmt: skip
    delivery = fold(strand(*made)).messages.drafted[A].deliveries["chat"]
    assert (delivery.state, delivery.part, delivery.attempts) == ("queued", 1, 1)
    other = [*made[:-1], queued(digest="e" * 64)]
    assert fold(strand(*other)).messages.drafted[A].deliveries["chat"].part == 0, "other words begin anew"


def test_retracting_what_went_out_does_not_unsend_it() -> None:
    made = [DECLARED, drafted(), queued(), ev.MessageSent(A, "chat", 1)]
    events = strand(*made)
    back = [event(ev.EntryRetracted(each.hash), 10 + n) for n, each in enumerate(events[1:])]
    assert fold([*events, *back]).messages.drafted[A].deliveries["chat"].state == "sent"


@pytest.mark.req("S003-PM-6")
def test_the_record_says_who_when_which_message_to_whom() -> None:
    made = [DECLARED, drafted(audience="regulator"), queued(), ev.MessageSent(A, "chat", 1, "ref-1")]
    message = fold(strand(*made)).messages.drafted[A]
    delivery = message.deliveries["chat"]
    assert (message.by, message.audience, message.body) == ("ana", "regulator", "3 errors")
    assert (delivery.sender, delivery.by, delivery.state, delivery.reference) == (
        "chat",
        "ana",
        "sent",
        "ref-1",
    )
    assert delivery.done_at > delivery.at
