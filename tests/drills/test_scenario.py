"""The shipped scenario: quiet until the loop, then all wires within three minutes."""

import pytest

from console.drills import scenario
from console.tripwires.alert import Opened
from console.tripwires.engine import Engine
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import Rules
from playbooks import load
from playbooks.schema import Scenario

MINUTE = 60 * scenario.SECOND


@pytest.fixture(scope="module")
def refund_loop() -> Scenario:
    return load.scenario("refund-loop")


def engine_of(document: Scenario) -> Engine:
    entries = (
        Entry(agent=agent.name, allow=agent.tools, deny=agent.deny, owner=agent.owner)
        for agent in document.agents
    )
    return Engine(Rules(), Inventory(tuple(entries)))


@pytest.mark.req("S003-TW-1", "S003-TW-2", "S003-TW-3", "S003-TW-4", "S003-TW-5")
@pytest.mark.parametrize("seed", [1, 2, 7919])
def test_all_tripwires_page_within_three_minutes_of_the_loop_and_none_before(
    refund_loop: Scenario, seed: int
) -> None:
    engine = engine_of(refund_loop)
    begins = scenario.start(refund_loop) + refund_loop.loop.after * scenario.SECOND
    quiet = engine.feed(scenario.history(refund_loop, seed))
    pages: dict[str, int] = {}
    for action in scenario.live(refund_loop, seed):
        if action.at > begins + 3 * MINUTE:
            break
        for change in engine.feed([action]):
            if isinstance(change, Opened):
                assert change.alert.opened_at >= begins
                assert change.alert.agent == refund_loop.loop.agent
            if change.alert.pages:
                pages.setdefault(change.alert.rule, change.alert.detected_at - begins)
    assert quiet == []
    assert set(pages) == set(refund_loop.expects)
    assert max(pages.values()) <= 3 * MINUTE


def test_the_same_seed_gives_the_same_actions_and_another_seed_others(refund_loop: Scenario) -> None:
    def first(seed: int) -> list[object]:
        stream = scenario.live(refund_loop, seed)
        return [next(stream) for _ in range(500)]

    assert first(3) == first(3)
    assert first(3) != first(4)


def test_actions_come_in_the_order_of_time_and_with_their_own_ids(refund_loop: Scenario) -> None:
    actions = [*scenario.history(refund_loop), *scenario.live(refund_loop)]
    identities = {action.id for action in actions}
    assert len(identities) == len(actions)
    past = [action.at for action in scenario.history(refund_loop)]
    assert past == sorted(past)
    assert past[-1] < scenario.start(refund_loop)
    assert past[-1] - past[0] > 7.9 * scenario.DAY


def test_every_shipped_scenario_loads() -> None:
    assert "refund-loop" in load.scenarios()
    for name in load.scenarios():
        assert load.scenario(name).id == name
    with pytest.raises(KeyError):
        load.scenario("../roles")
