"""The fold of what happens with playbooks, in whatever order it arrives."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.incident import LASTING, fold
from console.runner.document import digest_of, text_of
from console.timeline import project, sentence
from data.envelope import Event
from tests.room.strand import event, in_pieces, strand
from tests.room.test_incident import DECLARED
from tests.runner.conftest import book, command, step

OPTIONS = [{"id": "yes", "text": "Yes", "then": "end"}, {"id": "no", "text": "No"}]
FIRST = book(
    command("act", "echo", "{who}", automatic=True),
    step("choose", decision={"question": "?", "options": OPTIONS}),
    step("hand"),
    step("end", wait={"until": "it holds"}),
    values=({"name": "who", "ask": "Who?"},),
)
SECOND = book(command("act", "false"), step("more"))
DIGEST = "a" * 64
RUNS = tuple(f"{n:016x}" for n in range(3))


def opened(playbook: Any) -> ev.PlaybookOpened:
    text = text_of(playbook)
    return ev.PlaybookOpened(playbook.id, playbook.title, playbook.version, digest_of(text), text)


BOOKS = st.sampled_from(["test", "other"])
STEPS = st.sampled_from(["act", "choose", "hand", "end", "nothing"])
RUN = st.sampled_from(RUNS)
OUTCOMES = st.sampled_from(["done", "failed", "timed_out", "cancelled", "unknown"])
BODIES = st.one_of(
    st.sampled_from([opened(FIRST), opened(SECOND), ev.PlaybookClosed("test")]),
    st.just(ev.PlaybookOpened("test", "t", "1", DIGEST, "{")),
    st.builds(ev.ValueFilled, BOOKS, st.sampled_from(["who", "whom"]), st.sampled_from(["", "a", "b"])),
    st.builds(ev.StepApproved, BOOKS, STEPS, st.just(DIGEST), st.just("ic")),
    st.builds(ev.StepStarted, BOOKS, STEPS, RUN, dry=st.booleans(), automatic=st.booleans()),
    st.builds(ev.StepFinished, RUN, OUTCOMES, exit=st.sampled_from([None, 0, 1])),
    st.builds(ev.StopAsked, RUN),
    st.builds(
        ev.StepSettled, BOOKS, STEPS, RUN, st.sampled_from(["happened", "not", "repeat"]), st.just("seen")
    ),
    st.builds(ev.StepSet, BOOKS, STEPS, st.sampled_from(["open", "done", "not_applicable", "waived"])),
    st.builds(ev.StepDecided, BOOKS, STEPS, st.sampled_from(["yes", "no", "maybe"]), st.just("why")),
    st.builds(
        ev.AutomationGranted,
        BOOKS,
        st.just("one tenant"),
        st.just(("act",)),
        st.sampled_from(["2026-11-21T16:00:00Z", "whenever"]),
        st.just("why"),
    ),
    st.just(ev.AutomationWithdrawn()),
    st.just(ev.FreezeSet("outage")),
    st.builds(ev.FreezeExempted, BOOKS, STEPS, st.just("ours")),
    st.sampled_from(["retract", "reinstate", "announce", "lift", "withdraw"]),
)


@st.composite
def strands(draw: st.DrawFn) -> list[Event]:
    made = strand(DECLARED, ev.RosterAdded("b" * 32, "ben"), opened(FIRST))
    for body in draw(st.lists(BODIES, max_size=30)):
        target = made[draw(st.integers(0, len(made) - 1))].hash
        match body:
            case "retract":
                body = ev.EntryRetracted(target)
            case "reinstate":
                body = ev.EntryReinstated(target)
            case "announce":
                body = ev.AutomationAnnounced("test", "act", "2026-11-21T14:10:00Z", target)
            case "lift":
                body = ev.FreezeLifted(target)
            case "withdraw":
                body = ev.AutomationWithdrawn(target)
        rep = draw(st.sampled_from(["a" * 32, "b" * 32, "c" * 32]))
        made.append(event(body, len(made) + 1, rep=rep))
    return made


@given(strands(), st.randoms(use_true_random=False), st.integers(1, 7))
def test_incremental_equals_full_in_any_order_of_arrival(
    events: list[Event], rnd: random.Random, size: int
) -> None:
    for arrival in (events, rnd.sample(events, len(events)), [*events, *events]):
        assert in_pieces(arrival, size) == fold(events)


@given(strands())
def test_a_retracted_event_counts_as_if_it_had_never_been_unless_it_lasts(events: list[Event]) -> None:
    for victim in events[1:]:
        if victim.kind.startswith(("entry.", "roster.")) or victim.rep == "c" * 32:
            continue
        gone = fold([*events, event(ev.EntryRetracted(victim.hash), len(events) + 1)])
        if isinstance(ev.read(victim), LASTING):
            assert gone.plays == fold(events).plays, "what ran, ran"
        else:
            assert gone.plays == fold([each for each in events if each.hash != victim.hash]).plays


@given(strands())
def test_what_holds_after_whatever_happened(events: list[Event]) -> None:
    plays = fold(events).plays
    for play in plays.opened.values():
        way = [state.step.id for state in play.way()]
        assert len(way) == len(set(way)), "no step twice"
        for state in play.steps.values():
            assert all(plays.runs[run.id] is run for run in state.runs)
            if state.standing == "done" and state.mark != "done":
                raise AssertionError("done without anybody's word or a run")
    for each in events:
        project(each)


def test_a_stranger_changes_nothing() -> None:
    made = strand(DECLARED, opened(FIRST))
    stranger = event(ev.StepSet("test", "hand", "done"), 3, rep="c" * 32)
    assert fold([*made, stranger]).plays == fold(made).plays


@pytest.mark.req("S000-PD-2")
def test_whoever_saw_a_run_end_knows_better_than_whoever_found_it_abandoned() -> None:
    base = strand(DECLARED, opened(FIRST), ev.StepStarted("test", "act", RUNS[0], dry=False))
    unknown, done = ev.StepFinished(RUNS[0], "unknown"), ev.StepFinished(RUNS[0], "done")
    for ends in ((unknown, done), (done, unknown), (done, ev.StepFinished(RUNS[0], "failed"))):
        events = [*base, *(event(body, 4 + n) for n, body in enumerate(ends))]
        assert fold(events).plays.runs[RUNS[0]].outcome == "done"


def test_every_kind_says_itself_in_words_of_its_own() -> None:
    bodies = [
        opened(FIRST),
        ev.PlaybookClosed("test"),
        ev.ValueFilled("test", "who", "ana"),
        ev.StepApproved("test", "act", DIGEST, "ic"),
        ev.StepStarted("test", "act", RUNS[0], what=("echo", "ana")),
        ev.StepFinished(RUNS[0], "timed_out", note="1 s"),
        ev.StopAsked(RUNS[0]),
        ev.StepSettled("test", "act", RUNS[0], "not", "looked"),
        ev.StepSet("test", "act", "waived", "why"),
        ev.StepDecided("test", "choose", "yes", "why"),
        ev.AutomationGranted("test", "one tenant", ("act",), "2026-11-21T16:00:00Z", "why"),
        ev.AutomationWithdrawn(),
        ev.AutomationAnnounced("test", "act", "2026-11-21T16:00:00Z", DIGEST),
        ev.FreezeSet("outage"),
        ev.FreezeLifted(DIGEST),
        ev.FreezeExempted("test", "act", "ours"),
    ]
    for body in bodies:
        said = sentence(body)
        assert said != type(body).__name__
        assert len(project(event(body, 1))) == 1


def test_a_document_from_outside_that_cannot_be_read_opens_nothing() -> None:
    events = strand(DECLARED)
    for n, text in enumerate(("", "{}", "[1]", '{"id":"other","title":1}', "\ud83d"), 2):
        body = ev.PlaybookOpened("test", "t", "1", DIGEST, text.encode("utf-8", "replace").decode())
        events.append(event(body, n))
    assert fold(events).plays.opened == {}
