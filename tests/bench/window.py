"""What keeping telemetry for evidence costs the detection, and how fast the window is searched."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from console.evidence import search
from console.evidence.window import Window, segments
from console.telemetry.jsonl import whole
from console.tripwires.engine import Engine
from console.tripwires.rules import Rules
from console.watching.garbage import seldom
from data.clock import SystemClock
from data.envelope import Ref
from tests.bench.report import Report
from tests.bench.tripwires import decode
from tests.workload import INVENTORY, write

NAME = "window"
ROUNDS = 3
ACTIONS = 500_000


def watch(path: Path, window: Window | None) -> int:
    """Take a file to its alerts, with or without keeping it. Returns how many actions the engine was given."""
    engine = Engine(Rules(), INVENTORY)
    for batch in whole(path):
        if window is not None:
            window.append(batch.actions)
        engine.feed(batch.actions)
        engine.advance(engine.clock)
    engine.finish()
    return engine.counters["actions"]


def keep(data: bytes) -> Ref:
    """Hash what is kept, and forget it."""
    return Ref(media="", sha256=sha256(data).hexdigest(), size=len(data))


def run(report: Report) -> None:
    """Measure on a workload written for the run; detection by its own thread's time, compression beside it."""
    seldom()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "actions.jsonl"
        write(path, ACTIONS, 100, 8)
        bare, kept, packing, bound = [], [], [], []
        for number in range(ROUNDS):
            start = time.thread_time()
            count = decode(path)
            bound.append((time.thread_time() - start) / count * 1e6)
            start = time.thread_time()
            watch(path, None)
            bare.append((time.thread_time() - start) / count * 1e6)
            window = Window(Path(directory) / str(number), SystemClock(), most=2**30, keep=10**18)
            start, process = time.thread_time(), time.process_time()
            watch(path, window)
            kept.append((time.thread_time() - start) / count * 1e6)
            with suppress(OSError):
                window.close()
            packing.append((time.process_time() - process) / count * 1e6 - kept[-1])
        median = statistics.median
        alone, whole_, least = median(bare), median(kept), median(bound)
        report(
            "JSON lines to alerts, kept in the window, us CPU an action",
            whole_,
            "not kept",
            alone,
            whole_ / alone,
            "",
        )
        report("the same", whole_, "msgspec typed decode", least, whole_ / least, "<= 6x")
        report(
            "compression beside it, at the lowest priority, us CPU an action",
            median(packing),
            "",
            "",
            None,
            "",
        )
        _searched(report, Path(directory) / "0", count)


def _searched(report: Report, window: Path, count: int) -> None:
    raw = sum(segment.path.stat().st_size for segment in segments(window))
    report("size on disk, bytes an action", raw / count, "", "", None, "")
    start = time.process_time()
    found = search.search(window, search.Query({"agent": ["agent-00003"]}, depth=1), keep)
    took = (time.process_time() - start) / count * 1e6
    report(
        f"a search that keeps {found.count:,} of {count:,}, us CPU a record of the window",
        took,
        "",
        "",
        None,
        "",
    )
