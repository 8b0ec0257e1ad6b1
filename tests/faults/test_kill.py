"""kill -9 at any moment: what was acknowledged is there, nothing is there twice, and the chain holds."""

import json
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from data.case import Case
from data.clock import ManualClock
from data.drafts import Drafts
from data.home import Home
from data.verify import verify
from tests.data.sample import START, project
from tests.faults.conftest import Nursery, Worker

KILLS = int(os.environ.get("WARROOM_KILLS", "50"))


def texts(record: Path) -> Counter[str]:
    """How often each text is on the record."""
    db = sqlite3.connect(record / "log.db")
    try:
        bodies = db.execute("SELECT body FROM events WHERE kind = 'note'").fetchall()
    finally:
        db.close()
    return Counter(json.loads(body)["text"] for (body,) in bodies)


def test_no_acknowledged_event_is_lost(nursery: Nursery, home: Home, record: Path) -> None:
    moments = random.Random(3)
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        worker = nursery.start("append", str(home.path), record.name, f"run {kill}", 0, bool(kill % 2))
        assert worker.hear(moments.randint(1, 120))
        acknowledged.update(worker.kill())
        if kill % 10 == 0:
            assert acknowledged <= texts(record).keys()
    there = texts(record)
    assert len(acknowledged) > KILLS
    assert acknowledged <= there.keys()
    assert max(there.values()) == 1
    assert verify(record).damage == []


def test_acknowledging_too_early_is_caught(nursery: Nursery, home: Home, record: Path) -> None:
    """The control: the same test finds a writer that does not wait for the disk."""
    moments = random.Random(4)
    for kill in range(200):
        worker = nursery.start("append_and_lie", str(home.path), record.name, f"run {kill}")
        assert worker.hear(moments.randint(1, 60))
        acknowledged = set(worker.kill())
        if not acknowledged <= texts(record).keys():
            return
    pytest.fail("a writer that acknowledges before the commit was not noticed in 200 kills")


def test_entries_of_several_processes_arrive_once_whoever_dies(
    nursery: Nursery, home: Home, record: Path
) -> None:
    moments = random.Random(5)
    each = 60
    acknowledged: set[str] = set()
    living = [
        nursery.start("append", str(home.path), record.name, f"steady {i}", each, False) for i in range(2)
    ]
    for kill in range(8):
        victims: list[Worker] = [
            nursery.start("append", str(home.path), record.name, f"victim {kill}.{i}", 0, False)
            for i in range(2)
        ]
        for victim in victims:
            assert victim.hear(moments.randint(1, 20))
        for victim in victims:
            acknowledged.update(victim.kill())
    for worker in living:
        assert len(worker.hear_all()) == each
        acknowledged.update(worker.said)
    # What the dead had handed over is appended by whoever writes next.
    Case.open(record, home, project).close()
    there = texts(record)
    assert acknowledged <= there.keys()
    assert max(there.values()) == 1
    assert [path.name for path in (record / "handoff").iterdir() if not path.name.startswith(".")] == []
    assert verify(record).damage == []


def test_a_saved_draft_survives(nursery: Nursery, tmp_path: Path) -> None:
    moments = random.Random(6)
    for _ in range(12):
        worker = nursery.start("draft", str(tmp_path))
        assert worker.hear(moments.randint(1, 10))
        saved = int(worker.kill()[-1])
        drafts = Drafts.open(tmp_path, ManualClock(START))
        (orphan,) = drafts.orphans()
        assert int(orphan.text) >= saved
        drafts.discard(orphan)
        drafts.close()
