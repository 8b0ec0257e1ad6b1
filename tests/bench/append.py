"""Appending to the evidence log: how long an acknowledgement takes, and how many events a second."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import perf_counter

from data.case import Case, found
from data.home import Home
from data.line import Filter
from data.view import Lines
from tests.bench.report import Report
from tests.data.sample import FOUNDING, note, project

NAME = "append"
ACKS = 400
EVENTS = 40_000
PRODUCERS = 256
STORED = 640
"""Bytes of a row, header and body and hash, for the bare side."""


@contextmanager
def fresh() -> Iterator[Case]:
    """A new case, with its timeline and full-text search kept up as always."""
    with tempfile.TemporaryDirectory(prefix="warroom-bench-") as root:
        case = found(Home.open(Path(root)), FOUNDING, project)
        try:
            yield case
        finally:
            case.close()


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of all values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def fdatasync(rounds: int) -> list[float]:
    """Seconds of writing one row's bytes to a file and syncing it."""
    with tempfile.NamedTemporaryFile(prefix="warroom-bench-") as file:
        times = []
        for _ in range(rounds):
            start = perf_counter()
            os.write(file.fileno(), b"x" * STORED)
            os.fdatasync(file.fileno())
            times.append(perf_counter() - start)
        return times


def bare(batch: int) -> float:
    """Rows a second of plain SQLite, WAL and FULL, in batches."""
    with tempfile.TemporaryDirectory(prefix="warroom-bench-") as root:
        db = sqlite3.connect(Path(root) / "bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE rows (n INTEGER PRIMARY KEY, data BLOB)")
        rows = [(b"x" * STORED,)] * batch
        start = perf_counter()
        for _ in range(EVENTS // batch):
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO rows (data) VALUES (?)", rows)
            db.execute("COMMIT")
        seconds = perf_counter() - start
        db.close()
        return EVENTS / seconds


def run(report: Report) -> None:
    """One producer, then many, then batches."""
    floor = fdatasync(ACKS // 2)
    with fresh() as case:
        times = []
        for i in range(ACKS):
            start = perf_counter()
            case.append(note(f"refund {i} sent to acct-{i}")).result(30)
            times.append(perf_counter() - start)
    floor += fdatasync(ACKS // 2)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        ours, theirs = quantile(times, share), quantile(floor, share)
        report(
            f"one producer: acknowledged, {name}",
            f"{1000 * ours:.2f} ms",
            "write, fdatasync",
            f"{1000 * theirs:.2f} ms",
            ours / theirs,
            "p99 <= fsync + 2 ms",
        )
    producers(report)
    for batch in (100, 1000):
        rates, bounds = [], []
        for _ in range(3):
            bounds.append(bare(batch))
            rates.append(batches(batch))
        ours, theirs = statistics.median(rates), statistics.median(bounds)
        report(
            f"batches of {batch}, events/s", ours, "bare SQLite FULL", theirs, ours / theirs, ">= 40,000/s"
        )


def producers(report: Report) -> None:
    """Many threads, each waiting for its own acknowledgement."""
    each = 20
    times: list[float] = []
    with fresh() as case:

        def produce(me: int) -> None:
            for i in range(each):
                start = perf_counter()
                case.append(note(f"refund {me}/{i}")).result(60)
                times.append(perf_counter() - start)

        threads = [Thread(target=produce, args=(me,)) for me in range(PRODUCERS)]
        start = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = PRODUCERS * each / (perf_counter() - start)
    alone = bare(256)
    report(f"{PRODUCERS} producers, events/s", rate, "bare SQLite FULL, 256 a batch", alone, rate / alone, "")
    said = f"{1000 * quantile(times, 0.99):.1f} ms"
    report(f"{PRODUCERS} producers: acknowledged, p99", said, "", "", None, "")


def batches(batch: int) -> float:
    """Acknowledged events a second, four batches on their way at a time; then the timeline must be right."""
    groups = [
        tuple(note(f"refund {first + i} sent") for i in range(batch)) for first in range(0, EVENTS, batch)
    ]
    with fresh() as case:
        start = perf_counter()
        answers = []
        for index, group in enumerate(groups):
            answers.append(case.append(*group))
            if index >= 4:
                answers[index - 4].result(60)
        for answer in answers:
            answer.result(60)
        seconds = perf_counter() - start
        asyncio.run(_all_lines(case))
    return EVENTS / seconds


async def _all_lines(case: Case) -> None:
    lines = await Lines.open(case.directory)
    try:
        while await lines.upto() <= EVENTS:
            await asyncio.sleep(0.01)
            await lines.changed()
        # The founding event and the checkpoints are lines of the program's own.
        if await lines.count(Filter(system=False)) < EVENTS:
            raise AssertionError("the timeline lacks lines")
    finally:
        await lines.close()
