"""A ledger of 100,000 effects: how much time of the processor it takes to open, to filter and to move, and what a row costs."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from console import events as ev
from console.desk import Desk
from console.incident import Fold
from console.rollback import deeds
from console.rollback.index import Index, Wanted
from console.rollback.tracker import standing
from data.home import Home
from data.reader import CaseReader
from tests.bench.report import Report

NAME = "ledger"
ROWS = int(os.environ.get("WARROOM_BENCH_EFFECTS", "100000"))
CLASSES = (
    "database-writes",
    "external-calls",
    "customer-messages",
    "documents",
    "code",
    "access",
    "knowledge",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
OPEN: tuple[ev.Progress] = ("open",)
FILTERS: dict[str, Wanted] = {
    "a class": Wanted("external-calls"),
    "a state": Wanted(None, OPEN),
    "an agent": Wanted(agent="agent-17"),
    "two words": Wanted(text="refund key-77"),
    "all of it": Wanted("code", ("open", "reversed"), "agent-1", "team", "called"),
}


OPEN_IT = """
import asyncio, gc, os, sys, time
from pathlib import Path
from console.desk import Desk
from console.rollback.index import Index
from console.rollback.tracker import standing
from data.home import Home

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main(place, case):
    home = Home.open(Path(place))
    before, start = resident(), time.process_time()
    desk = await Desk.open(home, "ana")
    room = await desk.enter(case)
    index = Index(room.incident.ledger)
    index.ready()
    standing(room.incident, room.clock.now())
    taken = time.process_time() - start
    print(taken, resident() - before)
    await desk.close()

asyncio.run(main(*sys.argv[1:]))
"""
"""What a console does that opens the ledger: prints its seconds of processor time, and the bytes that it takes."""


def effect(number: int) -> ev.Effect:
    """One row with everything that telemetry usually says."""
    return ev.Effect(
        id="".join(LETTERS[number >> 5 * place & 31] for place in range(16)),
        action_class=CLASSES[number % 7],
        at=ev.moment(1_795_262_400_000_000_000 + number * 1_000_000),
        agent=f"agent-{number % 200}",
        what=f"called payments/refund (POST payments.example/v1/refunds) for payment {number}",
        principal=f"tenant-{number % 40}/team-{number % 9}",
        approval=f"approval-{number % 3000}",
        tool="payments/refund",
        target=f"payment-{number}",
        key=f"key-{number}",
        trace=f"{number * 7919:032x}",
        action=f"action-{number}",
    )


def timed(call: Callable[[], object], rounds: int = 5) -> float:
    """Return the median of a few calls, in milliseconds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) * 1e3)
    return statistics.median(taken)


def cold(place: Path, case: str) -> tuple[float, float]:
    """Open a ledger in a process of its own. Returns seconds of the processor, and bytes."""
    command = [sys.executable, "-c", OPEN_IT, str(place), case]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, size = map(float, done.stdout.split())
    return taken, size


async def fill(home: Home) -> str:
    """Put the ledger of an incident into a real store. Returns the case."""
    desk = await Desk.open(home, "ana")
    room = await desk.declare("a bench", 2)
    for start in range(0, ROWS, 25_000):
        parts = range(start, min(start + 25_000, ROWS), 500)
        rows = [tuple(effect(each) for each in range(at, min(at + 500, ROWS))) for at in parts]
        await room.record(*map(ev.EffectsListed, rows))
    await desk.close()
    return room.case.id


async def measure(report: Report, place: Path) -> None:
    """Open the ledger as a console does, and work in it."""
    home = Home.open(place)
    case = await fill(home)
    opened, size = await asyncio.to_thread(cold, place, case)
    desk = await Desk.open(home, "ana")
    room = await desk.enter(case)
    index = Index(room.incident.ledger)
    index.ready()
    rows = list(room.incident.ledger.rows.values())
    raw = msgspec.json.encode(rows)
    bare = timed(lambda: msgspec.json.decode(raw, type=list[ev.Effect])) / 1e3
    name = f"open {len(rows):,} effects with their tracker, s"
    report(name, opened, "decoding the bare rows, s", bare, opened / bare, "<= 1 s")
    report(
        "a row in memory that nobody touched, bytes",
        size / len(rows),
        "its JSON",
        len(raw) / len(rows),
        None,
        "",
    )
    scan = timed(lambda: [row for row in rows if row.agent == "agent-17"])
    bound = "a loop over one field, ms"
    for name, wanted in FILTERS.items():
        taken = timed(partial(index.find, wanted))
        report(f"filter by {name}, ms", taken, bound, scan, taken / scan, "<= 100 ms")
    taken = timed(lambda: standing(room.incident, room.clock.now()))
    report("the tracker again, ms", taken, bound, scan, taken / scan, "")
    ids = [row.id for row in index.find(Wanted("code"))]
    start = time.process_time()
    await deeds.move(room, ids, "reversed", "bench")
    report(f"move {len(ids):,} effects at once, s", time.process_time() - start, "", "", None, "")
    late = Fold()
    events = await CaseReader.open(room.case.directory)
    late.add(await events.since(0, limit=5000))
    await events.close()
    refold = timed(late._refold, 3) / 1e3
    report(
        "fold all of it anew, as after a late event, s",
        refold,
        "decoding the bare rows, s",
        bare,
        refold / bare,
        "",
    )
    await desk.close()


def run(report: Report) -> None:
    """Measure on a store of its own."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(report, Path(directory) / "home"))
