"""Calls to endpoints that an agent did not use before."""

import pytest

from console.tripwires.alert import Closed, Opened
from console.tripwires.rules import DAY, SECOND
from tests.tripwires.story import MINUTE, H, act, engine, final, play

OLD, NEW = "GET api.example /orders", "POST api.example /refunds"


@pytest.mark.req("S003-TW-3")
@pytest.mark.parametrize(
    ("life", "fires"), [(DAY - SECOND, False), (DAY - 1, False), (DAY, True), (90 * DAY, True)]
)
def test_fires_once_an_agent_is_known_for_a_day(life: int, fires: bool) -> None:
    uses = [act(H - life, endpoint=OLD), act(H, endpoint=NEW), act(H + 1, endpoint=NEW)]
    alerts = play(uses)
    assert [(a.rule, a.subject, a.opened_at, a.reason, a.pages, a.route) for a in alerts] == (
        [("new-endpoint", NEW, H, "new", True, ("owner",))] if fires else []
    )


@pytest.mark.req("S003-TW-3")
def test_is_new_again_after_more_than_thirty_days() -> None:
    first = [act(H - 2 * DAY, endpoint=OLD), act(H, endpoint=NEW)]
    assert len(play([*first, act(H + 30 * DAY, endpoint=NEW)])) == 1
    again = play([*first, act(H + 30 * DAY + 1, endpoint=NEW)])
    assert [a.opened_at for a in again] == [H, H + 30 * DAY + 1]


@pytest.mark.req("S003-TW-3")
def test_ids_in_paths_make_no_new_endpoint() -> None:
    calls = [act(H + n * SECOND, endpoint=f"GET api.example/orders/{n}") for n in range(500)]
    assert play([act(H - 2 * DAY, endpoint="GET api.example/orders/7"), *calls], calls_floor=1000) == []


@pytest.mark.req("S003-TW-3")
def test_an_earlier_first_use_that_arrives_late_corrects_the_alert() -> None:
    tripwires = engine()
    (opened,) = tripwires.feed([act(H - DAY, endpoint=OLD), act(H + MINUTE, endpoint=NEW)])
    closed, again = tripwires.feed([act(H, endpoint=NEW)])
    assert isinstance(closed, Closed)
    assert isinstance(again, Opened)
    assert again.replaces == closed.alert.id == opened.alert.id
    assert again.alert.opened_at == H
    # One second before the agent was known for a day the endpoint was simply learnt.
    (withdrawn,) = tripwires.feed([act(H - SECOND, endpoint=NEW)])
    assert isinstance(withdrawn, Closed)
    assert withdrawn.why == "withdrawn"


@pytest.mark.req("S003-TW-3")
def test_endpoints_beyond_the_cap_count_as_one() -> None:
    names = [f"GET h{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}.example/" for n in range(20)]
    tripwires = engine(endpoint_cap=10, calls_floor=1000)
    known = [act(H - 2 * DAY + n, endpoint=name) for n, name in enumerate(names[:10])]
    changes = tripwires.feed([*known, *(act(H + n, endpoint=name) for n, name in enumerate(names[10:]))])
    (alert,) = final(changes)
    assert alert.subject == "*"
    assert "more endpoints than are kept apart" in alert.sentence
    assert tripwires.counters["beyond-endpoint-cap"] == 10
    assert len(tripwires.watched["default", "a"].endpoints) == 11


@pytest.mark.req("S003-TW-3")
def test_a_later_use_that_arrives_late_changes_nothing() -> None:
    tripwires = engine()
    tripwires.feed([act(H - 2 * DAY, endpoint=OLD), act(H + 2 * MINUTE, endpoint=NEW)])
    tripwires.feed([act(H + MINUTE, endpoint=NEW)])
    assert tripwires.feed([act(H + 90 * SECOND, endpoint=NEW)]) == []
    (alert,) = tripwires.alerts()
    assert (alert.opened_at, alert.last_at, alert.peak) == (H + MINUTE, H + MINUTE, 1)
