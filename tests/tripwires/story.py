"""Short ways to tell what agents did, for tests. Times are seconds or minutes after `H`."""

from collections.abc import Iterable
from typing import Any

from console.telemetry.action import Action
from console.tripwires.alert import Alert, Change, Closed
from console.tripwires.engine import Engine
from console.tripwires.inventory import Inventory
from console.tripwires.rules import HOUR, SECOND, Rules

H = 490_000 * HOUR
"""The hour in question: 2025-11-24T16:00:00Z."""
MINUTE = 60 * SECOND
USD = SECOND

_serial = iter(range(10**12))


def act(at: int, usd: float | None = None, **fields: Any) -> Action:
    """An action `at` (ns) with an id of its own; `usd` exact to the nano-USD."""
    if usd is not None:
        fields.setdefault("cost", round(usd * USD))
    fields.setdefault("agent", "a")
    fields.setdefault("id", f"n{next(_serial)}")
    return Action(at=at, **fields)


def spend(minute: float, usd: float, **fields: Any) -> Action:
    """A call `minute` after H that cost `usd`."""
    return act(H + round(minute * MINUTE), usd, **fields)


def history(hours: int = 168, usd: float = 10.0, calls: int = 1, **fields: Any) -> list[Action]:
    """The last active hours before H, each with `calls` calls that cost `usd` together at its start."""
    return [
        act(H - (hours - h) * HOUR + c, usd / calls, **fields) for h in range(hours) for c in range(calls)
    ]


def summed(*sums: float) -> list[Action]:
    """One active hour before H for every given spend in USD."""
    return [act(H - (len(sums) - h) * HOUR, usd) for h, usd in enumerate(sums)]


def engine(inventory: Inventory | None = None, **rules: Any) -> Engine:
    return Engine(Rules(**rules), inventory)


def final(changes: Iterable[Change]) -> list[Alert]:
    """The alerts that stand after all changes, by opening time."""
    alerts: dict[str, Alert] = {}
    for change in changes:
        if isinstance(change, Closed) and change.why != "over":
            del alerts[change.alert.id]
        else:
            alerts[change.alert.id] = change.alert
    return sorted(alerts.values(), key=lambda a: (a.opened_at, a.rule, a.tenant, a.agent, a.subject))


def play(actions: Iterable[Action], inventory: Inventory | None = None, **rules: Any) -> list[Alert]:
    """The alerts of actions replayed as they happened."""
    tripwires = engine(inventory, **rules)
    return final([*tripwires.feed(actions), *tripwires.finish()])
