"""Spend and call rates: the worked examples, to the nanosecond and the nano-USD."""

from typing import Any

import pytest

from console.telemetry.action import Action
from console.tripwires.alert import Closed, Moved, Opened
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import DAY, HOUR, SECOND
from tests.tripwires.story import MINUTE, USD, H, act, engine, final, history, play, spend, summed

LITERAL: dict[str, Any] = {"guard": 0.0}


def told(actions: list[Action], **rules: Any) -> list[Any]:
    """(rule, minutes after H, value in USD or calls, limit) of every alert."""
    return [
        (
            a.rule,
            (a.opened_at - H) / MINUTE,
            a.value / USD if a.unit == "nano-usd" else a.value,
            a.limit / USD if a.unit == "nano-usd" else a.limit,
        )
        for a in play(actions, **rules)
    ]


@pytest.mark.req("S003-TW-1")
@pytest.mark.parametrize(
    ("now", "alerts"),
    [
        pytest.param([(10, 7), (20, 7), (30, 7)], [(30, 21)], id="third-call-exceeds"),
        pytest.param([(10, 10), (20, 10)], [], id="equal-is-not-more"),
        pytest.param([(5, 11), (65, 11)], [], id="an-hour-old-is-outside"),
        pytest.param([(5 + 1 / 60e9, 11), (65, 11)], [(65, 22)], id="a-nanosecond-less-is-inside"),
        pytest.param([(50, 12), (70, 12)], [(70, 24)], id="no-clock-hour-exceeds"),
        pytest.param([(10, 25), (69, 1)], [(10, 25)], id="one-episode"),
        pytest.param([(10, 25), (70, 1)], [(10, 25)], id="the-end-of-an-hour-is-outside"),
        pytest.param([(10, 25), (70, 25)], [(10, 25)], id="an-hour-later-still-belongs"),
        pytest.param([(10, 25), (70 + 1 / 60e9, 25)], [(10, 25), (70 + 1 / 60e9, 25)], id="two-episodes"),
        pytest.param([(10, 21), (11, -5), (12, 4)], [(10, 21)], id="refund"),
        pytest.param([(10, 18), (11, -5), (12, 7)], [], id="refund-counts"),
    ],
)
def test_cost_window(now: list[tuple[float, float]], alerts: list[tuple[float, float]]) -> None:
    actions = [*history(), *(spend(minute, usd) for minute, usd in now)]
    found = told(actions, **LITERAL)
    assert found == [("cost-rate", pytest.approx(at, abs=1e-12), value, 20) for at, value in alerts]
    assert all(alert.pages and alert.route == ("owner",) for alert in play(actions, **LITERAL))


@pytest.mark.req("S003-TW-1")
def test_even_number_of_hours_takes_the_middle_of_two() -> None:
    hours = summed(*range(1, 13))
    assert told([*hours, spend(5, 13)], **LITERAL) == []
    more = act(H + 5 * MINUTE, cost=13 * USD + 1)
    (alert,) = play([*hours, more], **LITERAL)
    assert (alert.value, alert.limit) == (13 * USD + 1, 13 * USD)


@pytest.mark.req("S003-TW-1")
def test_idle_hours_are_no_part_of_the_baseline() -> None:
    office = [
        act(H - day * DAY - 10 * HOUR + hour * HOUR + MINUTE, 10)
        for day in (6, 5, 4, 3, 2)
        for hour in range(8)
    ]
    assert told([*office, spend(5, 15)], **LITERAL) == []


def test_learning_armed_and_ceiling() -> None:
    assert told([*summed(*[10] * 11), spend(5, 1000)], **LITERAL) == []
    assert told([*summed(*[10] * 12), spend(5, 1000)], **LITERAL) == [("cost-rate", 5, 1000, 20)]
    ceiling = Inventory((Entry(agent="a", cost_ceiling=50 * USD),))
    alerts = play([*summed(*[10] * 11), spend(5, 50), spend(6, 1)], ceiling)
    assert [(a.value, a.limit, a.reason, a.pages) for a in alerts] == [(51 * USD, 50 * USD, "ceiling", True)]


def test_a_nightly_job_arms_after_a_full_history() -> None:
    nights = [act(H - n * DAY + MINUTE, 10) for n in range(7, 0, -1)]
    assert told([*nights[2:], spend(5, 100)], **LITERAL) == []
    # Known for exactly 168 h, with the seven hours of the last week.
    assert told([*nights, spend(5, 100)], **LITERAL) == [("cost-rate", 5, 100, 20)]


