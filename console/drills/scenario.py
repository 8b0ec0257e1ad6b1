"""From a scenario document to the actions of its agents. The same seed gives the same actions."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING

from console.telemetry.action import Action
from data.clock import parse_iso

if TYPE_CHECKING:
    from playbooks.schema import Call, Scenario, ScenarioAgent

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
# A review is decided this long before the mail goes out; the reviewer had it longer than any minimum.
DECIDED_BEFORE, READ_FOR = 20 * SECOND, 75 * SECOND


def start(scenario: Scenario) -> int:
    """The drill's time at its start, ns UTC."""
    return parse_iso(scenario.starts)


def history(scenario: Scenario, seed: int = 1) -> Iterator[Action]:
    """Yield the quiet past, in the order of time: everything before the start."""
    begin = start(scenario) - scenario.history * SECOND
    return _merged([_usual(agent, begin, start(scenario), seed) for agent in scenario.agents])


def live(scenario: Scenario, seed: int = 1, halted: Callable[[], bool] = lambda: False) -> Iterator[Action]:
    """Yield what the agents do from the start on, in the order of time; the loop goes on until `halted`."""
    begin = start(scenario)
    end = begin + scenario.lasts * SECOND
    usual = [_usual(agent, begin, end, seed + 1) for agent in scenario.agents]
    return _merged([*usual, _loop(scenario, begin, seed, halted)])


def _merged(streams: list[Iterator[Action]]) -> Iterator[Action]:
    return heapq.merge(*streams, key=lambda action: action.at)


def _usual(agent: ScenarioAgent, begin: int, end: int, seed: int) -> Iterator[Action]:
    """One agent's work on a normal day: evenly spaced with some jitter, slower at night."""
    random = Random(f"{seed} {agent.name} {begin}")  # noqa: S311 - a simulation, not a secret
    calls, shares = agent.calls, [call.share for call in agent.calls]
    return _ordered(
        action
        for n, at in enumerate(_times(agent, begin, end, random))
        for action in _act(agent, random.choices(calls, shares)[0], at, f"{begin // HOUR}.{n}", random)
        if action.at < end
    )


def _times(agent: ScenarioAgent, begin: int, end: int, random: Random) -> Iterator[int]:
    at = begin
    while True:
        rate = agent.per_hour * _rhythm(at, agent.night / 100)
        at += int(HOUR / rate * random.uniform(0.6, 1.4))
        if at >= end:
            return
        yield at


def _rhythm(at: int, night: float) -> float:
    """How busy the time of day is: 1 at 15:00 UTC, `night` at 03:00."""
    hour = at % DAY / HOUR
    return night + (1 - night) * (1 + math.cos((hour - 15) / 24 * 2 * math.pi)) / 2


def _loop(scenario: Scenario, begin: int, seed: int, halted: Callable[[], bool]) -> Iterator[Action]:
    loop = scenario.loop
    agent = next(agent for agent in scenario.agents if agent.name == loop.agent)
    random = Random(f"{seed} loop")  # noqa: S311
    shares = [call.share for call in loop.calls]
    first = begin + loop.after * SECOND
    step = 60 * SECOND // loop.per_minute
    # Each kind of call comes at once and then by its share, so that every seed trips the same wires as early.
    for n in range(loop.lasts * SECOND // step):
        if halted():
            return
        call = loop.calls[n] if n < len(loop.calls) else random.choices(loop.calls, shares)[0]
        yield from _act(agent, call, first + n * step, f"loop.{n}", random, session="ticket-48213")


def _act(
    agent: ScenarioAgent, call: Call, at: int, key: str, random: Random, session: str = ""
) -> Iterator[Action]:
    """One action, and before it the review that allowed it."""
    name = f"{agent.name}.{key}"
    cost = None if call.cost is None else int(call.cost * 1000 * random.uniform(0.8, 1.2))
    artifact = f"{call.artifact}-{name}" if call.artifact else ""
    digest = f"{random.getrandbits(64):016x}" if artifact else ""
    if artifact and call.reviewed:
        decided = at - DECIDED_BEFORE
        yield Action(
            at=decided,
            agent=agent.name,
            id=f"{name}.review",
            kind="review",
            artifact=artifact,
            artifact_type=call.artifact,
            content_hash=digest,
            decision="approved",
            presented_at=decided - READ_FOR,
            reviewer="support-desk",
        )
    yield Action(
        at=at,
        agent=agent.name,
        id=name,
        session=session or f"{agent.name}-{at // HOUR}",
        kind=call.kind,
        tool=call.tool,
        endpoint=call.endpoint,
        model=call.model,
        tokens_in=random.randrange(800, 4000) if call.model else 0,
        tokens_out=random.randrange(100, 900) if call.model else 0,
        cost=cost,
        artifact=artifact,
        artifact_type=call.artifact,
        customer_visible=bool(artifact),
        content_hash=digest,
        principal=agent.principal,
        side_effect=call.side_effect,
        action_class=call.action_class,
        idempotency_key=name if call.side_effect != "none" else "",
    )


def _ordered(actions: Iterator[Action]) -> Iterator[Action]:
    """Restore the order of time: a review comes before an action that was drawn before it."""
    held: list[tuple[int, int, Action]] = []
    for n, action in enumerate(actions):
        heapq.heappush(held, (action.at, n, action))
        while held and held[0][0] <= action.at - 2 * DECIDED_BEFORE:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]
