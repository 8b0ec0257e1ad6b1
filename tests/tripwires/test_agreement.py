"""The engine against the oracle, whatever the batches, the order within the slack, duplicates, restarts."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from console.telemetry.action import Action
from console.tripwires import episode
from console.tripwires.alert import Alert, Change, Closed, Opened, identify
from console.tripwires.engine import Engine
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import DAY, HOUR, SECOND, SLACK, Rules
from tests.tripwires.oracle import Expected, expect
from tests.tripwires.story import MINUTE, USD, H, final

RULES = Rules(armed_hours=3, armed_hours_old=2, calls_floor=4, cost_floor=USD // 10, endpoint_age=2 * HOUR)
INVENTORY = Inventory(
    (
        Entry(agent="a", allow=("crm/*",), deny=("crm/delete",), cost_ceiling=25 * USD),
        Entry(agent="b", allow=("*",), start=H, end=H + 3 * HOUR),
    )
)


def summary(alerts: Sequence[Alert]) -> list[Expected]:
    return sorted(Expected(*(getattr(a, field) for field in Expected._fields)) for a in alerts)


def tell(seed: int) -> list[Action]:
    """Some hours of a few agents: a rhythm that arms the rates, then trouble; times are often equal."""
    random = Random(seed)
    actions: list[Action] = []
    start = H - random.choice([4, 6, 170]) * HOUR

    def add(at: int, **fields: object) -> None:
        actions.append(Action(at=at, id=f"{len(actions)}", **fields))  # type: ignore[arg-type]

    names = random.choice([("a",), ("a", "b"), ("c",)])
    for hour in range(start // HOUR, H // HOUR):
        for agent in names:
            if H // HOUR - hour > 6 and random.random() < 0.9:
                continue
            for _ in range(random.choice([0, 1, 2])):
                add(
                    hour * HOUR + random.choice([0, 1, 59 * MINUTE, 60 * MINUTE - 1, random.randrange(HOUR)]),
                    agent=agent,
                    cost=random.choice([USD, 5 * USD, 10 * USD, USD // 7]),
                    endpoint=random.choice(["", "GET x /a"]),
                )
    moment = H - 10 * MINUTE
    for _ in range(random.randint(1, 40)):
        moment += random.choice([0, 1, SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR - 1, HOUR])
        kind = random.choice(["model", "tool", "api", "api", "api", "artifact", "review", "run"])
        add(
            moment,
            agent=random.choice(names),
            kind=kind,
            cost=random.choice([None, 0, USD, 3 * USD, 11 * USD, 30 * USD, -5 * USD]),
            tool=random.choice(["", "crm/read", "crm/delete", "shell"]) if kind == "tool" else "",
            endpoint=random.choice(["", "GET x /a", "GET x /b", "POST y /c"]) if kind == "api" else "",
            artifact=random.choice(["m1", "m2"]) if kind in ("artifact", "review") else "",
            customer_visible=kind == "artifact",
            decision=random.choice(["approved", "rejected"]) if kind == "review" else "",
            presented_at=moment - random.choice([1, 29, 30, 90]) * SECOND if kind == "review" else None,
            reviewer=random.choice(["bob", "a", ""]),
            content_hash=random.choice(["", "1", "2"]),
        )
    return sorted(actions, key=lambda a: a.at)


def stories() -> st.SearchStrategy[list[Action]]:
    return st.integers(0, 2**32).map(tell)


def shuffled(actions: Sequence[Action], random: Random, slack: int = SLACK) -> list[Action]:
    """The actions as they might arrive when each is delayed by up to `slack`."""
    return [a for _, _, a in sorted((a.at + random.randint(0, slack), n, a) for n, a in enumerate(actions))]


def run(
    actions: Sequence[Action],
    random: Random | None = None,
    *,
    restarts: bool = False,
    advance: bool = False,
) -> list[Change]:
    """Feed the actions, in one batch or in random ones, perhaps with a restart after every batch."""
    engine = Engine(RULES, INVENTORY)
    changes: list[Change] = []
    left = list(actions)
    while left:
        size = random.randint(1, 8) if random else len(left)
        changes += engine.feed(left[:size])
        del left[:size]
        if restarts:
            engine = Engine.restore(RULES, INVENTORY, engine.snapshot())
        if advance:
            changes += engine.advance(engine.clock)
    return [*changes, *engine.finish()]


def check_protocol(changes: Sequence[Change]) -> None:
    """Every alert is opened once before it moves or closes, and ids are what they are defined to be."""
    standing: dict[str, bool] = {}
    for change in changes:
        a = change.alert
        assert a.id == identify(a.rule, a.version, a.tenant, a.agent, a.subject, a.opened_at)
        if isinstance(change, Opened):
            assert a.id not in standing
            assert not change.replaces or change.replaces not in standing
            standing[a.id] = True
        elif isinstance(change, Closed) and change.why != "over":
            del standing[a.id]
        else:
            assert a.id in standing
        assert a.opened_at <= a.last_at
        assert a.peak >= a.value
        assert a.pages == (a.page_at is not None)


@pytest.mark.req("S003-TW-1")
@pytest.mark.req("S003-TW-2")
@pytest.mark.req("S003-TW-3")
@pytest.mark.req("S003-TW-4")
@pytest.mark.req("S003-TW-5")
@settings(max_examples=150, deadline=None)
@given(stories())
def test_in_order(story: list[Action]) -> None:
    changes = run(story)
    check_protocol(changes)
    assert summary(final(changes)) == expect(story, RULES, INVENTORY)


@settings(max_examples=150, deadline=None)
@given(stories(), st.randoms(use_true_random=False), st.sampled_from([2, 512]))
def test_in_any_order_within_the_slack(story: list[Action], random: Random, loose: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(episode, "_LOOSE", loose)
        changes = run(shuffled(story, random))
    check_protocol(changes)
    assert summary(final(changes)) == expect(story, RULES, INVENTORY)


@settings(max_examples=80, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_batches_and_restarts_change_nothing(story: list[Action], random: Random) -> None:
    story = shuffled(story, random)
    at_once = run(story)
    assert run(story, random) == at_once
    assert run(story, random, restarts=True) == at_once
    assert summary(final(run(story, random, advance=True))) == summary(final(at_once))


@settings(max_examples=60, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_duplicates_change_nothing(story: list[Action], random: Random) -> None:
    twice = shuffled(story + [a for a in story if random.random() < 0.3], random, SLACK)
    assert summary(final(run(twice))) == expect(story, RULES, INVENTORY)


@settings(max_examples=40, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_agents_do_not_touch_each_other(story: list[Action], random: Random) -> None:
    """Sharding by agent gives the same alerts, so that more than one watcher can share a fleet."""
    together = final(run(shuffled(story, random)))
    apart = []
    for name in {a.agent for a in story}:
        mine = [a for a in story if a.agent == name or a.kind == "review"]
        apart += [a for a in final(run(mine)) if a.agent == name]
    assert summary(together) == summary(apart)


@settings(max_examples=80, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_a_clock_that_is_ahead_moves_nobody_elses_time(story: list[Action], random: Random) -> None:
    """What is dated ahead of its receipt counts when received, and leaves every other answer as it is."""
    ahead = [
        (action, structs.replace(action, at=action.at + random.choice([SLACK + 1, DAY, 365 * DAY])))
        for action in story
    ]
    right, wrong = Engine(RULES, INVENTORY), Engine(RULES, INVENTORY)
    expected: list[Change] = []
    found: list[Change] = []
    for action, skewed in ahead:
        shown = skewed if random.random() < 0.2 else action
        expected += right.feed([action], action.at)
        found += wrong.feed([shown], action.at)
    expected, found = [*expected, *right.finish()], [*found, *wrong.finish()]
    assert summary(final(found)) == summary(final(expected)) == expect(story, RULES, INVENTORY)
    assert [agent.save().past for agent in wrong.watched.values()] == [
        agent.save().past for agent in right.watched.values()
    ]


def test_the_stories_know_trouble() -> None:
    """Random stories trip every wire for every reason; otherwise the agreement would prove little."""
    expected = [e for seed in range(120) for e in expect(tell(seed), RULES, INVENTORY)]
    assert {e.rule for e in expected} == {
        "cost-rate",
        "action-rate",
        "new-endpoint",
        "outcome",
        "authorisation",
    }
    assert {e.reason for e in expected} >= {
        "ceiling",
        "denied",
        "no-entry",
        "expired",
        "too-fast",
        "bypassed",
    }
    assert {e.page_at is None for e in expected} == {True, False}
    assert any(e.peak > e.value for e in expected)


def test_long_baselines_agree() -> None:
    """Nine days of hours: the history expires, gaps open, and the restart is in the middle of it."""
    random = Random(7)
    story = [
        Action(at=at, agent="a", id=str(at), cost=random.choice([USD, 2 * USD, 9 * USD]))
        for at in sorted({H - 9 * DAY + random.randrange(9 * DAY + 2 * HOUR) for _ in range(700)})
    ]
    assert summary(final(run(story))) == expect(story, RULES, INVENTORY)
    assert run(story, random, restarts=True) == run(story)