def test_floor_keeps_small_spenders_quiet() -> None:
    small = history(24, 0.02)
    assert told([*small, spend(5, 0.90)], **LITERAL) == []
    assert told([*small, spend(5, 0.90), spend(6, 0.11)], **LITERAL) == [("cost-rate", 6, 1.01, 1)]


@pytest.mark.parametrize("identity", [{"trace": "t", "span": "s"}, {"id": "one"}, {"id": ""}])
def test_duplicates_count_once(identity: dict[str, str]) -> None:
    twin = act(H + 10 * MINUTE, 15, **identity)
    tripwires = engine(guard=0.0)
    changes = tripwires.feed([*history(), twin, twin, twin])
    assert changes == []
    assert tripwires.counters["duplicate"] == 2


@pytest.mark.req("S003-TW-1")
def test_late_within_the_slack_completes_a_crossing() -> None:
    tripwires = engine(guard=0.0)
    changes = tripwires.feed([*history(), spend(10, 7), spend(30, 7)])
    assert changes == []
    tripwires.feed([spend(32, 0)], H + 32 * MINUTE)
    (opened,) = tripwires.feed([spend(29, 7)], H + 33 * MINUTE)
    assert isinstance(opened, Opened)
    alert = opened.alert
    assert (alert.opened_at, alert.detected_at) == (H + 30 * MINUTE, H + 33 * MINUTE)


@pytest.mark.req("S003-TW-1")
def test_an_action_delivered_late_among_punctual_ones_is_put_in_its_place() -> None:
    tripwires = engine(guard=0.0)
    tripwires.feed([*history(), spend(10, 7)])
    tripwires.feed([spend(24, 7)], H + 24 * MINUTE)
    (opened,) = tripwires.feed([spend(20, 7)], H + 33 * MINUTE)
    assert (opened.alert.opened_at, opened.alert.detected_at) == (H + 24 * MINUTE, H + 33 * MINUTE)
    assert opened.alert.value == 21 * USD


@pytest.mark.req("S003-TW-1")
def test_later_than_the_slack_counts_in_the_hour_only() -> None:
    tripwires = engine(guard=0.0)
    assert tripwires.feed([*history(), spend(10, 7), spend(30, 7)]) == []
    assert tripwires.feed([act(H + 25 * MINUTE - 1, 7)], H + 33 * MINUTE) == []
    (status,) = tripwires.agents()
    assert (status.late, status.spend) == (1, 14 * USD)
    assert tripwires.watched["default", "a"].late_cost == 7 * USD


@pytest.mark.req("S003-TW-1")
def test_a_clock_ahead_counts_when_received() -> None:
    tripwires = engine(guard=0.0)
    tripwires.feed(history())
    assert tripwires.feed([spend(130, 15)], H + 10 * MINUTE) == []
    (opened,) = tripwires.feed([spend(20, 6)], H + 20 * MINUTE)
    assert (opened.alert.opened_at, opened.alert.value) == (H + 20 * MINUTE, 21 * USD)
    (status,) = tripwires.agents()
    assert status.skewed == 1
    assert tripwires.feed([spend(20.5, 1)], H + 21 * MINUTE) == []
    assert tripwires.agents()[0].late == 0


@pytest.mark.req("S003-TW-2")
def test_action_rate() -> None:
    hours = history(168, 0, 100)
    calls = [act(H + 10 * MINUTE + n) for n in range(301)]
    assert told([*hours, *calls[:300]], **LITERAL) == []
    assert told([*hours, *calls], **LITERAL) == [
        ("action-rate", pytest.approx(10, abs=1e-6), 301, 300),
    ]
    (alert,) = play([*hours, *calls], **LITERAL)
    assert (alert.pages, alert.route) == (True, ("owner",))


@pytest.mark.req("S003-TW-2")
def test_only_calls_are_calls() -> None:
    hours = history(24, 0, 10)
    rest = [act(H + n, 10, kind=kind) for n in range(50) for kind in ("artifact", "review", "run")]
    calls = [act(H + 100 + n, kind=kind) for n in range(10) for kind in ("model", "tool", "api")]
    assert told([*hours, *rest, *calls], **LITERAL) == []
    assert [a[0] for a in told([*hours, *rest, *calls, act(H + 200)], **LITERAL)] == ["action-rate"]


