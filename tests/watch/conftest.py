"""A detection on a directory of its own, whose record can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from console.config import Config, load, rules
from console.config import inventory as declared
from console.events import WatchFounded, entry
from console.telemetry.action import Action
from console.telemetry.attribution import Attribution
from console.telemetry.refused import RefusedStore
from console.timeline import project
from console.tripwires.engine import Engine
from console.watching.baselines import Baselines
from console.watching.detection import ACTOR, Detection
from console.watching.journal import Journal
from console.watching.status import Sender
from data.case import Case, found
from data.clock import ManualClock
from data.envelope import Entry, Event
from data.home import Home
from data.trouble import StoreTrouble

T0 = 1_795_000_000_000_000_000


class FailingCase:
    """A case whose disk can be taken away: appends then fail after they were accepted."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.broken = False
        self.trouble = ""
        self.said: list[Entry] = []

    def append(self, *entries: Entry) -> Future[tuple[Event, ...]]:
        """Append, or fail later, as a full disk does."""
        if self.broken:
            failed: Future[tuple[Event, ...]] = Future()
            failed.set_exception(StoreTrouble("full", "nothing was written", "free space"))
            return failed
        self.said += entries
        return self.case.append(*entries)


class Bench:
    """A detection on a directory of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(T0)
        toml = path / "c.toml"
        toml.write_text('[[agent]]\nname = "a"\ntools = ["search"]\n')
        self.config: Config = load(toml)
        home = Home.open(path / "home", clock=self.clock)
        founding = entry(WatchFounded("live"), ACTOR)
        self.case = FailingCase(found(home, founding, project, directory=home.watch_dir))
        self.baselines = Baselines(path / "baselines.db")
        self.sender = Sender("s", "otlp", refused={})
        self.journal = Journal(path / "journal", 1)
        self.detection = self.start()

    def start(self) -> Detection:
        """Begin as a new process would, after one that was killed."""
        self.journal.close()
        saved = self.baselines.load()
        wanted, inventory = rules(self.config), declared(self.config)
        engine = Engine.restore(wanted, inventory, saved.engine) if saved else Engine(wanted, inventory)
        self.journal = Journal(self.path / "journal", saved.journal if saved else 1)
        self.refused = RefusedStore(None, lambda *told: self.detection.told(*told))
        detection = Detection(
            engine,
            self.case,  # type: ignore[arg-type]
            self.clock,
            self.journal,
            self.baselines,
            self.refused,
            Attribution(),
        )
        detection.recover()
        return detection

    def take(self, number: int) -> None:
        """Take one call of a tool that nobody declared."""
        action = Action(at=T0 + number, agent="a", id=f"i{number}", kind="tool", tool=f"tool-{number}")
        self.detection.take(self.sender, [action], journal=True, received_at=T0)

    def opened(self) -> list[str]:
        """The keys of what is on the record."""
        return [each.key for each in self.case.said if each.kind == "alert.opened"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A detection that is closed afterwards."""
    made = Bench(tmp_path)
    yield made
    made.journal.close()
    made.baselines.close()
    made.case.case.close()
