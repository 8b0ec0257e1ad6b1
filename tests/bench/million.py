"""A case with a million lines, made once for the benchmarks of one run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from data.case import found
from data.clock import ManualClock
from data.home import Home
from data.log import connect
from data.projection import NAME, Projection
from data.strands import Log
from tests.data.sample import FOUNDING, START, note, project

EVENTS = int(os.environ.get("WARROOM_BENCH_EVENTS", "1000000"))
BATCH = 4000
WORDS = [
    "refund",
    "loop",
    "agent",
    "support",
    "paid",
    "customer",
    "ticket",
    "escalate",
    "spend",
    "cap",
    "tool",
    "call",
]


@cache
def case() -> Path:
    """The directory; one line in 50 is back-dated by up to an hour."""
    root = Path(tempfile.mkdtemp(prefix="warroom-bench-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    clock = ManualClock(START)
    home = Home.open(root, clock=clock)
    founded = found(home, FOUNDING, lambda _: ())
    founded.close()
    log = Log(founded.directory / "log.db", home.identity, clock)
    for first in range(0, EVENTS, BATCH):
        clock.advance(BATCH * 50_000_000)
        group = []
        for i in range(first, min(first + BATCH, EVENTS)):
            at = (
                clock.now()
                - (BATCH - i + first) * 50_000_000
                - (i * 7919 % 3600 * 10**9 if i % 50 == 0 else 0)
            )
            text = f"{WORDS[i % 12]} {WORDS[i * 7 % 12]} acct-{i} of {WORDS[i * 5 % 12]}: {i * 31 % 977} USD"
            group.append(note(text, at=at, tags=WORDS[i % 12], mark="!" if i % 40 == 0 else "-"))
        log.commit(log.stage([group]))
        log.checkpoint()
    log.close()
    (founded.directory / NAME).unlink()
    reading = connect(founded.directory / "log.db")
    view = Projection(founded.directory / NAME, reading, project)
    while view.follow(BATCH):
        pass
    view.close()
    reading.close()
    return founded.directory
