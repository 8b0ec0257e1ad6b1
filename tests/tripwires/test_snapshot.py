"""What a restart keeps, and whom an alert pages."""

import pytest

from console.refusal import Refused
from console.tripwires.engine import Engine
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import RULES, Rules
from tests.tripwires.story import MINUTE, USD, H, act, engine, history, play, spend


@pytest.mark.parametrize("damage", [b"", b"\x00", b"not a snapshot", b"\x81\xa6format\x02"])
def test_what_is_no_snapshot_is_refused_in_words(damage: bytes) -> None:
    with pytest.raises(Refused, match="cannot be read") as refused:
        Engine.restore(Rules(), None, damage)
    assert refused.value.next_step


def test_a_cut_snapshot_is_refused() -> None:
    tripwires = engine()
    tripwires.feed(history())
    snapshot = tripwires.snapshot()
    for size in range(0, len(snapshot), 97):
        with pytest.raises(Refused):
            Engine.restore(Rules(), None, snapshot[:size])


def test_a_duplicate_after_a_restart_is_still_one() -> None:
    tripwires = engine()
    twin = spend(1, 5)
    tripwires.feed([twin])
    again = Engine.restore(Rules(), None, tripwires.snapshot())
    again.feed([twin])
    assert again.agents()[0].spend == 5 * USD
    assert again.counters["duplicate"] == 1


def test_sums_beyond_64_bits_survive() -> None:
    tripwires = engine()
    # Late ones in their own hour, so that the sum is kept as one number.
    tripwires.feed([act(H + 30 * MINUTE)])
    tripwires.feed([act(H + n, 1_000_000) for n in range(10_000)])
    agent = Engine.restore(Rules(), None, tripwires.snapshot()).watched["default", "a"]
    assert agent.late_cost == 10_000 * 1_000_000 * USD > 2**63


def test_new_rules_apply_to_old_knowledge() -> None:
    tripwires = engine(guard=0.0)
    assert tripwires.feed([*history(), spend(1, 15)]) == []
    strict = Engine.restore(Rules(guard=0.0, cost_factor=1.0, version="2"), None, tripwires.snapshot())
    (opened,) = strict.feed([spend(2, 0)])
    assert (opened.alert.version, opened.alert.limit) == ("2", 10 * USD)


@pytest.mark.req("X-28")
def test_routes_may_name_several_recipients() -> None:
    assert {rule: Rules().route(rule) for rule in RULES} == {
        "cost-rate": ("owner",),
        "action-rate": ("owner",),
        "new-endpoint": ("owner",),
        "outcome": ("operations",),
        "authorisation": ("security",),
    }
    inventory = Inventory((Entry(agent="a", owner="alice"),))
    (alert,) = play([*history(), spend(1, 99)], inventory, routes={"cost-rate": ("owner", "finance")})
    assert alert.route == ("owner:alice", "finance")
    assert alert.sentence.endswith("; pages the agent owner alice and finance.")
