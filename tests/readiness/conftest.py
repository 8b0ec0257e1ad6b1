"""A home with a clock that a test turns, and the questions that the shipped reviews ask."""

from pathlib import Path

import pytest

from console.config import Config
from console.readiness.standing import Row, standing
from data.clock import ManualClock
from data.home import Home
from tests.cli.conftest import warroom

__all__ = ["warroom"]

NOON = 1_795_262_400_000_000_000
"""2026-11-21T12:00:00Z: the day of the last review of the shipped documents."""
DAY = 86_400_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def home(tmp_path: Path, clock: ManualClock) -> Home:
    return Home.open(tmp_path / "home", clock=clock)


async def rows_of(config: Config, home: Home | None, now: int = NOON) -> dict[str, Row]:
    return {row.id: row for row in await standing(config, home, now)}
