"""Another console on the incident of a test: what it writes comes as it would from a remote, bytes and all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from console.events import Body, entry
from console.timeline import project
from data.case import Case, adopt
from data.clock import ManualClock
from data.envelope import Event
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.segment import Parcel, pack, unpack
from tests.screens.stage import NOW


def shipped(directory: Path) -> list[Parcel]:
    """Return everything that a case holds, through the bytes that would travel."""
    with closing(connect(directory / "log.db")) as db:
        return [unpack(*pack(parcel)) for span in spans(db) for parcel in parcels(db, span)]


def carry(source: Case, target: Case) -> None:
    """Merge all that `source` has into `target`."""
    waiting = shipped(source.directory)
    while waiting:
        later = [parcel for parcel in waiting if target.merge(parcel).result(10).after is not None]
        assert len(later) < len(waiting), "what is missing never comes"
        waiting = later


class Console:
    """Somebody else's console, which takes part in the incident of `case`."""

    def __init__(self, path: Path, case: Case, person: str = "ben", *, home: Path | None = None) -> None:
        self.home = Home.open(home or path / f"home-{person}", clock=ManualClock(NOW + 1_000_000_000))
        self.person = person
        first, *_ = shipped(case.directory)
        self.case = Case.open(adopt(self.home, first), self.home, project)
        carry(case, self.case)

    def write(self, *bodies: Body) -> tuple[Event, ...]:
        """Write `bodies` here."""
        return self.case.append(*(entry(body, self.person) for body in bodies)).result(10)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.case.close()
