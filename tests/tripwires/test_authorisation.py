"""Tool calls against the declared inventory."""

from typing import Any

import pytest

from console.tripwires.alert import Change
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import DAY, HOUR
from tests.tripwires.story import MINUTE, H, act, engine, final, play


def judged(inventory: Inventory | None, tool: str, at: int = H, **fields: Any) -> str:
    """The reason of the alert about one call, '' for none."""
    alerts = play([act(at, kind="tool", tool=tool, **fields)], inventory)
    return alerts[0].reason if alerts else ""


@pytest.mark.req("S003-TW-5")
@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ("crm/search", ""),
        ("crm/delete", "denied"),
        ("crm/delete_all", "denied"),
        ("mail/send", ""),
        ("Mail/send", "undeclared"),
        ("shell", "undeclared"),
        ("crm/search\x00", ""),
        ("search", "undeclared"),
        (".*", "undeclared"),
    ],
)
def test_globs_and_deny_wins(tool: str, reason: str) -> None:
    inventory = Inventory(
        (
            Entry(agent="a", allow=("crm/*", "mail/send"), deny=("crm/delete*",)),
            Entry(agent="b", allow=("*",)),
        )
    )
    assert judged(inventory, tool) == reason


@pytest.mark.req("S003-TW-5")
def test_entries_add_up_and_one_denial_wins() -> None:
    inventory = Inventory(
        (
            Entry(agent="a", allow=("crm/*",)),
            Entry(agent="*", tenant="default", allow=("time/*",), deny=("crm/export",)),
        )
    )
    assert [judged(inventory, t) for t in ("crm/read", "time/now", "crm/export")] == ["", "", "denied"]
    assert judged(inventory, "time/now", tenant="other") == "undeclared"


@pytest.mark.req("S003-TW-5")
def test_an_agent_without_entry_may_call_nothing() -> None:
    assert judged(Inventory((Entry(agent="b", allow=("*",)),)), "crm/search") == "no-entry"
    assert judged(Inventory(), "crm/search") == "no-entry"


@pytest.mark.req("S003-TW-5")
@pytest.mark.parametrize(
    ("at", "reason"), [(H - 1, "not-yet-valid"), (H, ""), (H + DAY - 1, ""), (H + DAY, "expired")]
)
def test_the_entry_in_force_at_event_time_counts(at: int, reason: str) -> None:
    inventory = Inventory((Entry(agent="a", allow=("crm/*",), start=H, end=H + DAY),))
    assert judged(inventory, "crm/search", at) == reason
    # The answer for one time must not be remembered for another.
    tripwires = engine(inventory)
    changes: list[Change] = []
    for moment in (H - 1, H, H + DAY - 1, H + DAY):
        changes += tripwires.feed([act(moment, kind="tool", tool="crm/search")])
    assert [a.reason for a in final(changes)] == ["not-yet-valid", "expired"]


@pytest.mark.req("S003-TW-5")
def test_attempts_that_failed_count_and_one_alert_per_tool_and_episode() -> None:
    calls = [act(H + n * MINUTE, kind="tool", tool="shell", status="error") for n in range(5)]
    calls += [
        act(H + 6 * MINUTE, kind="tool", tool="crm/delete"),
        act(H + 3 * HOUR, kind="tool", tool="shell"),
    ]
    alerts = play(calls, Inventory((Entry(agent="a", allow=("crm/*",), deny=("crm/delete",)),)))
    assert [(a.subject, a.opened_at, a.last_at, a.peak, a.count) for a in alerts] == [
        ("shell", H, H + 4 * MINUTE, 5, 5),
        ("crm/delete", H + 6 * MINUTE, H + 6 * MINUTE, 1, 1),
        ("shell", H + 3 * HOUR, H + 3 * HOUR, 1, 1),
    ]
    assert {a.route for a in alerts} == {("security",)}
    assert all(a.pages and a.page_at == a.opened_at for a in alerts)
    assert alerts[0].sentence == (
        "a called shell, which its inventory entry does not allow, 5 times, since 2025-11-24T16:00:00Z; "
        "pages security."
    )


def test_without_an_inventory_the_wire_is_blind_and_says_so() -> None:
    tripwires = engine(None)
    assert tripwires.feed([act(H, kind="tool", tool="shell")]) == []
    assert tripwires.blind == {"authorisation": "no inventory"}
    assert engine(Inventory()).blind == {}


@pytest.mark.req("S003-TW-5")
def test_however_late_a_forbidden_call_is_told() -> None:
    tripwires = engine(Inventory())
    tripwires.feed([act(H)])
    (opened,) = tripwires.feed([act(H - HOUR, kind="tool", tool="shell")], H + MINUTE)
    assert (opened.alert.opened_at, opened.alert.detected_at) == (H - HOUR, H + MINUTE)


def test_many_tools_share_an_alert() -> None:
    tripwires = engine(Inventory(), subject_cap=3, calls_floor=1000)
    alerts = final(tripwires.feed(act(H + n, kind="tool", tool=f"t{n}") for n in range(10)))
    assert [a.subject for a in alerts] == ["t0", "t1", "t2", "*"]
    assert alerts[-1].peak == 1


def test_agents_beyond_the_cap_are_counted_together_but_judged_by_name() -> None:
    inventory = Inventory((Entry(agent="a2", allow=("shell",)), Entry(agent="a1", allow=("*",))))
    tripwires = engine(inventory, agent_cap=1)
    calls = [act(H + n, kind="tool", tool="shell", agent=f"a{n}") for n in (1, 2, 3)]
    (alert,) = final(tripwires.feed(calls))
    assert (alert.agent, alert.opened_at, alert.reason) == ("*", H + 3, "no-entry")
    assert len(tripwires.watched) == 2