@pytest.mark.req("X-30.1")
def test_guard_keeps_a_day_rhythm_from_paging() -> None:
    days = [act(H - h * HOUR, 40 if h % 24 in range(1, 9) else 10) for h in range(168, 0, -1)]
    usual, more = spend(5, 40), spend(5, 61)
    quiet = play([*days, usual])[-1]
    assert quiet.last_at == usual.at
    assert (quiet.limit, quiet.page_limit, quiet.pages, quiet.page_at) == (20 * USD, 60 * USD, False, None)
    paging = play([*days, more])[-1]
    assert (paging.pages, paging.page_at) == (True, more.at)
    assert play([*days, usual], page_at="literal")[-1].pages
    assert play([*days, usual], guard=0.0)[-1].pages


def test_p95_is_exact() -> None:
    (alert,) = play([*summed(*range(1, 21)), spend(5, 28.575), spend(6, 0.000000001)])
    assert (alert.limit, alert.page_limit) == (21 * USD, 28_575_000_000)
    assert (alert.opened_at, alert.page_at) == (H + 5 * MINUTE, H + 6 * MINUTE)


def test_two_tenants_are_two_agents() -> None:
    both = [*history(tenant="x"), *history(tenant="y")]
    both.sort(key=lambda a: a.at)
    alerts = play([*both, spend(10, 15, tenant="x"), spend(11, 15, tenant="y"), spend(12, 6, tenant="y")])
    assert [(a.tenant, a.opened_at) for a in alerts] == [("y", H + 12 * MINUTE)]


def test_an_alert_that_turns_out_to_have_begun_earlier_is_replaced() -> None:
    tripwires = engine(guard=0.0)
    changes = tripwires.feed([*history(), spend(10, 10), spend(20, 5), spend(21, 6)])
    (first,) = changes
    assert first.alert.opened_at == H + 21 * MINUTE
    closed, opened = tripwires.feed([spend(19, 6)], H + 22 * MINUTE)
    assert isinstance(closed, Closed)
    assert (closed.why, closed.alert.id) == ("superseded", first.alert.id)
    assert isinstance(opened, Opened)
    assert (opened.replaces, opened.alert.opened_at) == (first.alert.id, H + 20 * MINUTE)
    assert (opened.alert.value, opened.alert.peak) == (21 * USD, 27 * USD)
    # It was known when the first of the two was.
    assert opened.alert.detected_at == H + 21 * MINUTE


def test_a_late_refund_withdraws_the_alert() -> None:
    tripwires = engine(guard=0.0)
    (opened,) = tripwires.feed([*history(), spend(20, 21)])
    (closed,) = tripwires.feed([spend(19, -5)], H + 21 * MINUTE)
    assert isinstance(closed, Closed)
    assert (closed.why, closed.alert.id) == ("withdrawn", opened.alert.id)
    assert tripwires.finish() == []


def test_a_refund_does_not_hide_what_a_late_call_did_before_it() -> None:
    tripwires = engine(guard=0.0)
    assert tripwires.feed([*history(), spend(10, 10), spend(20, 9), spend(22, -8)]) == []
    (opened,) = tripwires.feed([spend(19, 3)])
    assert (opened.alert.opened_at, opened.alert.value) == (H + 20 * MINUTE, 22 * USD)


def test_a_late_call_is_judged_by_the_baseline_of_its_own_hour() -> None:
    """The oldest hour, which doubles the median, leaves the history when H begins."""
    hours = [act(H - (169 - n) * HOUR, usd) for n, usd in enumerate([100, *[10] * 6, *[30] * 5])]
    for late, alerts in ((spend(-1, 25), []), (spend(-1, 26), [(H - MINUTE, 41 * USD, 40 * USD)])):
        tripwires = engine(guard=0.0)
        assert tripwires.feed([*hours, spend(-2, 15), spend(1, -20)]) == []
        changes = tripwires.feed([late])
        assert [(c.alert.opened_at, c.alert.value, c.alert.limit) for c in changes] == alerts


def test_what_goes_on_is_told_once_a_minute_and_at_the_end() -> None:
    tripwires = engine(guard=0.0, calls_floor=1000)
    calls = [spend(10 + n / 60, 1 if n else 21) for n in range(150)]
    changes = [*tripwires.feed([*history(), *calls]), *tripwires.finish()]
    assert [type(c) for c in changes] == [Opened, Moved, Moved, Moved]
    assert [c.alert.last_at - H - 10 * MINUTE for c in changes] == [0, MINUTE, 2 * MINUTE, 149 * SECOND]
    assert changes[-1].alert.peak == 170 * USD


