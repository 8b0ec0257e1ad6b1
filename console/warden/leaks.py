"""Who acts although it is halted: telemetry against what the warden says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from console.telemetry.action import CALLS, Action
from console.warden.protocol import GuardStanding

IN_FLIGHT = 2_000_000_000
"""Nanoseconds that what was begun before the halt may take to end, and clocks may differ by."""


class Leak(NamedTuple):
    """An agent that acted after its grace. Its name and its tool come from agents: clean them before they are shown.

    Attributes:
        agent: who.
        epoch: of the halt.
        actions: how many calls came after the grace.
        first: end of the first of them, nanoseconds UTC.
        tool: what that one called; empty if it named none.
        grace: when the grace was over, nanoseconds UTC.
    """

    agent: str
    epoch: int
    actions: int
    first: int
    tool: str
    grace: int


def leaks(
    standing: Iterable[GuardStanding], actions: Iterable[Action], in_flight: int = IN_FLIGHT
) -> list[Leak]:
    """Return the halted agents that acted after their grace, the one with most actions first.

    A guard has grace until it said that it stopped, or until its lease was over; an agent has that of its last guard.

    Args:
        standing: the guards, as the warden has them.
        actions: what agents did, in any order.
        in_flight: nanoseconds that are added to the grace.
    """
    graces: dict[tuple[str, str, str], tuple[int, int]] = {}
    for each in standing:
        if each.scope not in ("all", "agent", "tool"):
            continue
        tool = each.subject if each.scope == "tool" else ""
        lapses = each.times.get("lease_expired", each.valid_ms)
        grace = each.at + min(lapses, each.times.get("acked", lapses)) * 1_000_000 + in_flight
        key = each.agent, tool, each.scope
        epoch, latest = graces.get(key, (0, 0))
        graces[key] = max(epoch, each.epoch), max(latest, grace)
    found: dict[str, Leak] = {}
    by_agent: dict[str, list[tuple[str, int, int]]] = {}
    for (agent, tool, _), (epoch, grace) in graces.items():
        by_agent.setdefault(agent, []).append((tool, epoch, grace))
    for action in actions:
        if action.kind not in CALLS:
            continue
        for tool, epoch, grace in by_agent.get(action.agent, ()):
            if action.at <= grace or (tool and tool != action.tool):
                continue
            known = found.get(action.agent)
            if known is None:
                found[action.agent] = Leak(action.agent, epoch, 1, action.at, action.tool, grace)
            elif action.at < known.first:
                found[action.agent] = Leak(
                    action.agent, epoch, known.actions + 1, action.at, action.tool, grace
                )
            else:
                found[action.agent] = known._replace(actions=known.actions + 1)
            break
    return sorted(found.values(), key=lambda leak: (-leak.actions, leak.agent))
