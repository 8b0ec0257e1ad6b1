"""Points that reach a system of the tests' own, which does what it is told, or says so and does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from console.config import Config, Point
from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable
from console.containment.points import Points
from console.desk import Desk
from console.room import Room
from data.clock import ManualClock
from data.home import Home
from playbooks import load
from tests.cli.conftest import warroom

__all__ = ["warroom"]

SECOND = 1_000_000_000
NOON = 1_795_262_400_000_000_000
"""2026-11-21T12:00:00Z"""


@dataclass
class System:
    """A system with things that run until they are told to stop.

    Attributes:
        stopped: names of what stands still.
        lies: names of what says that it stops, and goes on.
        dead: names of what does not answer.
        refuses: names of what answers that it will not.
        told: every call, in the order in which it came.
    """

    verbs: frozenset[str]
    stopped: set[str] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    told: list[Call] = field(default_factory=list)

    def plan(self, call: Call) -> str:
        return f"tell {call.target}: {call.verb}"

    async def apply(self, call: Call) -> Answer:
        if call.target in self.dead:
            raise Unreachable("nobody answers")
        if call.target in self.refuses:
            raise Declined("not with this token")
        self.told.append(call)
        if call.target not in self.lies:
            (self.stopped.discard if _restores(call.verb) else self.stopped.add)(call.target)
        return Answer()

    async def probe(self, call: Call) -> Reading:
        if call.target in self.dead:
            return Reading("unknown", "nobody answers")
        return (
            Reading("stopped", "a canary call was refused")
            if call.target in self.stopped
            else Reading("running")
        )

    async def close(self) -> None:
        pass


def _restores(verb: str) -> bool:
    return verb in {move.restore for move in load.moves().values()}


BOTH = {
    "halt_agent": "restore_agent",
    "halt_tool": "restore_tool",
    "quarantine_actions": "release_actions",
    "scheduler_off": "scheduler_on",
    "disable_mcp_server": "enable_mcp_server",
}


def both(*verbs: str) -> frozenset[str]:
    """The verbs, each with the one that takes it back."""
    return frozenset(verbs) | {BOTH[verb] for verb in verbs}


class Grounds:
    """Points and the systems behind them, by the point's name."""

    def __init__(self, *points: tuple[Point, frozenset[str]]) -> None:
        self.systems = {point.name: System(verbs) for point, verbs in points}
        self.points = Points(
            Config(points=tuple(point for point, _ in points)),
            make=lambda point, _: self.systems[point.name],
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def home(tmp_path: Path, clock: ManualClock) -> Home:
    return Home.open(tmp_path / "home", clock=clock)


@pytest.fixture
async def desk(home: Home) -> AsyncIterator[Desk]:
    opened = await Desk.open(home, "ana")
    yield opened
    await opened.close()


@pytest.fixture
async def room(desk: Desk) -> Room:
    return await desk.declare("refunds in a loop", 2)