def test_the_page_is_told_at_once() -> None:
    tripwires = engine()
    changes = tripwires.feed([*summed(*range(1, 21)), spend(5, 22), spend(5.1, 7)])
    assert [type(c) for c in changes] == [Opened, Moved]
    assert [c.alert.pages for c in changes] == [False, True]


def test_an_episode_ends_when_time_passes() -> None:
    tripwires = engine()
    (opened,) = tripwires.feed([*history(), spend(5, 31)])
    assert tripwires.advance(H + 65 * MINUTE) == []
    (closed,) = tripwires.advance(H + 71 * MINUTE)
    assert isinstance(closed, Closed)
    assert (closed.why, closed.alert.id) == ("over", opened.alert.id)
    assert tripwires.advance(H + 80 * MINUTE) == []
    assert tripwires.agents(H + 80 * MINUTE)[0].state == "armed"


def test_states_and_limits_for_display() -> None:
    tripwires = engine()
    tripwires.feed(history(11))
    (status,) = tripwires.agents()
    assert (status.state, status.cost_limit, status.active_hours) == ("learning", None, 10)
    tripwires = engine()
    tripwires.feed([*history(20), spend(1, 5, sampled=True), spend(2, 1, attributed="provisional")])
    (status,) = tripwires.agents()
    assert (status.state, status.cost_limit, status.calls_limit) == ("armed", 20 * USD, 30)
    assert (status.spend, status.sampled, status.provisional) == (6 * USD, 1, 1)
    tripwires.feed([spend(3, 50)])
    assert tripwires.agents()[0].state == "firing"


def test_unknown_cost_is_counted_not_guessed() -> None:
    tripwires = engine()
    tripwires.feed([act(H), act(H + 1, 0.5)])
    (status,) = tripwires.agents()
    assert (status.unknown_cost, status.spend, status.calls) == (1, USD // 2, 2)


@pytest.mark.req("S003-TW-1")
def test_the_alert_says_it_in_one_sentence() -> None:
    inventory = Inventory((Entry(agent="a", owner="alice", allow=("*",)),))
    (alert,) = play([*history(), spend(10, 31.5, tool="crm/search")], inventory)
    assert alert.sentence == (
        "a spent 31.50 USD in one hour, more than its limit of 20.00 USD, since 2025-11-24T16:10:00Z; "
        "pages the agent owner alice."
    )
    assert alert.route == ("owner:alice",)
    hostile = "x\x1b[2J"
    hours = [act(a.at, cost=a.cost, agent=hostile) for a in summed(*range(1, 21))]
    (quiet,) = play([*hours, spend(10, 22, agent=hostile)])
    assert quiet.agent == hostile
    assert quiet.sentence == (
        "x␛[2J spent 22.00 USD in one hour, more than its limit of 21.00 USD, since 2025-11-24T16:10:00Z; "
        "pages nobody up to 28.57 USD."
    )


def test_the_alert_carries_its_actions() -> None:
    tripwires = engine(guard=0.0)
    calls = [act(H + n * SECOND, 0.01, id=f"c{n}", tool="crm/send") for n in range(1500)]
    changes = [*tripwires.feed([*history(), *calls]), *tripwires.finish()]
    (alert,) = final(changes)
    assert alert.rule == "action-rate"
    assert alert.count >= 1500
    assert alert.actions == tuple(f"c{n}" for n in range(500, 1500))
    assert len(alert.sample) == 20
    assert alert.sample[-1] == {
        "id": "c30",
        "at": H + 30 * SECOND,
        "kind": "api",
        "name": "crm/send",
        "cost": 10_000_000,
        "status": "ok",
        "side_effect": "unknown",
    }


def test_an_alert_shows_how_far_it_came_although_nothing_more_happens() -> None:
    """A burst within the time between two reports: the last report must not stay the first."""
    watcher = engine()
    watcher.feed(history())
    opened = watcher.feed([spend(i / 60, 10) for i in range(1, 31)])
    before = [change.alert.peak for change in opened if change.alert.rule == "cost-rate"]
    quiet = [change for minute in range(1, 5) for change in watcher.advance(H + minute * MINUTE)]
    after = [change.alert.peak for change in quiet if change.alert.rule == "cost-rate"]
    assert before[-1] < after[-1] == 300 * USD
    assert len(after) == 1, "and it is reported once"
