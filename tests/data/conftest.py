from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.case import Case, found
from data.clock import ManualClock
from data.home import Home
from tests.data.sample import FOUNDING, clock, project


@pytest.fixture
def ticking() -> ManualClock:
    return clock()


@pytest.fixture
def home(tmp_path: Path, ticking: ManualClock) -> Home:
    return Home.open(tmp_path / "home", clock=ticking)


@pytest.fixture
def case(home: Home) -> Iterator[Case]:
    case = found(home, FOUNDING, project)
    yield case
    case.close()


@pytest.fixture
def reopen(case: Case, home: Home) -> Iterator[Callable[[], Case]]:
    """Opens the case again, after closing it if asked to be the writer."""
    opened: list[Case] = []

    def again() -> Case:
        opened.append(Case.open(case.directory, home, project))
        return opened[-1]

    yield again
    for other in opened:
        other.close()
